"""What stands in for months that were let go of: one file beside the ledger, and what it must agree with."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import msgspec

from authd.core.complete import Span
from authd.core.tlog import leaf_hash, verify_inclusion
from authd.service.ledger.record import BadRow, Recorded, decode
from authd.service.ledger.trouble import LedgerDamaged

_NAME = re.compile(r"retired-(\d{6})\.json")


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A row that still matters, and that it stood in the tree of `size` leaves."""

    leaf: int
    row: str
    size: int
    path: list[str]
    """Base64."""

    def raw(self) -> bytes:
        """Return the row's bytes."""
        return self.row.encode()


class Retired(msgspec.Struct, frozen=True):
    """Everything that is left of the segments up to `segments`."""

    segments: int = 0
    size: int = 0
    """Leaves in the tree where the ledger now begins."""
    seq: int = 0
    """Number of the last row that went."""
    root: str = ""
    """Hex, of that tree."""
    closings: list[tuple[int, str]] = []
    """Size and root (hex) each time something went."""
    spans: list[tuple[int, int, int, int, int, str]] = []
    """Headers of the sealed spans whose `ledger.sealed` row went too."""
    kept: list[Kept] = []

    def headers(self) -> list[Span]:
        """Return the spans' headers."""
        return [
            Span(first, stop, entries, earliest, latest, bytes.fromhex(root))
            for first, stop, entries, earliest, latest, root in self.spans
        ]

    def rows(self) -> list[Recorded]:
        """Return the rows that are kept, in order."""
        return [decode(kept.raw()) for kept in self.kept]

    def faults(self) -> list[str]:
        """Return what does not agree with itself."""
        roots = {size: bytes.fromhex(root) for size, root in self.closings}
        found = [
            f"the kept row at leaf {kept.leaf}"
            for kept in self.kept
            if not verify_inclusion(
                leaf_hash(kept.raw()), kept.leaf, kept.size, [b64decode(one) for one in kept.path], roots[kept.size]
            )
        ]
        return found + ([] if roots.get(self.size) == bytes.fromhex(self.root) else ["where the ledger begins"])


NOTHING = Retired()


def retired_segments(folder: Path) -> int:
    """Return how many segments were let go of."""
    found = (_NAME.fullmatch(name) for name in os.listdir(folder))  # noqa: PTH208 (asked at every question)
    return max((int(match[1]) for match in found if match), default=0)


def path_of(folder: Path, segments: int) -> Path:
    """Return where the file lies."""
    return folder / f"retired-{segments:06d}.json"


def read(folder: Path) -> Retired:
    """Return what is left of the months that went; nothing, where none did. Raises `LedgerDamaged`."""
    count = retired_segments(folder)
    return _read(path_of(folder, count)) if count else NOTHING


def rows(folder: Path) -> list[Recorded]:
    """Return the kept rows, in order. Raises `LedgerDamaged`."""
    count = retired_segments(folder)
    return _rows(path_of(folder, count)) if count else []


def digest(folder: Path) -> str:
    """Return the SHA-256 (hex) of the file; empty without one."""
    count = retired_segments(folder)
    return sha256(path_of(folder, count).read_bytes()).hexdigest() if count else ""


@lru_cache(maxsize=4)
def _rows(path: Path) -> list[Recorded]:
    return _read(path).rows()


@lru_cache(maxsize=4)
def _read(path: Path) -> Retired:
    """A file of one name never changes: it is kept."""
    try:
        retired = msgspec.json.decode(path.read_bytes(), type=Retired)
        retired.rows()
        retired.headers()
    except (msgspec.MsgspecError, BadRow, ValueError) as error:
        raise LedgerDamaged(f"{path.name} is damaged: {error}", path.parent) from error
    if path_of(path.parent, retired.segments) != path:
        raise LedgerDamaged(f"{path.name} is another one's", path.parent)
    return retired
