"""Whose data sets these are, as the ledger tells: which export, who took it out, who allowed it, in which session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from authd.core.model import Kind, Value
from authd.service.ledger import Reader, Recorded

KINDS: Final = (
    Kind.CARRYOUT_REQUESTED,
    Kind.CARRYOUT_GRANTED,
    Kind.CARRYOUT_EXPORTED,
    Kind.CARRYOUT_CLOSED,
    Kind.CARRYOUT_BASELINE,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A data set in the ledger. digest: of its prints' file, hex; empty for what has none (a print, a drive)."""

    id: str
    kind: str = "export"
    title: str = ""
    rows: int = 0
    digest: str = ""
    at_ms: int = 0
    seq: int = 0
    """Number of the row that tells of it."""
    seat: str | None = None
    session: str | None = None
    person: str | None = None
    """Subject who took it out."""
    approver: str | None = None
    system: str = ""
    purpose: str = ""
    destination: str = ""
    closed: bool = False
    """Returned or erased, somebody said."""


def read_sources(reader: Reader) -> dict[str, Source]:
    """Return every export and baseline of a ledger, by id."""
    rows = [row for kind in KINDS for row in reader.find(f"kind:{kind}")]
    return gather(sorted(rows, key=lambda row: row.seq))


def gather(rows: Iterable[Recorded]) -> dict[str, Source]:
    """Return what rows in order tell of data sets."""
    found: dict[str, Source] = {}
    for row in rows:
        id_ = str(row.entry.data.get("carryout", ""))
        for changed in _taken(found.get(id_) or Source(id_), row):
            found[id_] = changed
    return {id_: source for id_, source in found.items() if source.digest}


def _taken(source: Source, row: Recorded) -> Iterator[Source]:
    entry, data = row.entry, row.entry.data
    match entry.kind:
        case Kind.CARRYOUT_REQUESTED:
            yield replace(
                source,
                seat=entry.seat,
                session=entry.session,
                person=entry.subject,
                title=_said(data.get("title")),
                system=_said(data.get("system")),
                purpose=_said(data.get("purpose")),
                destination=_said(data.get("destination")),
            )
        case Kind.CARRYOUT_GRANTED:
            yield replace(source, approver=entry.subject)
        case Kind.CARRYOUT_EXPORTED | Kind.CARRYOUT_BASELINE:
            whole = int(data.get("rows") or 0)
            found = replace(source, rows=whole, digest=_said(data.get("prints")), at_ms=row.wall_ms, seq=row.seq)
            baseline = entry.kind is Kind.CARRYOUT_BASELINE
            yield replace(found, kind="baseline", title=_said(data.get("name"))) if baseline else found
        case Kind.CARRYOUT_CLOSED:
            yield replace(source, closed=True)
        case _:
            pass


def _said(value: Value | None) -> str:
    return "" if value is None else str(value)
