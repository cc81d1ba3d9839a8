"""`pdp.decision`: what is permitted, and that nothing else ever is."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authd.core.model import (
    HOUR,
    SECOND,
    Acr,
    Action,
    Decision,
    Factor,
    Grade,
    Handover,
    Limits,
    Load,
    Message,
    Request,
    SeatId,
    SubjectId,
)
from authd.service.pdp import Bundle, LocalTime, PersonAttrs, SystemAttrs, cedar, decision, local_time, read
from authd.service.pdp.asked import thousandths
from tests.service.pdp_help import CLERK, COUNTER, GONE, LOGIN, NOON, OFFICE, OTHER, STEP_UP, hall, pdp, shipped, site


def refused(found: Decision, *rules: str, message: Message = Message.REFUSED) -> bool:
    return not found.permitted and found.rules == rules and found.message is message


def test_a_clerk_at_the_own_counter_is_permitted_and_the_decision_says_by_what() -> None:
    found = pdp().decide(LOGIN)
    assert found.permitted
    assert found.rules == ("base.seat.own-section",)
    assert found.bundle == shipped().hash
    assert found.limits == Limits(idle=60 * SECOND, overall=12 * HOUR, handover=Handover.CLOSE)


def test_limits_are_those_of_the_seats_class_and_without_a_sensor_there_is_no_absence() -> None:
    limits = pdp().decide(replace(LOGIN, seat=OFFICE)).limits
    assert (limits.idle, limits.absence, limits.handover) == (300 * SECOND, None, Handover.PARK)


def test_refusals_carry_their_rule_and_the_message_for_the_screen() -> None:
    assert refused(pdp().decide(replace(LOGIN, subject=OTHER)), "pdp.no-permit")
    assert refused(pdp().decide(replace(LOGIN, subject=GONE)), "base.subject.disabled")
    night = replace(NOON, minute=1300)
    assert refused(pdp(time=night).decide(LOGIN), "base.hours.duty", message=Message.REFUSED_HOURS)
    pin = replace(LOGIN, factors=frozenset({Factor.PIN}))
    both = ("base.evidence.person", "base.shift.two-factors")
    assert refused(pdp().decide(pin), *both, message=Message.REFUSED_FACTORS)


def test_the_least_telling_message_wins() -> None:
    found = pdp(time=replace(NOON, minute=0)).decide(replace(LOGIN, subject=GONE))
    assert refused(found, "base.subject.disabled", "base.hours.duty")


def test_holidays_come_from_the_settings(tmp_path: Path) -> None:
    bundle = read(site(tmp_path, settings='[calendar]\nholidays = ["2026-11-24"]\n'))
    assert refused(pdp(bundle).decide(LOGIN), "base.hours.duty", message=Message.REFUSED_HOURS)
    assert pdp(bundle, replace(NOON, date="2026-11-25")).decide(LOGIN).permitted


def test_a_site_may_ask_more_of_a_finger_than_the_reader_does(tmp_path: Path) -> None:
    rules = '@id("site.pad") forbid (principal, action, resource) unless { context has pad && context.pad >= 700 };'
    asks = pdp(read(site(tmp_path, rules)))
    assert asks.decide(replace(LOGIN, pad_level="heuristic", pad=0.7)).permitted
    assert refused(asks.decide(replace(LOGIN, pad_level="heuristic", pad=0.6)), "site.pad")
    assert refused(asks.decide(LOGIN), "site.pad")


def test_an_untrusted_clock_opens_nothing_unless_settings_say_so(tmp_path: Path) -> None:
    wrong = LocalTime(minute=60, weekday=7, date="1970-01-04", trusted=False)
    assert refused(pdp(time=wrong).decide(LOGIN), "base.hours.clock", message=Message.REFUSED_HOURS)
    bundle = read(site(tmp_path, settings="[rules]\nuntrusted_clock_may_open = true\n"))
    assert pdp(bundle, wrong).decide(LOGIN).permitted


def test_a_shift_begins_with_two_factors_where_settings_say_so(tmp_path: Path) -> None:
    bundle = read(site(tmp_path, settings="[rules]\nseat_key_counts = false\n"))
    one = read(site(tmp_path, settings="[rules]\nshift_may_begin_with_one_factor = true\n"))
    both = replace(LOGIN, factors=frozenset({Factor.VEIN, Factor.KEY}), grade=Grade.SIGNED)
    later = replace(LOGIN, shift_open=True, fresh=LOGIN.factors)
    asked = pdp(bundle).decide(LOGIN)
    assert (asked.rules, asked.message, asked.permitted) == (("base.shift.two-factors",), Message.ANOTHER_FACTOR, False)
    assert asked.another_factor
    assert pdp(one).decide(replace(LOGIN, factors=frozenset({Factor.VEIN}))).permitted
    assert pdp(bundle).decide(both).permitted
    assert pdp(bundle).decide(later).permitted


VEIN_ALONE = replace(LOGIN, factors=frozenset({Factor.VEIN}))


def test_another_factor_is_asked_for_only_where_it_would_be_enough() -> None:
    assert pdp().decide(VEIN_ALONE).another_factor
    assert not pdp(time=replace(NOON, minute=1300)).decide(VEIN_ALONE).another_factor
    assert not pdp().decide(replace(VEIN_ALONE, subject=OTHER)).another_factor  # nobody permits them this seat
    assert not pdp().decide(replace(VEIN_ALONE, subject=GONE)).another_factor
    assert not pdp().decide(replace(VEIN_ALONE, margin=0.001)).another_factor
    assert not pdp().decide(LOGIN).another_factor


def test_a_second_person_is_asked_for_and_opens_the_seat_at_night_for_an_hour() -> None:
    night = pdp(time=replace(NOON, minute=1300))
    first = replace(VEIN_ALONE, action=Action.BREAK_GLASS, subject=OTHER)
    asked = night.decide(first)
    assert (asked.permitted, asked.another_factor, asked.message) == (False, True, Message.SECOND_PERSON)
    opened = night.decide(replace(first, helper=CLERK))
    assert (opened.permitted, opened.limits.overall) == (True, 3_600 * SECOND)
    assert not night.decide(replace(first, helper=GONE)).permitted
    assert not night.decide(replace(first, helper=SubjectId("sub_nobody"))).permitted
    assert not night.decide(replace(first, helper=OTHER)).another_factor


def test_a_colleagues_word_is_of_the_same_section_and_of_this_month() -> None:
    vouched = replace(LOGIN, factors=frozenset({Factor.VEIN, Factor.VOUCH}), helper=CLERK, subject=SubjectId("sub_new"))
    point = pdp()
    point.directory.update(PersonAttrs(SubjectId("sub_new"), "resident"))
    assert point.decide(vouched).permitted
    assert refused(point.decide(replace(vouched, vouches=3)), "base.vouch.month")
    assert refused(point.decide(replace(vouched, helper=OTHER)), "base.vouch.same-section")


def test_a_step_up_says_how_much_it_asks() -> None:
    one = replace(STEP_UP, shift_open=True, fresh=frozenset({Factor.VEIN}))
    assert pdp().decide(one).permitted
    two = replace(one, acr=Acr.TWO)
    assert pdp().decide(two).another_factor
    assert pdp().decide(replace(two, fresh=frozenset({Factor.VEIN, Factor.KEY}), grade=Grade.SIGNED)).permitted


def test_what_began_the_shift_is_not_fresh() -> None:
    stale = replace(LOGIN, shift_open=True)
    assert refused(pdp().decide(stale), "base.evidence.person", message=Message.REFUSED_FACTORS)
    pin = replace(stale, fresh=frozenset({Factor.PIN}))
    assert refused(pdp().decide(pin), "base.evidence.person", message=Message.REFUSED_FACTORS)


def test_keeping_needs_the_same_person() -> None:
    keep = replace(LOGIN, action=Action.KEEP_SESSION)
    assert pdp().decide(replace(keep, owner=CLERK)).permitted
    assert refused(pdp().decide(replace(keep, owner=OTHER)), "base.session.same-person")
    assert refused(pdp().decide(keep), "base.session.same-person")


def test_a_step_up_is_for_a_system_of_the_section() -> None:
    assert pdp().decide(STEP_UP).permitted
    assert pdp().decide(replace(STEP_UP, resource="resident-record")).permitted
    assert refused(pdp().decide(replace(STEP_UP, subject=OTHER, owner=OTHER)), "pdp.no-permit")
    point = pdp()
    point.directory.set_systems([SystemAttrs("resident-record")])
    assert point.decide(replace(STEP_UP, subject=OTHER, owner=OTHER)).permitted


def test_a_hand_over_names_the_owner_and_is_the_new_persons_login() -> None:
    assert pdp().decide(replace(LOGIN, owner=OTHER)).permitted


@pytest.mark.parametrize(
    "request_",
    [
        replace(LOGIN, subject=SubjectId("sub_unknown")),
        replace(LOGIN, seat=SeatId("unknown")),
        replace(LOGIN, owner=SubjectId("sub_unknown")),
        replace(STEP_UP, resource="unknown/address"),
        replace(STEP_UP, resource=""),
    ],
)
def test_whatever_the_request_names_must_exist(request_: Request, tmp_path: Path) -> None:
    everything = read(site(tmp_path, '@id("site.all")\npermit (principal, action, resource);'))
    assert refused(pdp(everything).decide(request_), "pdp.missing")


def test_cedar_alone_would_let_an_unknown_person_pass_a_forbid_on_a_group(tmp_path: Path) -> None:
    """The trap that `pdp.missing` is for: Cedar answers Allow without an error."""
    rules = (
        '@id("site.all")\npermit (principal, action, resource);\n'
        '@id("site.banned")\nforbid (principal in Group::"banned", action, resource);'
    )
    bundle = read(site(tmp_path, rules))
    known = hall().seat(COUNTER)
    assert known is not None
    question = {
        "principal": {"type": "Subject", "id": "sub_unknown"},
        "action": {"type": "Action", "id": "open_session"},
        "resource": {"type": "Seat", "id": COUNTER},
    }
    only_site = bundle.only(lambda rule: rule.id.startswith("site."))
    answer = cedar.ask(question, only_site.policies, known.entities)
    assert answer.allow
    assert not answer.errors
    assert not pdp(bundle).decide(replace(LOGIN, subject=SubjectId("sub_unknown"))).permitted


def test_an_error_in_any_rule_refuses_even_where_cedar_allows(tmp_path: Path) -> None:
    rules = (
        '@id("site.all")\npermit (principal, action, resource);\n'
        '@id("site.sum")\nforbid (principal, action, resource) '
        "when { context.margin + 9223372036854775807 > 0 && false };"
    )
    found = pdp(read(site(tmp_path, rules))).decide(LOGIN)
    assert refused(found, "pdp.error", "site.sum")


@pytest.mark.parametrize("failure", [ValueError("clock"), RecursionError(), BaseException("panic")])
def test_an_exception_is_a_refusal(failure: BaseException) -> None:
    def broken() -> LocalTime:
        raise failure

    point = decision.Pdp(shipped(), broken, hall())
    assert refused(point.decide(LOGIN), "pdp.error")


def test_a_change_of_a_person_counts_at_once() -> None:
    point = pdp()
    assert point.decide(LOGIN).permitted
    point.directory.update(PersonAttrs(CLERK, "resident", disabled=True))
    assert refused(point.decide(LOGIN), "base.subject.disabled")
    point.directory.update(PersonAttrs(CLERK, "tax", seats=frozenset({COUNTER})))
    assert point.decide(LOGIN).rules == ("base.seat.granted",)


@pytest.mark.parametrize(
    ("margin", "seen"),
    [(0.02, 20), (0.0199, 19), (-0.0001, -1), (math.inf, 1_000_000), (-math.inf, -1_000_000), (math.nan, -1_000_000)],
)
def test_margins_are_rounded_down(margin: float, seen: int) -> None:
    assert thousandths(margin) == seen


def test_a_margin_below_the_minimum_is_refused() -> None:
    assert pdp().decide(replace(LOGIN, margin=0.02)).permitted
    assert refused(pdp().decide(replace(LOGIN, margin=0.0199)), "base.evidence.margin")
    assert refused(pdp().decide(replace(LOGIN, margin=math.nan)), "base.evidence.margin")


def test_the_settings_ask_for_two_fingers_at_a_class_of_seats(tmp_path: Path) -> None:
    strict = pdp(read(site(tmp_path, settings="[seat.counter]\nfingers = 2\n")))
    two = replace(LOGIN, fingers=2)
    assert refused(strict.decide(LOGIN), "base.evidence.fingers")
    assert strict.decide(two).permitted
    assert strict.decide(replace(LOGIN, seat=OFFICE)).permitted
    assert refused(strict.decide(STEP_UP), "base.evidence.fingers")
    assert strict.decide(replace(LOGIN, action=Action.KEEP_SESSION, owner=CLERK)).permitted
    assert pdp().decide(LOGIN).permitted


def test_a_template_is_updated_on_the_settings_word_alone_and_a_site_may_say_no(tmp_path: Path) -> None:
    asked = replace(LOGIN, action=Action.UPDATE_TEMPLATE, owner=CLERK)
    assert refused(pdp().decide(asked), "pdp.no-permit")
    on = "[rules]\ntemplate_update = true\n"
    allowed = pdp(read(site(tmp_path / "on", settings=on)))
    assert allowed.decide(asked).permitted
    assert refused(allowed.decide(replace(asked, owner=OTHER)), "base.session.same-person")
    assert refused(allowed.decide(replace(asked, owner=None)), "base.session.same-person")
    no = '@id("site.no")\nforbid (principal, action == Action::"update_template", resource == Seat::"counter-1");'
    assert refused(pdp(read(site(tmp_path / "no", no, settings=on))).decide(asked), "site.no")


def test_local_time_of_a_datetime() -> None:
    assert local_time(datetime(2026, 11, 24, 12, 0, 59), trusted=True) == NOON  # noqa: DTZ001 - local time is meant


# Properties.

_SITE_RULES = (
    "",
    "permit (principal, action, resource);",
    "permit (principal, action, resource) when { principal.disabled };",
    'permit (principal in Group::"chiefs", action, resource);',
    'permit (principal == Subject::"sub_gone", action, resource) when { context.grade != "D" };',
    "permit (principal, action, resource is Seat) when { !context.shift_open };",
    "permit (principal, action, resource) when { principal.officer || true };",
)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    """The base rules under each of the site texts."""
    texts = [f'@id("site.any")\n{text}' if text else "" for text in _SITE_RULES]
    return [read(site(tmp_path_factory.mktemp("site"), text)) for text in texts]


_ids = st.sampled_from([CLERK, OTHER, GONE]) | st.text(max_size=8).map(SubjectId)
_requests = st.builds(
    Request,
    action=st.sampled_from(Action),
    subject=_ids,
    seat=st.sampled_from([COUNTER, OFFICE]) | st.text(max_size=8).map(SeatId),
    factors=st.frozensets(st.sampled_from(Factor)),
    shift_open=st.booleans(),
    grade=st.sampled_from(Grade),
    margin=st.floats(),
    pad_level=st.text(max_size=8),
    resource=st.sampled_from(["", "resident-record", "resident-record/address"]) | st.text(max_size=8),
    fresh=st.frozensets(st.sampled_from(Factor)),
    owner=st.none() | _ids,
    helper=st.none() | _ids,
    vouches=st.integers(0, 4),
    acr=st.sampled_from(Acr),
    max_age=st.none() | st.integers(0, 3_600),
    break_glass=st.booleans(),
    load=st.none() | st.builds(Load, st.text(max_size=8), st.integers(-1, 10**9), st.text(max_size=8), st.booleans()),
)
CARRY_OUT = replace(
    STEP_UP, action=Action.CARRY_OUT, owner=None, helper=OTHER, load=Load("export", 10, "usb", covered=True)
)
_near = st.builds(
    replace,
    st.sampled_from([LOGIN, STEP_UP, replace(LOGIN, action=Action.KEEP_SESSION, owner=CLERK), CARRY_OUT]),
    factors=st.frozensets(st.sampled_from(Factor), min_size=1),
    margin=st.floats(0, 0.2),
    owner=st.sampled_from([None, CLERK, OTHER]),
    grade=st.sampled_from(Grade),
)
"""Requests that have a chance."""
_times = st.builds(
    LocalTime, st.integers(0, 1439), st.integers(1, 7), st.dates().map(lambda day: day.isoformat()), st.booleans()
)
_which = st.integers(0, len(_SITE_RULES) - 1)


@settings(max_examples=200, deadline=None)
@given(request_=_requests, time=_times, which=_which, officer=st.booleans(), chief=st.booleans())
def test_nobody_disabled_is_ever_permitted_whatever_a_site_writes(
    sites: list[Bundle], request_: Request, time: LocalTime, which: int, officer: bool, chief: bool
) -> None:
    point = pdp(sites[which], time)
    groups = frozenset({"chiefs"} if chief else set[str]())
    point.directory.update(PersonAttrs(GONE, "resident", officer, disabled=True, groups=groups))
    assert not point.decide(replace(request_, subject=GONE)).permitted


@settings(max_examples=200, deadline=None)
@given(request_=_requests | _near, time=_times | st.just(NOON), which=_which)
def test_whoever_is_permitted_is_known_and_showed_a_factor(
    sites: list[Bundle], request_: Request, time: LocalTime, which: int
) -> None:
    point = pdp(sites[which], time)
    if not point.decide(request_).permitted:
        return
    shown = request_.fresh or (frozenset() if request_.shift_open else request_.factors)
    assert point.directory.person(request_.subject)
    assert point.directory.seat(request_.seat)
    assert shown & {Factor.VEIN, Factor.FINGERPRINT, Factor.KEY, Factor.CARD}
    assert request_.grade in {Grade.SIGNED, Grade.MATCHED}
    owned = request_.action in (Action.KEEP_SESSION, Action.STEP_UP, Action.UPDATE_TEMPLATE)
    assert request_.owner == request_.subject or not owned
    assert request_.action not in (Action.BREAK_GLASS, Action.CARRY_OUT) or request_.helper not in (
        None,
        request_.subject,
    )
    assert request_.action is not Action.CARRY_OUT or (request_.load and request_.load.covered)


@settings(max_examples=100, deadline=None)
@given(request_=_requests, time=_times)
def test_every_question_the_decision_point_asks_is_one_of_the_schema(
    sites: list[Bundle], request_: Request, time: LocalTime
) -> None:
    """Decisions do without the schema for speed; what is checked here once must then hold always."""
    bundle, known, seen = sites[1], hall(), list[str]()
    known.set_systems([SystemAttrs(request_.resource.partition("/")[0])])
    for subject in {request_.subject, request_.owner, request_.helper} - {None}:
        assert subject is not None
        known.update(PersonAttrs(subject, "resident", groups=frozenset({"g"}), seats=frozenset({request_.seat})))
    asked = replace(request_, seat=COUNTER)
    seen = [piece for piece in (known.person(asked.subject), known.system(asked.resource.partition("/")[0])) if piece]
    entities = cedar.entities(seen, schema=bundle.schema)
    place = known.seat(COUNTER)
    assert place is not None
    cedar.entities([json.dumps(entity) for entity in json.loads(str(place.entities))], schema=bundle.schema)
    question = decision.question(bundle.settings, place.attrs, asked, time)
    assert cedar.ask(question, bundle.policies, entities, bundle.schema).failure == ""


@settings(max_examples=50, deadline=None)
@given(request_=_requests | _near, which=_which)
def test_when_a_rule_fails_nothing_is_permitted(
    sites: list[Bundle], request_: Request, which: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    overflow = "when { 9223372036854775807 + context.minute > 0 && false }"
    failing = f'@id("site.fails")\nforbid (principal, action, resource) {overflow};'
    text = f'@id("site.any")\n{_SITE_RULES[which]}\n{failing}' if _SITE_RULES[which] else failing
    bundle = read(site(tmp_path_factory.mktemp("failing"), text))
    found = pdp(bundle).decide(request_)
    assert not found.permitted
    assert {"pdp.error", "pdp.missing"} & set(found.rules)


def test_what_leaves_takes_two_people_and_a_system_that_is_not_silent() -> None:
    """The cases say the rest; here: what the daemon hands over reaches the rules."""
    point = pdp()
    mate = SubjectId("sub_mate")
    point.directory.update(PersonAttrs(mate, "resident"))
    assert point.decide(replace(CARRY_OUT, helper=mate)).rules == ("base.carry-out.section",)
    assert point.decide(CARRY_OUT).rules == ("base.carry-out.colleague",)
    assert point.decide(replace(CARRY_OUT, helper=mate, break_glass=True)).rules == ("base.carry-out.break-glass",)
    silent = Load("export", 10, "usb", covered=False)
    assert point.decide(replace(CARRY_OUT, helper=mate, load=silent)).rules == ("base.carry-out.flags",)
    assert not point.decide(replace(CARRY_OUT, helper=mate, load=None)).permitted
    assert point.decide(replace(CARRY_OUT, helper=mate, resource="unknown")).rules == (decision.MISSING,)
