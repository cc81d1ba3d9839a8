from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from authd.service.evidence.supervision.calendar import BadMonth, Calendar, level
from authd.service.evidence.supervision.duty import Outside, outside
from authd.service.evidence.supervision.terms import Roster, Term

JST = timezone(timedelta(hours=9))
HOLIDAY = date(2027, 4, 29)
CALENDAR = Calendar(lambda day: day.isoweekday() < 6 and day != HOLIDAY, JST)
APRIL = date(2027, 4, 1)


def term(number: str = "1003", section: str = "resident", since: date = date(2026, 4, 1), **more: object) -> Term:
    return Term(number, f"職員{number}", section, since, **more)  # type: ignore[arg-type]  # as the test says


def test_a_transfer_holds_from_its_day_on() -> None:
    roster = Roster().merged([term(), term(section="tax", since=APRIL)])
    assert roster.on("1003", date(2026, 3, 31)) is None
    assert [roster.on("1003", day).section for day in (date(2027, 3, 31), APRIL)] == ["resident", "tax"]  # type: ignore[union-attr]


def test_whoever_has_left_is_on_no_roster() -> None:
    roster = Roster().merged([term(until=date(2027, 3, 31))])
    assert roster.on("1003", date(2027, 3, 31)) is not None
    assert roster.on("1003", APRIL) is None
    assert roster.merged([term(section="tax", since=APRIL)]).on("1003", APRIL) is not None


def test_a_row_of_the_same_day_takes_the_earlier_ones_place() -> None:
    roster = Roster().merged([term()]).merged([term(section="tax")])
    assert [each.section for each in roster.terms["1003"]] == ["tax"]


def test_what_changes_is_told_exactly() -> None:
    roster = Roster().merged([term()])
    moved, same, new = roster.changes([term(section="tax", since=APRIL), term(since=APRIL), term("1004")])
    assert (moved.fields, same.fields, same.before is None, new.before) == (("section",), (), False, None)


def test_who_supervises_and_who_is_above_them() -> None:
    roster = Roster().merged(
        [
            term("1003", reports_to="1001"),
            term("1001", supervisor=True, reports_to="1"),
            term("1", "office", supervisor=True, reports_to="1001"),
            term("1002", "tax", supervisor=True, until=date(2027, 3, 31)),
        ]
    )
    assert roster.chain("resident", APRIL) == [["1001"], ["1"]]
    assert roster.chain("tax", APRIL) == []


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2027-04-01T08:15", None),
        ("2027-04-01T08:14", Outside.BEFORE),
        ("2027-04-01T17:30", None),
        ("2027-04-01T17:31", Outside.AFTER),
        ("2027-04-03T10:00", Outside.DAY_OFF),
        ("2027-04-29T10:00", Outside.DAY_OFF),
    ],
)
def test_a_day_against_its_shift(at: str, expected: Outside | None) -> None:
    assert outside(term(start=510, end=1035), datetime.fromisoformat(at).replace(tzinfo=JST), CALENDAR) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2027-04-01T22:00", None),
        ("2027-04-02T05:59", None),
        ("2027-04-02T06:16", Outside.BEFORE),
        ("2027-04-03T05:00", None),
        ("2027-04-03T07:00", Outside.AFTER),
        ("2027-04-04T07:00", Outside.DAY_OFF),
    ],
)
def test_a_night_shift_ends_on_the_next_day(at: str, expected: Outside | None) -> None:
    assert outside(term(start=1320, end=360), datetime.fromisoformat(at).replace(tzinfo=JST), CALENDAR) is expected


def test_without_a_shift_only_the_day_counts() -> None:
    assert outside(term(), datetime(2027, 4, 1, 3, tzinfo=JST), CALENDAR) is None
    assert outside(term(), datetime(2027, 4, 3, 3, tzinfo=JST), CALENDAR) is Outside.DAY_OFF
    assert outside(None, datetime(2027, 4, 1, 3, tzinfo=JST), CALENDAR) is Outside.OFF_ROSTER


def test_a_month_is_the_machines_own() -> None:
    first, behind = CALENDAR.month("2027-02")
    assert (CALENDAR.local(first).isoformat(), behind - first) == ("2027-02-01T00:00:00+09:00", 28 * 86_400_000)
    for bad in ("2027-13", "2027-2", "x", "9999-12"):
        with pytest.raises(BadMonth):
            CALENDAR.month(bad)


def test_a_review_is_due_on_the_tenth_or_the_next_day_of_duty() -> None:
    assert CALENDAR.due("2027-02") == date(2027, 3, 10)
    assert CALENDAR.due("2027-03") == date(2027, 4, 12)
    assert CALENDAR.due("2026-12") == date(2027, 1, 11)


def test_it_goes_up_a_level_each_week() -> None:
    due = date(2027, 3, 10)
    assert [level(due, due + timedelta(days=days)) for days in (-1, 0, 1, 7, 8, 15)] == [0, 0, 1, 1, 2, 3]


def test_the_months_that_are_over_are_at_most_twelve() -> None:
    def at(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=JST).timestamp() * 1000)

    assert CALENDAR.closed(at("2027-01-15"), at("2027-04-01")) == ["2027-01", "2027-02", "2027-03"]
    assert CALENDAR.closed(at("2027-04-02"), at("2027-04-30")) == []
    assert len(CALENDAR.closed(0, at("2037-04-30"))) == 12
