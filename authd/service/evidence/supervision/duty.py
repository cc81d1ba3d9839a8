"""Whether somebody's login fits their shift. Not an attendance record: only what is outside is noted."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from authd.service.evidence.supervision.calendar import Calendar
from authd.service.evidence.supervision.terms import Term

TOLERANCE: Final = timedelta(minutes=15)
"""How much before its shift a day may begin, and end after it."""


class Outside(StrEnum):
    """How a login lies outside the roster."""

    BEFORE = "before_shift"
    AFTER = "after_shift"
    DAY_OFF = "day_off"
    OFF_ROSTER = "off_roster"
    """On no roster that day: not yet, or no more."""


def outside(term: Term | None, at: datetime, calendar: Calendar) -> Outside | None:
    """Say how a moment lies outside somebody's shift; None: it does not. `at` is local time."""
    if term is None:
        return Outside.OFF_ROSTER
    today, yesterday = _duty(term, at, 0, calendar), _duty(term, at, -1, calendar)
    if any(duty is not None and _within(duty, at) for duty in (today, yesterday)):
        return None
    if today is not None:
        return Outside.BEFORE if at < today[0] else Outside.AFTER
    late = yesterday is not None and yesterday[1].date() == at.date()
    return Outside.AFTER if late else Outside.DAY_OFF


def _within(duty: tuple[datetime, datetime], at: datetime) -> bool:
    return duty[0] - TOLERANCE <= at <= duty[1] + TOLERANCE


def _duty(term: Term, at: datetime, days: int, calendar: Calendar) -> tuple[datetime, datetime] | None:
    """First and last moment of the duty that begins on the day, `days` from the day of `at`; None: a day off."""
    day = at.date() + timedelta(days=days)
    if day.isoweekday() not in term.days or not _open(term, day.isoweekday(), calendar.working(day)):
        return None
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
    if term.start is None or term.end is None:
        return midnight, midnight + timedelta(days=1) - TOLERANCE - timedelta(milliseconds=1)
    end = term.end if term.end > term.start else term.end + 24 * 60
    return midnight + timedelta(minutes=term.start), midnight + timedelta(minutes=end)


def _open(term: Term, weekday: int, working: bool) -> bool:
    """A holiday is nobody's day of duty, but of whoever works at the weekend anyway."""
    return working or weekday > 5
