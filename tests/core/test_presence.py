"""Idle, absence and maximum age against their definition, and what may take which of them back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.core import presence
from authd.core.model import SECOND, EndReason, Instant, Limits
from authd.core.presence import Watch

T = Instant(100 * SECOND)
LIMITS = Limits(idle=60 * SECOND, absence=10 * SECOND, fade=5 * SECOND, overall=3_600 * SECOND)
spans = st.integers(min_value=1, max_value=10_000)
instants = st.integers(min_value=0, max_value=10_000).map(Instant)
limits = st.builds(Limits, idle=spans, absence=st.none() | spans, fade=spans, overall=spans)
watches = st.builds(Watch, active_at=instants, present=st.none() | st.booleans(), absent_since=st.none() | instants)


@given(watch=watches, limits=limits, began=instants)
def test_the_session_ends_at_the_first_limit(watch: Watch, limits: Limits, began: Instant) -> None:
    ends = {EndReason.IDLE: watch.active_at + limits.idle, EndReason.EXPIRED: began + limits.overall}
    if watch.absent_since is not None and limits.absence is not None:
        ends[EndReason.ABSENCE] = watch.absent_since + limits.absence
    due = presence.due(watch, limits, began)
    assert due.ends_at == min(ends.values()) == ends[due.reason]


@given(watch=watches, limits=limits, began=instants)
def test_the_fade_is_the_last_part_of_the_limit_and_at_most_half(watch: Watch, limits: Limits, began: Instant) -> None:
    due = presence.due(watch, limits, began)
    limit = {EndReason.IDLE: limits.idle, EndReason.ABSENCE: limits.absence, EndReason.EXPIRED: limits.overall}
    whole = limit[due.reason]
    assert whole is not None
    assert 0 <= due.ends_at - due.fades_at <= limits.fade
    assert due.ends_at - due.fades_at <= whole / 2


def test_activity_postpones_idle_and_nothing_else() -> None:
    watch = presence.active(Watch(T, present=False, absent_since=T), Instant(T + SECOND))
    assert watch == Watch(Instant(T + SECOND), present=False, absent_since=T)


def test_an_absence_counts_from_the_first_word() -> None:
    watch = presence.sensed(Watch(T), present=False, now=T, fading=False)
    watch = presence.sensed(watch, present=False, now=Instant(T + SECOND), fading=False)
    assert watch.absent_since == T


def test_somebody_takes_an_absence_back_before_its_fade() -> None:
    watch = presence.sensed(Watch(T, False, T), present=True, now=Instant(T + SECOND), fading=False)
    assert watch.absent_since is None


def test_somebody_takes_no_absence_back_once_it_fades() -> None:
    watch = presence.sensed(Watch(T, False, T), present=True, now=Instant(T + 6 * SECOND), fading=True)
    assert watch.absent_since == T


def test_a_touch_begins_everything_anew() -> None:
    assert presence.touched(Watch(Instant(0), True, T), T) == Watch(T, True, None)


def test_a_touch_that_no_sensor_confirms_starts_the_absence_anew() -> None:
    assert presence.touched(Watch(Instant(0), False, Instant(1)), T) == Watch(T, False, T)


@pytest.mark.parametrize("sensor", [None, False])
def test_without_an_absence_limit_the_sensor_ends_nothing(sensor: bool | None) -> None:
    watch = Watch(T, sensor, T if sensor is False else None)
    due = presence.due(watch, Limits(idle=60 * SECOND, absence=None), T)
    assert (due.reason, due.ends_at) == (EndReason.IDLE, T + 60 * SECOND)
