"""Sessions that two people opened outside the rules, and who has looked at them since: all of it from the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from authd.core.model import Kind, SessionId, SubjectId
from authd.service.bus.house import BreakGlass
from authd.service.ledger import Ledger, Recorded

WorkingDay = Callable[[date], bool]
LONGEST_HOLIDAY: Final = 366


def next_working_day(day: date, working: WorkingDay) -> date:
    """Return the first working day after `day`; where there is none within a year, the very next day."""
    later = (day + timedelta(days=number) for number in range(1, LONGEST_HOLIDAY + 1))
    return next((each for each in later if working(each)), day + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Reviews:
    """`wall_ms`: now, for people; `working`: whether that is a day of duty, by the settings in force."""

    ledger: Ledger
    wall_ms: Callable[[], int]
    working: WorkingDay

    async def all(self) -> list[BreakGlass]:
        """Return every such session, the newest first."""
        reviewed: dict[SessionId, Recorded] = {}
        for row in await self.ledger.entries(f"kind:{Kind.BREAKGLASS_REVIEWED}"):
            if row.entry.session is not None:
                reviewed.setdefault(row.entry.session, row)
        rows = await self.ledger.entries(f"kind:{Kind.BREAKGLASS_OPENED}")
        found = [self._of(row, reviewed) for row in rows if row.entry.session and row.entry.subject and row.entry.seat]
        return found[::-1]

    def _of(self, row: Recorded, reviewed: dict[SessionId, Recorded]) -> BreakGlass:
        entry = row.entry
        assert entry.session is not None
        assert entry.subject is not None
        assert entry.seat is not None
        helper, review = entry.data.get("helper"), reviewed.get(entry.session)
        due = next_working_day(_day(row.wall_ms), self.working)
        officer = review.entry.data.get("officer") if review is not None else None
        return BreakGlass(
            entry.session,
            entry.seat,
            entry.subject,
            SubjectId(str(helper)) if helper else None,
            row.wall_ms,
            due.isoformat(),
            review.wall_ms if review is not None else None,
            SubjectId(str(officer)) if officer else None,
            late=review is None and _day(self.wall_ms()) > due,
        )


def _day(wall_ms: int) -> date:
    return datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone().date()
