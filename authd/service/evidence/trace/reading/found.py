"""What reading gives, what it may cost, and why it ends early."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Final, Protocol

Cell = str | int
"""What stands in a cell, or its print where the text itself is not kept."""

PIECE: Final = 1 << 16
_FAIR: Final = 16 << 20
_RATIO: Final = 200


class Why(StrEnum):
    """Why a file, or a part of one, was not read."""

    TOO_LARGE = "too_large"
    SPARSE = "sparse"
    BOMB = "bomb"
    TOO_DEEP = "too_deep"
    TOO_MANY = "too_many"
    ENCRYPTED = "encrypted"
    OUTSIDE = "outside"
    SYMLINK = "symlink"
    SPECIAL = "special"
    ENTITIES = "entities"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"
    OLD_OFFICE = "old_office"
    NO_READER = "no_reader"
    TOO_LONG = "too_long"
    MEMORY = "memory"
    DENIED = "denied"
    CRASHED = "crashed"


class Unreadable(Exception):
    """A file or part cannot be read (further). `why` is for people, through the catalogue; `detail` is technical."""

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(f"{why}: {detail}")
        self.why = why
        self.detail = detail[:200]


class Sink(Protocol):
    """Takes what is read."""

    def part(self, path: str, kind: str) -> None:
        """Begin a part: of an archive, each file; else the file itself. path: names joined by `!`."""

    def field(self, text: str) -> int:
        """Return the print of a cell, for those who cannot keep its text."""
        ...

    def row(self, cells: Sequence[Cell]) -> None:
        """Take a row of a table."""

    def line(self, text: str) -> None:
        """Take a line of running text."""

    def trouble(self, path: str, why: Why, detail: str) -> None:
        """Take note that a part was not read, or not to its end."""


@dataclass(slots=True)
class Budget:
    """What one file may cost, with all that is inside it.

    size: bytes of the file itself. given, parts, held: bytes that came out of it, parts, bytes of inner archives that
    are kept in memory now. ends_ns: CLOCK_BOOTTIME.
    """

    size: int
    ends_ns: int = (1 << 63) - 1
    most_given: int = 2 << 30
    most_parts: int = 20_000
    most_held: int = 32 << 20
    most_deep: int = 5
    given: int = 0
    parts: int = 0
    held: int = 0

    def give(self, count: int) -> None:
        """Count bytes that came out of an archive or a compressed stream. Raises `Unreadable`."""
        self.given += count
        if self.given > _FAIR and self.given > _RATIO * max(1, self.size):
            raise Unreadable(Why.BOMB, f"{self.given >> 20} MiB out of {self.size} bytes")
        if self.given > self.most_given:
            raise Unreadable(Why.TOO_LARGE, f"more than {self.most_given >> 20} MiB inside")
        self.hurry()

    def hurry(self) -> None:
        """Stop where the time is over. Raises `Unreadable`."""
        if time.clock_gettime_ns(time.CLOCK_BOOTTIME) > self.ends_ns:
            raise Unreadable(Why.TOO_LONG)

    def begin_part(self) -> None:
        """Count a part. Raises `Unreadable`."""
        self.parts += 1
        if self.parts > self.most_parts:
            raise Unreadable(Why.TOO_MANY, f"more than {self.most_parts} parts")


def pieces(stream: IO[bytes], budget: Budget | None) -> Iterator[bytes]:
    """Yield a stream in pieces, counted if they come out of something smaller."""
    while piece := stream.read(PIECE):
        if budget is not None:
            budget.give(len(piece))
        yield piece
