"""Who sat at a seat: sessions put together from their rows, each with its evidence and how much that is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from authd.core.model import EndReason, Grade, Instant, Kind, SeatId, SessionId, SubjectId, Value
from authd.service.ledger.query import SESSION, Reader
from authd.service.ledger.record import Recorded
from authd.service.ledger.sat import sat

LONGEST_MS = 13 * 3_600_000
"""No session lasts longer (12 h, NIST SP 800-63B-4 AAL3), with an hour for clocks that were set."""
FARTHEST = 100_000
"""Rows of a seat's sessions among which the end of a session is looked for, behind its last known one."""
CLOCK_TOLERANCE_MS = 5_000
"""Wall clock and boot clock may drift apart by this much in one session before an answer says so."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One person at one seat. Times are wall-clock ms; `seconds` is counted on CLOCK_BOOTTIME, which nobody can set."""

    seat: SeatId
    subject: SubjectId
    session: SessionId
    grade: Grade | None
    """How strong the evidence is; the weakest of its rows that carry one."""
    since_ms: int
    until_ms: int | None
    """None: no end is recorded (yet). With reason `crash`: no later than this."""
    reason: EndReason | None
    seconds: float | None
    """None where start and end lie in two boots."""
    clock_moved: bool
    """The wall clock was set meanwhile: the times are not to be trusted, `seconds` is."""
    first: int
    """Number of the row that began it."""
    last: int | None
    evidence: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """`data` of the row that began it: reader, factor, reference, score."""
    steps: tuple[Recorded, ...] = ()
    """What happened in between: fading, kept, stepped up."""


def presence(reader: Reader, seat: str, since_ms: int, until_ms: int) -> list[Stay]:
    """Return every stay that touches the interval, in the ledger's order. A seat without any: nobody was there."""
    rows = sat(reader, seat, since_ms, until_ms, LONGEST_MS)
    if rows is None:
        rows = reader.find(f"seat:{seat}", since_ms - LONGEST_MS, until_ms + LONGEST_MS, SESSION)
    by_session: dict[SessionId, list[Recorded]] = {}
    for row in rows:
        if row.entry.kind.startswith("session.") and row.entry.session is not None:
            by_session.setdefault(row.entry.session, []).append(row)
    stays = [stay for rows in by_session.values() if (stay := _stay(reader, rows)) is not None]
    return [stay for stay in stays if _touches(stay, since_ms, until_ms)]


def _touches(stay: Stay, since_ms: int, until_ms: int) -> bool:
    """Whether the stay may have been in the interval by either clock: one that was set must not hide anybody."""
    if stay.until_ms is None:
        return stay.since_ms <= until_ms
    ends = (stay.since_ms, stay.until_ms, stay.since_ms + int(1000 * (stay.seconds or 0)))
    return min(ends) <= until_ms and max(ends) >= since_ms


def _stay(reader: Reader, rows: list[Recorded]) -> Stay | None:
    """Put one session together; its end may lie far off, after a crash over a weekend or a clock that was set."""
    start = rows[0]
    if start.entry.kind is not Kind.SESSION_STARTED or start.entry.seat is None or start.entry.subject is None:
        return None
    if rows[-1].entry.kind is not Kind.SESSION_ENDED:
        rows = [*rows, *_rest(reader, start.entry.seat, rows[-1])]
    end = rows[-1] if rows[-1].entry.kind is Kind.SESSION_ENDED else None
    seconds = _seconds(start, end)
    return Stay(
        seat=start.entry.seat,
        subject=start.entry.subject,
        session=start.entry.session or SessionId(""),
        grade=max((row.entry.grade for row in rows if row.entry.grade), default=None),
        since_ms=start.wall_ms,
        until_ms=None if end is None else end.wall_ms,
        reason=None if end is None else end.entry.reason,
        seconds=seconds,
        clock_moved=seconds is not None and end is not None and _moved(start, end, seconds),
        first=start.seq,
        last=None if end is None else end.seq,
        evidence=start.entry.data,
        steps=tuple(rows[1:-1] if end else rows[1:]),
    )


def _rest(reader: Reader, seat: str, last: Recorded) -> list[Recorded]:
    """Return what follows of a session, up to its end, which comes before the seat's next owner: not far behind."""
    found, whole = _up_to_end(reader.sessions_behind(seat, last.seq, last.wall_ms), last)
    return found if whole else _up_to_end(reader.sessions_behind(seat, last.seq), last)[0]


def _up_to_end(rows: Iterable[Recorded], last: Recorded) -> tuple[list[Recorded], bool]:
    """Return what is of the session, and whether its end was among it and no other one began before."""
    found: list[Recorded] = []
    whole = True
    for row in islice(rows, FARTHEST):
        if row.entry.session == last.entry.session and row.entry.kind.startswith("session."):
            found.append(row)
            if row.entry.kind is Kind.SESSION_ENDED:
                return found, whole
        elif row.entry.kind is Kind.SESSION_STARTED:
            whole = False
    return found, False


def _seconds(start: Recorded, end: Recorded | None) -> float | None:
    if end is None or start.boot != end.boot:
        return None
    return Instant(end.entry.at - start.entry.at) / 1e9


def _moved(start: Recorded, end: Recorded, seconds: float) -> bool:
    return abs(end.wall_ms - start.wall_ms - 1000 * seconds) > CLOCK_TOLERANCE_MS
