"""Days and months as people at the counter have them: the machine's own time zone, months by name, days of duty."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from authd.service.reviews import next_working_day

DUE_DAY: Final = 10
"""Day of the next month on which a month's review is due; the next working day, where that is none."""
ESCALATE_EVERY: Final = 7
"""Days that each level has, before the next one up is told."""
MOST_MONTHS: Final = 12
"""Months back that are reviewed."""
FURTHEST_MS: Final = 250_000_000_000_000
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class BadMonth(ValueError):
    """Not a month, `YYYY-MM`."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """`working`: whether that is a day of duty; `zone`: of the people, None for the machine's own."""

    working: Callable[[date], bool]
    zone: tzinfo | None = None

    def local(self, wall_ms: int) -> datetime:
        """Return the time on the wall."""
        return datetime.fromtimestamp(min(max(wall_ms, 0), FURTHEST_MS) / 1000, UTC).astimezone(self.zone)

    def day(self, wall_ms: int) -> date:
        """Return the local day."""
        return self.local(wall_ms).date()

    def begins(self, day: date) -> int:
        """Return the first millisecond of a local day."""
        midnight = datetime.combine(day, time(), self.zone)
        return int((midnight if self.zone else midnight.astimezone()).timestamp() * 1000)

    def month(self, name: str) -> tuple[int, int]:
        """Return the milliseconds of a month, the first and the one behind the last. Raises `BadMonth`."""
        first = first_of(name)
        return self.begins(first), self.begins(_following(first))

    def due(self, name: str) -> date:
        """Return the day at whose end the review of this month is late. Raises `BadMonth`."""
        tenth = _following(first_of(name)).replace(day=DUE_DAY)
        return next_working_day(tenth - timedelta(days=1), self.working)

    def closed(self, since_ms: int, now_ms: int) -> Sequence[str]:
        """Return the months that are over, from the one of `since_ms` on, the oldest first, at most `MOST_MONTHS`."""
        month, now = self.day(since_ms).replace(day=1), self.day(now_ms).replace(day=1)
        month = max(month, _back(now, MOST_MONTHS))
        found: list[str] = []
        while month < now:
            found.append(name_of(month))
            month = _following(month)
        return found


def level(due: date, today: date) -> int:
    """Return how many levels above the supervisor a review that nobody signed has come to; 0: it is not late."""
    return 0 if today <= due else 1 + ((today - due).days - 1) // ESCALATE_EVERY


def name_of(day: date) -> str:
    """Return the month of a day, `YYYY-MM`."""
    return f"{day.year:04d}-{day.month:02d}"


def first_of(name: str) -> date:
    """Return the first day of a month. Raises `BadMonth`."""
    match = _MONTH.fullmatch(name)
    if match is None or not 1970 <= int(match[1]) <= 9000:
        raise BadMonth(name)
    return date(int(match[1]), int(match[2]), 1)


def _following(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


def _back(first: date, months: int) -> date:
    number = first.year * 12 + first.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)
