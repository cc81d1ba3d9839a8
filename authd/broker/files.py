"""Files that belong to one account and are replaced whole: what a vault stands on."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LOOSE: Final = 0o077


class VaultError(Exception):
    """It cannot be had; the text is one line for a person and says what to do. It never says a password."""


class Missing(VaultError):
    """There is no such file."""


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, unless there is one. Raises `VaultError`.

    What root makes belongs to whom the folder around it belongs to: the brokers' account, which has to read it.
    """
    if folder.exists():
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        around = folder.parent.stat()
        if os.geteuid() != around.st_uid and os.geteuid() == 0:
            os.chown(folder, around.st_uid, around.st_gid)
    except OSError as error:
        raise VaultError(f"{folder}: cannot be made: {error.strerror}") from error


def check_folder(folder: Path) -> os.stat_result:
    """Return whose it is, once it is sure that nobody else may enter. Raises `VaultError`."""
    try:
        found = folder.lstat()
    except OSError as error:
        raise VaultError(f"{folder}: {error.strerror}; make it: authd credentials seal") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & _LOOSE:
        raise VaultError(f"{folder}: must be a folder that only its owner may enter; chmod 700")
    if os.geteuid() not in (0, found.st_uid):
        raise VaultError(f"{folder}: belongs to another account; run this as that account")
    return found


@contextmanager
def changing(folder: Path) -> Generator[os.stat_result]:
    """One writer at a time, in whichever process; readers need no lock, since a file is replaced whole."""
    owner = check_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield owner
    finally:
        os.close(descriptor)


@contextmanager
def claimed(path: Path) -> Generator[None]:
    """Be the only one who has this claim; whoever comes second is refused, and does not wait. Raises `VaultError`."""
    owner = check_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise VaultError(f"{path}: cannot be made: {error.strerror}") from error
    try:
        if os.geteuid() != owner.st_uid:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        _claim(descriptor)
        yield
    finally:
        os.close(descriptor)


def _claim(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise VaultError("somebody else replaces passwords just now; try again when that is over") from None


def read(path: Path, most: int, owner: os.stat_result | None) -> bytes:
    """Read a file and check what was opened, not what the name stood for a moment ago. Raises `Missing`, `VaultError`.

    owner: of the folder; None for a file that the unit's manager keeps, and guards itself.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if owner else 0))
    except FileNotFoundError:
        raise Missing(f"{path}: is missing; put it back") from None
    except PermissionError:
        raise VaultError(f"{path}: may not be read; run this as root or as the account of its owner") from None
    except OSError as error:
        raise VaultError(f"{path}: cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            raise VaultError(f"{path}: is not a file of the vault; put the original back")
        if owner is not None and (found.st_mode & _LOOSE or found.st_uid not in (0, owner.st_uid)):
            raise VaultError(f"{path}: must belong to the owner of its folder and to nobody else; chmod 600")
        return file.read(most)


def write(path: Path, data: bytes, owner: os.stat_result) -> None:
    """Replace a file whole, durably, or not at all; root writes for the folder's owner. Raises `VaultError`."""
    draft = path.with_name(f".{secrets.token_hex(8)}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            if os.geteuid() != owner.st_uid:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise VaultError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Raises `Missing`, `VaultError`."""
    try:
        path.unlink()
        _sync(path.parent)
    except FileNotFoundError:
        raise Missing(f"{path}: is missing") from None
    except OSError as error:
        raise VaultError(f"{path}: cannot be removed: {error.strerror}") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
