"""Reading record views from a ledger's files: plain functions, with or without a daemon."""

from __future__ import annotations

from typing import Final

from authd.core.model import Kind
from authd.service.evidence.views.said import Why
from authd.service.ledger import Reader, Recorded
from authd.service.ledger.query import ALWAYS

_WITHIN_MS: Final = 60_000
"""A view is taken back at once, or, where the ledger was slow, as soon as it can be."""
KINDS: Final = (Kind.VIEW_OPENED, Kind.VIEW_ACKNOWLEDGED, Kind.VIEW_REFUSED)


def viewed(reader: Reader, of: str, since_ms: int, until_ms: int) -> list[Recorded]:
    """Return the views of a record, person or seat (`record:rec_...`, `subject:...`, `seat:...`) in an interval.

    In the ledger's order; refused reports too: those of a record or seat, and those of a person that took a view back.
    """
    return [row for row in reader.find(of, since_ms, until_ms) if row.entry.kind in KINDS]


def unshown(reader: Reader, of: str, since_ms: int, until_ms: int) -> frozenset[int]:
    """Return the numbers of those views that came to nothing: their session had ended before they were answered."""
    rows = viewed(reader, of, since_ms, min(until_ms + _WITHIN_MS, ALWAYS[1]))
    ended = (row.entry.data for row in rows if row.entry.kind is Kind.VIEW_REFUSED)
    seqs = (data.get("view") for data in ended if data.get("why") == Why.ENDED.value)
    return frozenset(seq for seq in seqs if isinstance(seq, int))
