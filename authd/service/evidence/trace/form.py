"""The file of one data set's prints: a fixed order of sorted arrays of fixed width, searched where they lie.

    magic               16 bytes
    length              u32, little-endian as everything here
    about               `About`, JSON, padded with spaces to a multiple of 8
    row prints          u64 x rows, ascending; rows they belong to: u32 x rows
    values              u64 x values, ascending: each different field print; how often: u32 x values
    where               u32 x (values + 1): where a value's cells begin
    first               u32 x (2^bits + 1): where the values of each beginning of `bits` bits begin
    cells               u32 x cells: row * columns + column, of each value that is not common
    checks              u16 x rows * columns: the top of each field's print
    records             20 bytes x rows (none where `records` is false): each row's pseudonym
    digest              SHA-256 of all of it

Every section begins at a multiple of 8.
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from authd.service.evidence.records import RecordId

MAGIC: Final = b"authd prints 1\n\0"
DIGEST_BYTES: Final = 32
RECORD_BYTES: Final = 20
MOST_ABOUT: Final = 1 << 20
MOST_COLUMNS: Final = 64
MOST_ROWS: Final = 10_000_000
MOST_CELLS: Final = (1 << 32) - 1
SUFFIX: Final = ".prints"


class BadPrints(ValueError):
    """Not a file of prints, or damaged: one line that says what to do."""


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a data set's file says of itself. Nothing in it tells a resident's name or number.

    follows: for each column, those that follow from it (an address tells its postal code): no evidence beside it.
    density: for a column of numbers that are each one row's, how many of the numbers around them are in it too.
    """

    id: str
    kind: str
    """`export` or `baseline`."""
    title: str = ""
    """What a person called it."""
    made: str = ""
    """Wall time, ISO 8601."""
    columns: tuple[str, ...] = ()
    rows: int = 0
    values: int = 0
    cells: int = 0
    bits: int = 0
    records: bool = False
    follows: tuple[tuple[int, ...], ...] = ()
    density: tuple[float | None, ...] = ()
    canaries: tuple[int, ...] = ()
    """Rows that are nobody's."""


@dataclass(frozen=True, slots=True)
class Section:
    """One array of the file: where it begins, its element's type (of `memoryview.cast`) and how many there are."""

    begin: int
    type: str
    count: int

    @property
    def end(self) -> int:
        """First byte after it."""
        return self.begin + self.count * {"Q": 8, "I": 4, "H": 2, "B": 1}[self.type]


def sections(about: About, begin: int) -> Mapping[str, Section]:
    """Return where everything is, by name, with the digest as the last one."""
    width = len(about.columns)
    records = about.rows * RECORD_BYTES if about.records else 0
    found: dict[str, Section] = {}
    for name, type_, count in (
        ("row_prints", "Q", about.rows),
        ("row_numbers", "I", about.rows),
        ("values", "Q", about.values),
        ("often", "I", about.values),
        ("where", "I", about.values + 1),
        ("first", "I", (1 << about.bits) + 1),
        ("cells", "I", about.cells),
        ("checks", "H", about.rows * width),
        ("records", "B", records),
        ("digest", "B", DIGEST_BYTES),
    ):
        found[name] = Section(begin, type_, count)
        begin = padded(found[name].end)
    return found


def padded(length: int) -> int:
    """Return the next multiple of 8."""
    return (length + 7) & ~7


def head(about: About) -> bytes:
    """Return the file's beginning."""
    body = msgspec.json.encode(about)
    body += b" " * (-(len(MAGIC) + 4 + len(body)) % 8)
    return MAGIC + len(body).to_bytes(4, "little") + body


def record_bytes(record: str) -> bytes:
    """Return a pseudonym's 20 bytes. Raises ValueError."""
    raw = b32decode(record.removeprefix("rec_").upper())
    if len(raw) != RECORD_BYTES:
        raise ValueError("not a record's pseudonym")
    return raw


def record_id(raw: bytes) -> RecordId:
    """Return a pseudonym from its 20 bytes."""
    return RecordId("rec_" + b32encode(raw).decode().lower())


def read_about(raw: bytes) -> tuple[About, int]:
    """Read a file's beginning (at least its first `MOST_ABOUT` bytes, or all); also where the arrays begin."""
    if raw[: len(MAGIC)] != MAGIC:
        raise BadPrints("not a file of prints")
    begin = len(MAGIC) + 4
    length = int.from_bytes(raw[len(MAGIC) : begin], "little")
    if length > MOST_ABOUT or len(raw) < begin + length:
        raise BadPrints("its beginning is cut off")
    try:
        about = msgspec.json.decode(raw[begin : begin + length], type=About)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadPrints(f"its beginning cannot be read: {error}") from None
    for problem in _problems(about):
        raise BadPrints(problem)
    return about, begin + length


def _problems(about: About) -> Iterator[str]:
    width = len(about.columns)
    if not (1 <= width <= MOST_COLUMNS and 0 <= about.rows <= MOST_ROWS and about.rows * width <= MOST_CELLS):
        yield "its size is not one of a data set"
    if len(about.follows) != width or len(about.density) != width or not 0 <= about.bits <= 24:
        yield "its columns do not fit together"
    if not (0 <= about.values <= about.rows * width and 0 <= about.cells <= about.rows * width):
        yield "its counts do not fit together"
    if any(not 0 <= column < width for each in about.follows for column in each):
        yield "its columns do not fit together"
    if any(not 0 <= row < about.rows for row in about.canaries):
        yield "its canaries do not fit"
