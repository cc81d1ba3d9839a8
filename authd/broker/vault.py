"""Passwords of old systems at rest: AES-256-GCM-SIV (RFC 8452), each bound to its slot, in a folder of the broker's.

    vault.key          32 bytes, 0600; or the credential `vault.key` of the unit (systemd-creds), which then wins
    <name>.sealed      a line of the format, the version, the nonce, and what is sealed

A name is `system/account`, such as `resident/staff_1042`. A password opens only under its own name and version: a file
that was renamed, or put under another version, does not open. That an older file was put back whole is found by
`authd credentials check`, since the ledger says the version and digest of the last one.

While a password is being replaced there are two, the current and the next one, both durable before the system is
asked for the change: whichever of them it believes is known here (`rotation/`). `candidates` says both.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from authd.broker import files
from authd.broker.files import Missing, VaultError
from authd.broker.secret import Secret, Shape

__all__ = ["KEY", "NotSealed", "Sealed", "Vault", "VaultError", "check_name"]

KEY: Final = "vault.key"
KEY_BYTES: Final = 32
SUFFIX: Final = ".sealed"
MOST_NAMES: Final = 100_000
_FORMAT: Final = b"authd-vault 1\n"
_VERSION_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_HEAD: Final = len(_FORMAT) + _VERSION_BYTES + _NONCE_BYTES
_MOST_FILE: Final = 8_192
_PAD: Final = 256
"""Sealed in steps of so many bytes: the size of a file tells nothing of a password's length."""
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")


class NotSealed(VaultError):
    """There is nothing under this name."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What may be told of a credential."""

    name: str
    version: int
    """Rises with every change of the file, the staging of a next one too."""
    digest: str
    """SHA-256 of the file, hex: what the ledger keeps."""
    pending: bool
    """A next one is staged: a rotation is under way, or was cut short."""
    rotated: bool
    """It was made here: nobody has ever known it. False: whoever handed it over still does."""
    made: int
    """Wall clock, ms since 1970."""


class _Record(msgspec.Struct, frozen=True):
    """What is sealed."""

    current: str
    made: int
    next: str | None = None
    rotated: bool = False

    def __repr__(self) -> str:
        return "_Record(...)"


