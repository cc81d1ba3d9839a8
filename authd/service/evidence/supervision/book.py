"""The roster in force: a file beside the ledger, named by its own digest; which of them holds, the ledger says.

Written whole before the ledger is told, and of no effect until then: so a crash, a full disk or somebody's edit leaves
the roster as it was, and a file that is not the one of the ledger's row is no roster.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from authd.service.evidence.supervision.terms import Roster, Term

FORMAT: Final = 1
KEPT: Final = 12
"""Earlier rosters that stay in the folder."""
MOST_BYTES: Final = 256 << 20
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class BadRoster(Exception):
    """The file is not there, or not what the ledger says it is; the text says what to do."""


class _File(msgspec.Struct, frozen=True):
    format: int
    terms: list[Term]


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(_File).decode


class Book:
    """The folder of one host's rosters."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, roster: Roster) -> str:
        """Write a roster, durably, and return its digest. It is not in force by that. Raises `OSError`."""
        terms = [term for number in sorted(roster.terms) for term in roster.terms[number]]
        raw = _encode(_File(FORMAT, terms))
        digest = sha256(raw).hexdigest()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{digest}.json"
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync(self._folder)
        return digest

    def load(self, digest: str) -> Roster:
        """Read the roster of this digest. Raises `BadRoster`."""
        path = self._folder / f"{digest}.json"
        if not _DIGEST.fullmatch(digest):
            raise BadRoster("the ledger names no roster")
        try:
            with path.open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise BadRoster(f"{path}: {error.strerror}; import the roster again") from error
        if sha256(raw).hexdigest() != digest:
            raise BadRoster(f"{path}: is not the one that was imported; import the roster again")
        try:
            found = _decode(raw)
        except msgspec.MsgspecError as error:
            raise BadRoster(f"{path}: {error}; import the roster again") from error
        if found.format != FORMAT:
            raise BadRoster(f"{path}: is of another version of authd; import the roster again")
        return Roster().merged(found.terms)

    def forget(self, digests: Sequence[str]) -> None:
        """Remove every file but those of the newest of these, which come in the ledger's order."""
        good = {f"{digest}.json" for digest in digests[-KEPT:]}
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name not in good and path.suffix in (".json", ".new"):
                path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
