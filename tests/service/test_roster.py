"""Who may be looked for at which seat, asked anew at every touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from authd.core.model import SeatId, SubjectId
from authd.service.config import SeatConfig
from authd.service.pdp import Scope, check_scope
from authd.service.roster import HostRoster, attributes
from authd.service.staff import PersonRecord

COUNTER, OFFICE = SeatId("counter-1"), SeatId("office-1")
SEATS = {
    COUNTER: SeatConfig(COUNTER, "", "", "counter", "resident", ("resident", "tax"), (), ()),
    OFFICE: SeatConfig(OFFICE, "", "", "office", "resident", (), (), ()),
}
AOKI = PersonRecord(SubjectId("sub_aoki"), "1", "青木", "あおき", "resident", officer=True)
BABA = PersonRecord(SubjectId("sub_baba"), "2", "馬場", "ばば", "tax")
CHIBA = PersonRecord(SubjectId("sub_chiba"), "3", "千葉", "ちば", "welfare")
GONE = PersonRecord(SubjectId("sub_gone"), "4", "郷", "ごう", "resident", disabled=True)
PEOPLE = {person.subject: person for person in (AOKI, BABA, CHIBA, GONE)}


def small(seat: SeatId, people: Sequence[SubjectId]) -> Scope:
    return check_scope(1e-6, len(people), 1e-4)


def roster(people: dict[SubjectId, PersonRecord] | None = None) -> HostRoster:
    return HostRoster(SEATS, dict(PEOPLE) if people is None else people, small)


def test_a_counter_looks_for_its_sections_only() -> None:
    assert roster().scope(COUNTER) == [AOKI.subject, BABA.subject]


def test_a_seat_without_sections_looks_for_everybody() -> None:
    assert roster().scope(OFFICE) == [AOKI.subject, BABA.subject, CHIBA.subject]


def test_whoever_is_disabled_is_gone_at_once() -> None:
    people = dict(PEOPLE)
    found = roster(people)
    assert not found.disabled(BABA.subject)
    people[BABA.subject] = replace(BABA, disabled=True)
    assert found.scope(COUNTER) == [AOKI.subject]
    assert found.disabled(BABA.subject)


def test_the_unknown_are_disabled_too() -> None:
    assert roster().disabled(SubjectId("sub_x"))


def test_where_one_touch_might_name_somebody_else_nobody_is_looked_for() -> None:
    found = HostRoster(SEATS, PEOPLE, lambda seat, people: check_scope(1e-4, len(people), 1e-4))
    assert found.members(COUNTER) == [AOKI.subject, BABA.subject]
    assert list(found.scope(COUNTER)) == []
    bound = found.bound(COUNTER)
    assert bound is not None
    assert (bound.templates, bound.largest, bound.permitted) == (2, 1, False)


def test_before_the_comparator_has_said_how_often_it_errs_nobody_is_looked_for() -> None:
    assert list(HostRoster(SEATS, PEOPLE, lambda seat, people: None).scope(COUNTER)) == []


def test_a_seat_asks_for_as_many_fingers_as_bound_and_settings_say() -> None:
    def two(seat: SeatId, people: Sequence[SubjectId]) -> Scope:
        return replace(small(seat, people), fingers=2)

    assert roster().fingers(COUNTER, claimed=False) == 1
    found = HostRoster(SEATS, PEOPLE, two)
    assert (found.fingers(COUNTER, claimed=False), found.fingers(COUNTER, claimed=True)) == (2, 1)
    strict = HostRoster(SEATS, PEOPLE, small, {"counter": 2, "office": 0}.__getitem__)
    assert (strict.fingers(COUNTER, claimed=True), strict.fingers(OFFICE, claimed=False)) == (2, 1)


def test_the_rules_see_neither_name_nor_number() -> None:
    seen = attributes(AOKI)
    assert (seen.subject, seen.section, seen.officer, seen.disabled) == (AOKI.subject, "resident", True, False)
    assert AOKI.name not in repr(seen)
    assert AOKI.kana not in repr(seen)
