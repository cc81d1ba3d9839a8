"""The keys of a host, in `<state>/keys`: made once by `authd init`, loaded by every start, never overwritten.

    host.key       32 bytes; wraps each person's key. Core only opens it: the descriptor goes to the verifier child.
    ledger.key     Ed25519 seed, 32 bytes; signs the ledger's checkpoints.
    event.key      Ed25519 seed, 32 bytes; signs session events, so that followers hold no key of the ledger.
    record.key     32 bytes; records, rows and fields are known by pseudonyms that are made with it.
    tokens/*.key       PKCS #8 DER; sign tokens for other products (authd.service.tokens).
    client-ca.key      PKCS #8 DER; signs certificates for databases (authd.service.certificates).
    curve/<peer>.key   z85: the public key, and on a second line the secret one, of the door and of peers made here.

The folders are 0700 and the files 0600, and belong to the account that uses them (or root): anything looser is refused.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED_BYTES: Final = 32
ROUTER: Final = "router"
"""Name of the door's own CURVE key."""
_CURVE_CHARACTERS: Final = 40
_MOST_TOKEN_KEYS: Final = 32
_MOST_TOKEN_KEY: Final = 8_192
"""Bytes."""
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_LOOSE: Final = 0o077


class KeyFault(Exception):
    """A key cannot be used; the text is one line for a person: which file, what is wrong, what to do."""


