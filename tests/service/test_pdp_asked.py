"""`pdp.asked`: what stands in the ledger of a decision is enough to decide it again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from authd.core.model import Acr, Action, Factor, Grade, Load, Request, SubjectId
from authd.service.pdp import LocalTime, PersonAttrs
from authd.service.pdp.question import decide, parse
from tests.service.pdp_help import CLERK, COUNTER, GONE, LOGIN, NOON, OFFICE, OTHER, STEP_UP, pdp, shipped

_people = st.sampled_from([CLERK, OTHER, GONE])
_requests = st.builds(
    Request,
    action=st.sampled_from(Action),
    subject=_people,
    seat=st.sampled_from([COUNTER, OFFICE]),
    factors=st.frozensets(st.sampled_from(Factor)),
    shift_open=st.booleans(),
    grade=st.sampled_from(Grade),
    margin=st.floats(),
    pad=st.none() | st.floats(0, 1),
    resource=st.sampled_from(["resident-record", "resident-record/address"]),
    fresh=st.frozensets(st.sampled_from(Factor)),
    owner=st.none() | _people,
    fingers=st.integers(1, 2),
    helper=st.none() | _people,
    vouches=st.integers(0, 4),
    acr=st.sampled_from(Acr),
    max_age=st.none() | st.integers(0, 3_600),
    break_glass=st.booleans(),
    load=st.none() | st.builds(Load, st.just("usb"), st.integers(-1, 10**9), st.text(max_size=8), st.booleans()),
)
_near = st.builds(replace, st.just(LOGIN), margin=st.floats(0.01, 0.03), factors=st.frozensets(st.sampled_from(Factor)))


def _time(day: date, minute: int, trusted: bool) -> LocalTime:
    return LocalTime(minute, day.isoweekday(), day.isoformat(), trusted)


@settings(max_examples=300, deadline=None)
@given(
    request_=_requests | _near, time=st.builds(_time, st.dates(), st.integers(0, 1439), st.booleans()) | st.just(NOON)
)
def test_decided_again_it_comes_out_the_same(request_: Request, time: LocalTime) -> None:
    point = pdp(time=time)
    first = point.decide(request_)
    assert first.asked
    assert decide(shipped(), parse(first.asked)) == first


def test_the_people_are_written_down_as_they_were() -> None:
    point = pdp()
    point.directory.update(PersonAttrs(CLERK, "tax", groups=frozenset({"b", "a"}), seats=frozenset({COUNTER})))
    asked = point.decide(LOGIN).asked
    point.directory.update(PersonAttrs(CLERK, "resident", disabled=True))
    assert '"subject":{"id":"sub_clerk","section":"tax","groups":["a","b"],"seats":["counter-1"]}' in asked
    assert decide(shipped(), parse(asked)).permitted


def test_it_is_short_and_holds_no_name() -> None:
    asked = pdp().decide(STEP_UP).asked
    assert len(asked) < 400
    assert parse(asked).at == "2026-11-24T12:00"


def test_what_is_not_known_cannot_be_written_down() -> None:
    assert pdp().decide(replace(LOGIN, subject=SubjectId("sub_nobody"))).asked == ""
    assert pdp().decide(replace(LOGIN, helper=SubjectId("sub_nobody"))).asked == ""
