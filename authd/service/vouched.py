"""How often colleagues have vouched for whom in this calendar month, by the ledger's rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from authd.core.model import Entry, Face, Kind, Rung, SeatId, SubjectId
from authd.core.ports import PortError, Publish
from authd.service.ledger import Ledger

NOT_COUNTED: Final = 99
"""Said until the ledger was read: more than any rule allows."""
Month = tuple[int, int]
log = logging.getLogger("authd.vouched")


class Vouches:
    """Stands between the pipeline and its publisher, and counts the sessions that a vouch has opened.

    wall_ms: the wall clock, whose month it is. A session counts once, however often it is seen; one of a later month
    counts too: the clock was put back since, which makes nobody's words fewer.
    """

    def __init__(self, publish: Publish, wall_ms: Callable[[], int]) -> None:
        self._publish, self._wall_ms = publish, wall_ms
        self._counted: dict[SubjectId, dict[str, Month]] = {}
        """Of each person, the sessions and their months."""
        self._read = False

    def of(self, subject: SubjectId) -> int:
        """Return the count of this month; `NOT_COUNTED` until the ledger was read."""
        if not self._read:
            return NOT_COUNTED
        now = self._now()
        return sum(month >= now for month in self._counted.get(subject, {}).values())

    async def read(self, ledger: Ledger, seats: Iterable[SeatId]) -> None:
        """Read this month's sessions from the ledger."""
        first = datetime(*self._now(), 1).astimezone()
        since = int(first.timestamp() * 1000)
        try:
            for seat in seats:
                for row in await ledger.entries(f"seat:{seat}", since):
                    self._count(row.entry, _month(row.wall_ms))
        except PortError as error:
            log.error("nobody can vouch, since nobody knows how often it was done: %s", error)
            return
        self._read = True

    def event(self, entry: Entry) -> None:
        """Part of `ports.Publish`."""
        self._count(entry, self._now())
        self._publish.event(entry)

    def face(self, face: Face) -> None:
        """Part of `ports.Publish`."""
        self._publish.face(face)

    def _count(self, entry: Entry, month: Month) -> None:
        vouched = entry.kind is Kind.SESSION_STARTED and entry.data.get("ladder") == Rung.VOUCH.value
        if vouched and entry.subject is not None and entry.session is not None:
            self._counted.setdefault(entry.subject, {}).setdefault(entry.session, month)

    def _now(self) -> Month:
        return _month(self._wall_ms())


def _month(wall_ms: int) -> Month:
    now = datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone()
    return now.year, now.month
