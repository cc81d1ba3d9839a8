"""`pdp.settings`: strict, and never looser than a standard."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.core.model import HOUR, MINUTE, SECOND, Handover
from authd.service.pdp import AUTO, BundleError, installed, next_duty, settings
from authd.service.pdp.settings import Hours, Settings, parse


def test_the_shipped_file_says_what_the_defaults_are() -> None:
    text = (installed() / "settings.toml").read_text(encoding="utf-8")
    assert parse(text) == Settings() == parse("")


def test_values_are_read() -> None:
    found = parse(
        '[seat.office]\nidle_s = 120.5\nhandover = "close"\nfingers = 2\n'
        '[calendar]\nholidays = ["2027-01-01"]\n'
        '[hours.class.office]\nfrom = "08:30"\nuntil = "24:00"\ndays = ["sat"]\nholidays = true\n'
        '[hours.section."住民課"]\nuntil = "19:00"\n'
    )
    assert found.limits["office"].idle == 120_500_000_000
    assert found.limits["office"].handover is Handover.CLOSE
    assert dict(found.fingers) == {"counter": AUTO, "office": 2}
    assert found.limits["counter"] == Settings().limits["counter"]
    assert found.holidays == {"2027-01-01"}
    assert found.hours_of("office", "tax") == Hours(frozenset({6}), 510, 1440, holidays=True)
    assert found.hours_of("office", "住民課") == Hours(end=1140)
    assert found.hours_of("counter", "tax") == Hours()


def test_what_is_due_on_the_next_working_day() -> None:
    found = parse('[calendar]\nholidays = ["2026-11-23"]\n')
    assert next_duty(found, date(2026, 11, 19), "counter", "resident") == date(2026, 11, 20)
    assert next_duty(found, date(2026, 11, 20), "counter", "resident") == date(2026, 11, 24)  # a holiday on Monday
    never = parse("[hours.default]\ndays = []\n")
    assert next_duty(never, date(2026, 11, 20), "counter", "resident") == date(2026, 11, 27)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "\n[seat.counter]\nidle_s = 900\n",
            "settings.toml:3: idle_s must be <= 300 (standard: Juki-net municipal rules, idle <= 5 min), got 900",
        ),
        ("[seat.office]\noverall_s = 43201", "settings.toml:2: overall_s must be <= 43200 (standard: NIST"),
        ("[seat.counter]\nabsence_s = 61", "settings.toml:2: absence_s must be <= 60 ("),
        ("[seat.counter]\nfreshness_s = 11", "settings.toml:2: freshness_s must be <= 10 ("),
        (
            "[seat.counter]\nremoval_grace_s = 0.9",
            "settings.toml:2: removal_grace_s must be <= 0.8 (authd invariant I3",
        ),
        ("[carryout]\nexpires_h = 25", "settings.toml:2: expires_h must be <= 24 (authd feature 13"),
        ("[carryout]\nreturn_days = 32", "settings.toml:2: return_days must be <= 31 (authd feature 13"),
        ("[carryout]\nmost_rows = 10000001", "settings.toml:2: most_rows must be <= 1e+07 ("),
        ("[carryout]\ntrip_session = 0", "settings.toml:2: trip_session must be >= 1 ("),
        ("[rules]\nvouches_a_month = 4", "settings.toml:2: vouches_a_month must be <= 3 ("),
        ("[rules]\nbreak_glass_s = 3601", "settings.toml:2: break_glass_s must be <= 3600 ("),
        ("[seat.counter]\nidle_s = 0", "settings.toml:2: idle_s must be >= 5 ("),
        ("[seat.counter]\nidle_s = nan", "settings.toml:2: idle_s must be <= 300 ("),
        ("[seat.counter]\nidle_s = true", "settings.toml:2: idle_s must be a number, got True"),
        ("[seat.counter]\nidle_s = '60'", "settings.toml:2: idle_s must be a number, got '60'"),
        ("[seat.counter]\nfade_s = 10", "settings.toml:2: fade_s must be < idle_s and < absence_s"),
        ("[seat.counter]\nabsence_s = 4", "settings.toml:1: fade_s must be < idle_s and < absence_s"),
        ("[seat.counter]\nidle = 60", "settings.toml:2: unknown key idle, expected one of: idle_s, "),
        ("[seat.counter]\nfingers = 3", "settings.toml:2: fingers must be one of 'auto', 1, 2, got 3"),
        ("[seat.counter]\nfingers = '2'", "settings.toml:2: fingers must be one of 'auto', 1, 2, got '2'"),
        ("[seat.counter]\nfingers = true", "settings.toml:2: fingers must be one of 'auto', 1, 2, got True"),
        ("[seat.counter]\nhandover = 'keep'", "settings.toml:2: handover must be one of park, close, got 'keep'"),
        ("[seat.kiosk]\nidle_s = 60", "settings.toml:1: unknown key kiosk, expected one of: counter, office"),
        ("[sseat.counter]", "settings.toml:1: unknown key sseat, expected one of: seat, rules, calendar, hours"),
        ("seat = 5", "settings.toml:1: seat must be a table, got 5"),
        ("\n\n[seat.counter\n", "settings.toml:3: expected TOML: "),
        ("[rules]\nmax_false_identification = 1e-3", "settings.toml:2: max_false_identification must be <= 0.0001 ("),
        ("[rules]\nmin_margin = -1", "settings.toml:2: min_margin must be >= 0 ("),
        ("[rules]\nuntrusted_clock_may_open = 1", "settings.toml:2: untrusted_clock_may_open must be true or false"),
        ("[hours.default]\nfrom = '22:00'", "settings.toml:1: until must be later than from"),
        ("[hours.default]\nfrom = '24:30'", "settings.toml:2: from must be"),
        ("[hours.default]\nfrom = 7", "settings.toml:2: from must be a string, got 7"),
        ("[hours.default]\ndays = ['Monday']", "settings.toml:2: days must hold one of mon, tue"),
        ("[hours.default]\ndays = 'mon'", "settings.toml:2: days must be a list"),
        ("[calendar]\nholidays = [\n  '2027-01-01',\n  '1 May']", "settings.toml:2: holidays must hold a date"),
        ("seat.counter.idle_s = 900", "settings.toml:1: idle_s must be <= 300"),
        ("[seat]\n\ncounter = { idle_s = 900 }", "settings.toml:3: idle_s must be <= 300"),
    ],
)
def test_an_error_is_one_line_that_says_where_and_what_is_expected(text: str, error: str) -> None:
    with pytest.raises(BundleError) as caught:
        parse(text)
    assert str(caught.value).startswith(error)
    assert "\n" not in str(caught.value)


_spans = st.integers(-10, 100_000) | st.floats()
_keys = ("idle_s", "absence_s", "fade_s", "overall_s", "freshness_s", "bounce_s")


@given(st.dictionaries(st.sampled_from(_keys), _spans), st.sampled_from(settings.CLASSES))
def test_no_file_that_is_taken_loosens_a_standard(spans: dict[str, float], seat_class: str) -> None:
    lines = "\n".join(f"{key} = {value!r}" for key, value in spans.items())
    try:
        limits = parse(f"[seat.{seat_class}]\n{lines}\n").limits[seat_class]
    except BundleError:
        return
    assert 5 * SECOND <= limits.idle <= 5 * MINUTE
    assert limits.absence is not None
    assert limits.absence <= MINUTE
    assert limits.overall <= 12 * HOUR
    assert limits.freshness <= 10 * SECOND
    assert limits.fade < min(limits.idle, limits.absence)


@given(st.text())
def test_any_text_is_taken_or_refused_in_one_way(text: str) -> None:
    with contextlib.suppress(BundleError):
        parse(text)
