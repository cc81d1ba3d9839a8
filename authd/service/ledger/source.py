"""Where a witness reads a ledger: its folder, or the C2SP tiles of it (`authd ledger export`), as files or by HTTP."""

from __future__ import annotations

import struct
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from authd.core.tiles import WIDTH, path_of, tiles_of, width_of
from authd.core.tlog import NOTE_LIMIT
from authd.service.ledger.head import published
from authd.service.ledger.proofs import tile_of
from authd.service.ledger.query import Reader

BUNDLE_LIMIT = WIDTH * (2 + 65_535)
TIMEOUT_S = 10.0
_LENGTH = struct.Struct(">H")


class SourceGone(OSError):
    """What should be there cannot be read, or is not what it should be."""


class Source(Protocol):
    """A ledger as somebody else shows it."""

    def note(self) -> str:
        """Return its newest signed checkpoint. Raises OSError."""
        ...

    def rows(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Yield leaf and bytes of the rows `[start, stop)`. Raises OSError."""
        ...


class Folder:
    """A ledger's own folder, or a copy of it."""

    def __init__(self, folder: Path) -> None:
        self._reader = Reader(folder)

    def note(self) -> str:
        """See `Source`."""
        return published(self._reader.folder) or ""

    def rows(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """See `Source`."""
        return self._reader.leaves(start, stop)

    def close(self) -> None:
        """Let go of the files."""
        self._reader.close()


class Tiles:
    """What `export` wrote: under a folder, or under a URL that begins with http."""

    def __init__(self, where: str) -> None:
        self._where = where.rstrip("/")

    def note(self) -> str:
        """See `Source`."""
        return self._get("checkpoint", NOTE_LIMIT).decode(errors="replace")

    def rows(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """See `Source`."""
        for number in range(start // WIDTH, -(-stop // WIDTH)):
            first = number * WIDTH
            for leaf, raw in enumerate(unbundled(self._bundle(number, width_of(0, number, stop))), first):
                if start <= leaf < stop:
                    yield leaf, raw

    def _bundle(self, number: int, width: int) -> bytes:
        try:
            return self._get(path_of("entries", number, width), BUNDLE_LIMIT)
        except OSError:
            if width == WIDTH:
                raise
            return self._get(path_of("entries", number), BUNDLE_LIMIT)

    def _get(self, path: str, most: int) -> bytes:
        if not self._where.startswith(("http://", "https://")):
            raw = (Path(self._where) / path).read_bytes()
        else:
            with urllib.request.urlopen(f"{self._where}/{path}", timeout=TIMEOUT_S) as answer:  # noqa: S310 (http or https alone)
                raw = answer.read(most + 1)
        if len(raw) > most:
            raise SourceGone(f"{path} is too long")
        return raw


def unbundled(raw: bytes) -> Iterator[bytes]:
    """Yield the rows of a bundle: each behind its length, 16 bits big-endian. Raises `SourceGone`."""
    at = 0
    while at < len(raw):
        if at + 2 > len(raw):
            raise SourceGone("a bundle is cut short")
        (length,) = _LENGTH.unpack_from(raw, at)
        at += 2 + length
        if at > len(raw):
            raise SourceGone("a bundle is cut short")
        yield raw[at - length : at]


def export(reader: Reader, note: str, size: int, folder: Path) -> int:
    """Write checkpoint, tiles and bundles of the tree of `size` into a folder; what is there already stays as it is.

    Any web server can serve the folder (C2SP tlog-tiles). Returns how many files were written.
    """
    written = 0
    for level, number in tiles_of(size):
        width = width_of(level, number, size)
        written += _put(folder / path_of(level, number, width), partial(tile_of, reader, level, number, width))
        if level == 0:
            path = folder / path_of("entries", number, width)
            written += _put(path, partial(_bundle, reader, number * WIDTH, number * WIDTH + width))
    _replace(folder / "checkpoint", note.encode())
    return written + 1


def _bundle(reader: Reader, start: int, stop: int) -> bytes:
    return b"".join(_LENGTH.pack(len(raw)) + raw for _, raw in reader.leaves(start, stop))


def _put(path: Path, make: Callable[[], bytes]) -> int:
    if path.exists():
        return 0
    _replace(path, make())
    return 1


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
