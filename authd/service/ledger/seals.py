"""The sealed spans as a reader knows them: which there are (rows say so), and what they hold of a place."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from authd.core.complete import NotComplete, Span, bounds, key_of
from authd.core.model import Kind, Value
from authd.service.ledger.ahead import Part, read_all
from authd.service.ledger.narrow import numbers, placed
from authd.service.ledger.record import Recorded, decode, place
from authd.service.ledger.retired import read
from authd.service.ledger.spans import BadSpan, Sorted, build, leaves_in, load
from authd.service.ledger.trouble import LedgerDamaged

if TYPE_CHECKING:
    from authd.service.ledger.query import Reader

MOST_FILES, MOST_MADE = 2_048, 4
"""Spans that are kept in memory: the beginnings of files, 4 kB each, and whole ones whose file is gone, 4 MB each."""
_SEALED = place(f"kind:{Kind.LEDGER_SEALED}")
_ALWAYS = (-(1 << 62), 1 << 62)
_log = logging.getLogger("authd.ledger")


@dataclass(frozen=True, slots=True)
class Found:
    """Leaves of a place's rows, and the leaf up to which sealed spans know of any."""

    leaves: list[int]
    covered: int


@dataclass(frozen=True, slots=True)
class Seal:
    """One sealed span, and the row that says so."""

    span: Span
    spans: int
    """Number of spans up to it."""
    index: bytes
    """Root over the headers of all of them."""
    seq: int
    leaf: int


class Seals:
    """What `ledger.sealed` rows say, read once; and the spans' files. Used by one `Reader`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[Path, list[Seal]] = {}
        self._final: set[Path] = set()
        """Segments that were read when they were no longer the last."""
        self._files: OrderedDict[int, Sorted] = OrderedDict()
        self._made: OrderedDict[int, Sorted] = OrderedDict()

    def all(self) -> list[Seal]:
        """Return every seal, in order, up to now; the caller holds a snapshot of the last segment."""
        reader, seals = self._reader, list[Seal]()
        paths = reader.segments()
        for path in paths:
            if path not in self._final:
                self._known[path] = self._look(path)
                if path != paths[-1]:
                    self._final.add(path)
            seals += self._known[path]
        for before, seal in pairwise(seals):
            if seal.span.first != before.span.stop or seal.spans != before.spans + 1:
                raise LedgerDamaged(f"the seal #{seal.seq} leaves rows out", reader.folder)
        return seals

    def headers(self) -> list[Span]:
        """Return the headers of all spans, those first whose seal went with its month."""
        return read(self._reader.folder).headers() + [seal.span for seal in self.all()]

    def find(self, of: str, since_ms: int, until_ms: int) -> Found:
        """Return what the sealed spans hold of a place."""
        seals, key = self.all(), key_of(of)
        spans = [seal.span for seal in seals if seal.span.touches(since_ms, until_ms)]
        leaves = sorted(leaf for some in self._leaves(spans, *bounds(key, since_ms, until_ms)) for leaf in some)
        return Found(leaves, seals[-1].span.stop if seals else 0)

    def sorted(self, span: Span) -> Sorted:
        """Return a span's sorted entries: from its file, or made anew where that is gone or another's."""
        known = self._files.get(span.first) or self._made.get(span.first)
        if known is not None and known.span == span:
            return known
        try:
            return _keep(self._files, load(self._reader.folder, span), MOST_FILES)
        except (BadSpan, OSError) as error:
            return self.made(span, error)

    def made(self, span: Span, why: Exception) -> Sorted:
        """Sort the span's entries from its rows. Raises `LedgerDamaged` if they are not what was sealed."""
        _log.warning("the index of rows %d to %d is made anew: %s", span.first, span.stop, why)
        self._files.pop(span.first, None)
        made, _ = build(self._reader.leaves(span.first, span.stop))
        if made.span != span:
            raise LedgerDamaged(f"the rows of leaves {span.first} to {span.stop} were changed", self._reader.folder)
        return _keep(self._made, made, MOST_MADE)

    def _leaves(self, spans: list[Span], low: bytes, high: bytes) -> Iterator[list[int]]:
        """Yield what each span has, in any order; a place may be in all of them, so all files are asked at once."""
        parts: list[tuple[Span, Part]] = []
        for span in spans:
            known = self.sorted(span)
            if known.part is None:
                yield known.leaves(low, high)
            else:
                parts.append((span, known.part(*known.near(low, high))))
        for (span, (_, _, length)), raw in zip(parts, read_all([part for _, part in parts]), strict=True):
            if raw is None or len(raw) != length:
                yield self.made(span, BadSpan("the file is gone or too short")).leaves(low, high)
            else:
                yield leaves_in(raw, low, high)

    def _look(self, path: Path) -> list[Seal]:
        reader = self._reader
        db, known = reader.db(path), self._known.get(path, [])
        if reader.older(path):
            return []
        after = known[-1].seq if known else 0
        wanted = [seq for seq in numbers(db, _SEALED, *_ALWAYS) if seq > after]
        fresh = [row for seq in wanted for row in reader.select(path, "seq = ?", (seq,))]
        tail = reader.select(path, "seq > ? ORDER BY seq", (max(placed(db), after),))
        fresh += [row for row in tail if row.entry.kind is Kind.LEDGER_SEALED]
        size, seq = reader.base(path)
        return known + [seal_of(row, size + row.seq - seq - 1) for row in fresh]


def seal_of(row: Recorded, leaf: int) -> Seal:
    """Read a `ledger.sealed` row. Raises `NotComplete` if it is none."""
    data = row.entry.data
    first, stop, count, earliest, latest, spans = (
        data.get(name) for name in ("first", "stop", "entries", "earliest", "latest", "spans")
    )
    try:
        span = Span(
            _number(first),
            _number(stop),
            _number(count),
            _number(earliest),
            _number(latest),
            bytes.fromhex(str(data["root"])),
        )
        return Seal(span, _number(spans), bytes.fromhex(str(data["index"])), row.seq, leaf)
    except (KeyError, ValueError) as error:
        raise NotComplete(f"#{row.seq} is not a seal") from error


def data_of(span: Span, spans: int, index: bytes) -> dict[str, Value]:
    """Return the data of the row that seals a span."""
    root = span.root.hex()
    times: dict[str, Value] = {"earliest": span.earliest, "latest": span.latest}
    return {"first": span.first, "stop": span.stop, "entries": span.entries, **times, "root": root} | {
        "spans": spans,
        "index": index.hex(),
    }


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("not a number")
    return value


def read_seal(raw: bytes, leaf: int) -> Seal:
    """Read the bytes of a `ledger.sealed` row. Raises `NotComplete`, `BadRow`."""
    row = decode(raw)
    if row.entry.kind is not Kind.LEDGER_SEALED:
        raise NotComplete(f"#{row.seq} is not a seal")
    return seal_of(row, leaf)


def _keep(kept: OrderedDict[int, Sorted], made: Sorted, most: int) -> Sorted:
    kept[made.span.first] = made
    if len(kept) > most:
        kept.popitem(last=False)
    return made