@dataclass(frozen=True, slots=True)
class CurvePair:
    """A CURVE key pair, z85. The public half may be told to anybody."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"CurvePair({self.public!r})"


class Keys:
    """The keys folder of one host."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "keys"

    @property
    def exist(self) -> bool:
        """Whether `authd init` has been here."""
        return (self.folder / "host.key").exists()

    def create(self) -> None:
        """Make every key that is missing; those that are there stay. Raises `KeyFault`."""
        for folder in (self.folder, self.folder / "curve"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_folder(folder)
        for name in ("host.key", "ledger.key", "event.key", "record.key"):
            _create(self.folder / name, lambda: secrets.token_bytes(SEED_BYTES))
        self.create_curve(ROUTER)

    def create_seat(self, seat: str) -> None:
        """Make a seat's own signing key unless it is there. Raises `KeyFault`."""
        _create(self._seat_path(seat), lambda: secrets.token_bytes(SEED_BYTES))

    def seat_key(self, seat: str) -> Ed25519PrivateKey:
        """Return a seat's own signing key. Raises `KeyFault`."""
        _check_folder(self.folder)
        return Ed25519PrivateKey.from_private_bytes(_read(self._seat_path(seat), SEED_BYTES))

    def record_key(self) -> bytes:
        """Return the key of pseudonyms, made where an older authd has not made it. Raises `KeyFault`."""
        path = self.folder / "record.key"
        _check_folder(self.folder)
        _create(path, lambda: secrets.token_bytes(SEED_BYTES))
        return _read(path, SEED_BYTES)

    def authority_key(self, make: Callable[[], bytes]) -> bytes:
        """Return the key that signs certificates for databases, made where there is none. Raises `KeyFault`."""
        path = self.folder / "client-ca.key"
        _check_folder(self.folder)
        _create(path, make)
        return _read(path, None)

    def token_keys(self) -> dict[str, bytes]:
        """Return the keys that sign tokens, by name; the folder is made where there is none. Raises `KeyFault`."""
        folder = self._token_folder()
        found = sorted(each for each in folder.iterdir() if each.suffix == ".key" and not each.name.startswith("."))
        if len(found) > _MOST_TOKEN_KEYS:
            raise KeyFault(f"{folder}: holds more than {_MOST_TOKEN_KEYS} keys; move away what is none")
        return {path.stem: _read(path, None) for path in found}

    def create_token_key(self, name: str, data: bytes) -> None:
        """Keep a key that signs tokens, unless there is one of this name. Raises `KeyFault`."""
        _create(self._token_folder() / f"{name}.key", lambda: data)

    def drop_token_key(self, name: str) -> None:
        """Forget a key that signs tokens: what it signed is good for nothing any more. Raises `KeyFault`."""
        path = self._token_folder() / f"{name}.key"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise KeyFault(f"{path}: cannot be removed: {error.strerror}") from error

    def create_curve(self, peer: str) -> CurvePair:
        """Make a named peer's key pair unless it is there, and return it. Raises `KeyFault`."""
        _create(self._curve_path(peer), _new_curve)
        return self.curve(peer)

    def open_host_key(self) -> int:
        """Open host.key, checked, for the verifier child to read and close. Raises `KeyFault`.

        The descriptor is not inheritable until the spawner says so, and its content was not read here.
        """
        _check_folder(self.folder)
        return _open(self.folder / "host.key", SEED_BYTES)

    def ledger_key(self) -> Ed25519PrivateKey:
        """Return the key that signs checkpoints. Raises `KeyFault`."""
        return Ed25519PrivateKey.from_private_bytes(self._read("ledger.key"))

    def event_key(self) -> Ed25519PrivateKey:
        """Return the key that signs events; `ping` tells its public half. Raises `KeyFault`."""
        return Ed25519PrivateKey.from_private_bytes(self._read("event.key"))

    def curve(self, peer: str) -> CurvePair:
        """Return a peer's key pair. Raises `KeyFault`."""
        path = self._curve_path(peer)
        _check_folder(path.parent)
        lines = _read(path, 2 * _CURVE_CHARACTERS + 2).decode("ascii", "replace").split("\n")
        if [len(line) for line in lines] != [_CURVE_CHARACTERS, _CURVE_CHARACTERS, 0]:
            raise KeyFault(f"{path}: is not a CURVE key pair; put the original back")
        return CurvePair(lines[0], lines[1])

    def _read(self, name: str) -> bytes:
        _check_folder(self.folder)
        return _read(self.folder / name, SEED_BYTES)

    def _token_folder(self) -> Path:
        folder = self.folder / "tokens"
        _check_folder(self.folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        _check_folder(folder)
        return folder

    def _seat_path(self, seat: str) -> Path:
        if not _NAME.fullmatch(seat):
            raise KeyFault(f"{seat!r}: a key's name is 1 to 64 of a-z, 0-9, - and _")
        return self.folder / f"seat-{seat}.key"

    def _curve_path(self, peer: str) -> Path:
        if not _NAME.fullmatch(peer):
            raise KeyFault(f"{peer!r}: a key's name is 1 to 64 of a-z, 0-9, - and _")
        return self.folder / "curve" / f"{peer}.key"


def _new_curve() -> bytes:
    import zmq

    return b"\n".join((*zmq.curve_keypair(), b""))


def _create(path: Path, make: Callable[[], bytes]) -> None:
    """Write a new key whole or not at all; an existing one wins."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        _link(draft, path)
    except OSError as error:
        raise KeyFault(f"{path}: cannot be made: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _link(draft: Path, path: Path) -> None:
    """Give the draft its name, unless somebody was first, and make the name durable."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path, size: int | None) -> bytes:
    with os.fdopen(_open(path, size), "rb") as file:
        return file.read(size or _MOST_TOKEN_KEY)


def _open(path: Path, size: int | None) -> int:
    """Open a key file and check what was opened, not what the name stood for a moment ago; None: of any size."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyFault(f"{path}: is missing; run authd init on a new host, else put the original back") from None
    except PermissionError:
        raise KeyFault(_closed(path)) from None
    except OSError as error:
        raise KeyFault(f"{path}: cannot be opened: {error.strerror}") from error
    try:
        _check_file(path, os.fstat(descriptor), size)
    except KeyFault:
        os.close(descriptor)
        raise
    return descriptor


def _check_file(path: Path, found: os.stat_result, size: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyFault(f"{path}: must be a plain file")
    _check_owner(path, found, "0600")
    if size is not None and found.st_size != size:
        raise KeyFault(f"{path}: must be {size} bytes, is {found.st_size}; put the original back")


def _check_folder(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise KeyFault(f"{path}: is missing; run authd init on a new host, else put the original back") from None
    except PermissionError:
        raise KeyFault(_closed(path)) from None
    except OSError as error:
        raise KeyFault(f"{path}: cannot be opened: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise KeyFault(f"{path}: must be a folder")
    _check_owner(path, found, "0700")


def _closed(path: Path) -> str:
    """Say that this account may not look there, and which one may: the owner of what is nearest and can be seen."""
    for place in (path, *path.parents):
        try:
            owner = _account(place.lstat().st_uid)
        except OSError:
            continue
        whom = "root" if owner == "root" else f"root or {owner}"
        return f"{path}: may not be read by {_account(os.geteuid())}; run this as {whom}: runuser -u {owner} -- authd"
    return f"{path}: may not be read by {_account(os.geteuid())}; run this as root"


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _check_owner(path: Path, found: os.stat_result, wanted: str) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if mode & _LOOSE:
        raise KeyFault(f"{path}: mode {mode:04o} lets others in; run chmod {wanted} {path}")
    if found.st_uid not in (os.geteuid(), 0):
        mend = (
            f"chown {os.geteuid()} {path}" if os.geteuid() else "the command as that account: runuser -u ... -- authd"
        )
        raise KeyFault(f"{path}: belongs to uid {found.st_uid}; run {mend}")