class Vault:
    """One folder of sealed passwords. Every call reads the disk: a broker sees at once what was rotated elsewhere."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder = folder
        self._key = key

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make the folder and its key where they are missing, and open it. Raises `VaultError`."""
        files.make_folder(folder)
        with files.changing(folder) as owner:
            if _unit_key() is None and not (folder / KEY).exists() and not any(folder.glob(f"*{SUFFIX}")):
                files.write(folder / KEY, secrets.token_bytes(KEY_BYTES), owner)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a vault that `create` has made. Raises `VaultError`."""
        owner, given = files.check_folder(folder), _unit_key()
        key = files.read(given or folder / KEY, KEY_BYTES, None if given else owner)
        if len(key) != KEY_BYTES:
            raise VaultError(f"{given or folder / KEY}: is not a key of {KEY_BYTES} bytes; put the original back")
        return cls(folder, key)

    def put(self, name: str, secret: Secret, above: int = 0) -> Sealed:
        """Seal a password that somebody knows; it replaces what was there. Raises `VaultError`.

        above: the last version that the ledger knows, where the vault was lost or an older one put back.
        """
        with files.changing(self.folder) as owner:
            version = max(self._version(name), above) + 1
            return self._seal(owner, name, version, _Record(secret.reveal(), _now()))

    def get(self, name: str) -> Secret:
        """Return the current password. Raises `NotSealed`, `VaultError`."""
        return Secret(self._open(name)[1].current)

    def candidates(self, name: str) -> tuple[Secret, ...]:
        """Return what the system may believe, the likelier first: one, or two while it is being replaced."""
        record = self._open(name)[1]
        return (Secret(record.current), *([Secret(record.next)] if record.next is not None else []))

    def about(self, name: str) -> Sealed:
        """Return what may be told of it. Raises `NotSealed`, `VaultError`: it does not open."""
        return self._open(name)[0]

    def names(self) -> list[str]:
        """Return every name, in order. Raises `VaultError`."""
        found = sorted(each.name[: -len(SUFFIX)].replace("+", "/") for each in self.folder.glob(f"*{SUFFIX}"))
        if len(found) > MOST_NAMES:
            raise VaultError(f"{self.folder}: holds more than {MOST_NAMES} credentials; use a folder for each system")
        return [each for each in found if _NAME.fullmatch(each)]

    def stage(self, name: str, shape: Shape) -> Secret:
        """Return the next password, sealed before anybody hears of it; one that is staged already stays.

        The one that stays is why a rotation may be begun again at any point: there are never more than two.
        """
        with files.changing(self.folder) as owner:
            about, record = self._open(name)
            if record.next is not None:
                return Secret(record.next)
            made = shape.make()
            staged = _Record(record.current, record.made, made.reveal(), record.rotated)
            self._seal(owner, name, about.version + 1, staged)
            return made

    def promote(self, name: str) -> Sealed:
        """The system believes the next one: it is the current one now. Raises `VaultError`, where none is staged."""
        with files.changing(self.folder) as owner:
            about, record = self._open(name)
            if record.next is None:
                raise VaultError(f"{name}: nothing is staged; rotate it")
            return self._seal(owner, name, about.version + 1, _Record(record.next, _now(), None, rotated=True))

    @contextmanager
    def rotating(self) -> Generator[None]:
        """Be the only one who rotates, in whichever process; readers do not wait. Raises `VaultError`."""
        with files.claimed(self.folder / ".rotating"):
            yield

    def remove(self, name: str) -> None:
        """Forget a credential. Raises `NotSealed`, `VaultError`."""
        with files.changing(self.folder):
            try:
                files.remove(self._path(name))
            except Missing:
                raise NotSealed(_missing(name)) from None

    def _path(self, name: str) -> Path:
        check_name(name)
        return self.folder / f"{name.replace('/', '+')}{SUFFIX}"

    def _version(self, name: str) -> int:
        """The version on the disk, readable or not: what is put over a damaged file is newer than it."""
        try:
            return _version(name, self._bytes(name))
        except NotSealed:
            return 0

    def _bytes(self, name: str) -> bytes:
        try:
            return files.read(self._path(name), _MOST_FILE, files.check_folder(self.folder))
        except Missing:
            raise NotSealed(_missing(name)) from None

    def _open(self, name: str) -> tuple[Sealed, _Record]:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

        data = self._bytes(name)
        version, nonce, sealed = _version(name, data), data[_HEAD - _NONCE_BYTES : _HEAD], data[_HEAD:]
        try:
            record = msgspec.json.decode(AESGCMSIV(self._key).decrypt(nonce, sealed, _aad(name, version)), type=_Record)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            message = f"{name}: does not open: moved, renamed, damaged, or sealed under another key; seal it again"
            raise VaultError(message) from None
        return _about(name, version, record, data), record

    def _seal(self, owner: os.stat_result, name: str, version: int, record: _Record) -> Sealed:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

        plain = msgspec.json.encode(record)
        plain += b" " * (-len(plain) % _PAD)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCMSIV(self._key).encrypt(nonce, plain, _aad(name, version))
        data = _FORMAT + version.to_bytes(_VERSION_BYTES, "big") + nonce + sealed
        files.write(self._path(name), data, owner)
        return _about(name, version, record, data)


def check_name(name: str) -> None:
    """Raises `VaultError` for what is no name of a credential."""
    if not _NAME.fullmatch(name):
        raise VaultError("a credential's name is system/account, each of letters, digits, _ . and -")


def _version(name: str, data: bytes) -> int:
    if data[: len(_FORMAT)] != _FORMAT or len(data) < _HEAD:
        raise VaultError(f"{name}: is not a sealed credential; put the original back, or remove it")
    return int.from_bytes(data[len(_FORMAT) : len(_FORMAT) + _VERSION_BYTES], "big")


def _about(name: str, version: int, record: _Record, data: bytes) -> Sealed:
    digest = hashlib.sha256(data).hexdigest()
    return Sealed(name, version, digest, record.next is not None, record.rotated, record.made)


def _aad(name: str, version: int) -> bytes:
    return f"vault|{name}|{version}".encode()


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000


def _unit_key() -> Path | None:
    """The key that the unit's manager decrypted for this process alone (systemd-creds), where there is one."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder, KEY)
    return path if folder.startswith("/") and path.is_file() else None


def _missing(name: str) -> str:
    return f"{name}: nothing is sealed under this name; seal it: authd credentials seal {name}"
