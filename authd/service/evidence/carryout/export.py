"""What `authd export` writes: the rows with canary rows among them, and the fingerprints by which they are known again.

The capability is spent before; the ledger has the digests before the file gets its name. Whatever goes wrong in
between leaves no file, and a carry-out that is open until somebody says what became of it.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import hmac
import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authd.service.evidence.carryout.table import BadTable, Table
from authd.service.evidence.records import derived
from authd.service.evidence.trace import About, PrintsMaker, canaries, canary_count

FOLDER: Final = "prints"
"""In the host's state folder: one file a data set."""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. Digests are SHA-256, hex. `rows`: without the canary rows."""

    rows: int
    canaries: int
    file: str
    prints: str


def export(
    key: bytes, table: Table, out: Path, state: Path, about: About, number: str | None, tell: Callable[[Written], None]
) -> Written:
    """Write the table to `out`, which must not be there. Raises `BadTable`, `BadPrints`, `OSError`; as `tell`.

    key: `Keys.record_key`; state: the host's folder; about: id, kind, title and time of the data set; tell: makes what
    was written durable in the ledger, before the file has its name.
    """
    strange = canaries(key, about.id, table.columns, table.first, canary_count(table.rows))
    maker = PrintsMaker(key, table.columns, number=number)
    part = out.with_name(f".{out.name}.part")
    try:
        file = _write(part, table, _mixed(key, about.id, table, strange), maker)
        made = maker.write(_folder(state), about)
        written = Written(table.rows, len(strange), file, made.digest)
        tell(written)
        _name(part, out)
    finally:
        part.unlink(missing_ok=True)
    return written


def baseline(key: bytes, table: Table, state: Path, about: About, number: str | None) -> Written:
    """Take the fingerprints of a data set that was there before; nothing else is written. Raises as `export`."""
    maker = PrintsMaker(key, table.columns, number=number)
    digest = hashlib.sha256()
    for row in table.each():
        maker.add(row)
    with table.path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    made = maker.write(_folder(state), about)
    return Written(table.rows, 0, digest.hexdigest(), made.digest)


def _folder(state: Path) -> Path:
    folder = state / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _mixed(key: bytes, export: str, table: Table, strange: list[list[str]]) -> Iterator[tuple[list[str], bool]]:
    """Yield every row, and whether it is a canary; these stand where the key and the export's id put them."""
    places = _places(key, export, table.rows, len(strange))
    left = list(zip(places, strange, strict=True))
    at = 0
    for at, row in enumerate(table.each()):
        while left and left[0][0] <= at:
            yield left.pop(0)[1], True
        yield row, False
    if table.rows and at + 1 != table.rows:
        raise BadTable(f"{table.path}: changed while it was read; start again")
    for _, row in left:
        yield row, True


def _places(key: bytes, export: str, rows: int, count: int) -> list[int]:
    dice = derived(key, "canary-place")
    drawn = (hmac.digest(dice, f"{export}\0{number}".encode(), "sha256") for number in range(count))
    return sorted(int.from_bytes(each[:8]) % (rows + 1) for each in drawn)


def _write(part: Path, table: Table, rows: Iterator[tuple[list[str], bool]], maker: PrintsMaker) -> str:
    """Write the file, durably, readable by its owner alone; return its digest."""
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    digest = hashlib.sha256()
    with os.fdopen(descriptor, "wb") as file:
        for chunk in _encoded(table, rows, maker):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _encoded(table: Table, rows: Iterator[tuple[list[str], bool]], maker: PrintsMaker) -> Iterator[bytes]:
    """Yield the file row by row, as its source is written; each row is fingerprinted as it passes."""
    encode = codecs.getincrementalencoder(table.encoding)().encode
    line = io.StringIO(newline="")
    writer = csv.writer(line, delimiter=table.delimiter, lineterminator=table.newline)
    writer.writerow(table.columns)
    for row, canary in rows:
        writer.writerow(row)
        maker.add(row, canary=canary)
        if line.tell() >= _CHUNK:
            yield encode(line.getvalue())
            line.seek(0)
            line.truncate()
    yield encode(line.getvalue(), True)


def _name(part: Path, out: Path) -> None:
    """Give the file its name unless that is taken; drives without links (FAT) rename."""
    try:
        os.link(part, out)
    except FileExistsError:
        raise
    except OSError:
        if out.exists():
            raise FileExistsError(17, "File exists", str(out)) from None
        part.rename(out)
    with suppress(OSError):
        folder = os.open(out.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
