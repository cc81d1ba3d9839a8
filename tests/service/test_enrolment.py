"""Enrolment: an officer's fresh touch, then the ledger, then the store; and nothing of it where it was abandoned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path

import apsw
import pytest

from authd.core import ports as port
from authd.core import seat as machine
from authd.core.model import SECOND, Action, EndReason, Hint, Kind, SeatState, SubjectId
from authd.service import enrolment, sitting
from authd.service.bus.house import Enrolment, EnrolStep, Error, Refused
from authd.service.ledger import Trouble
from authd.service.store import StoreError
from authd.service.verifier import NoTemplate, Resembling
from tests.service.desks import ONE, READERS, REFUSE, TWO, World, host, order, working


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitting, "LOOK_S", 0.01)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with host(tmp_path) as made:
        yield made


async def refused(work: Awaitable[object], error: Error) -> str:
    """Await what must be refused with this error and return what it says."""
    with pytest.raises(Refused) as caught:
        await work
    assert caught.value.error is error
    return caught.value.detail


async def steps_of(world: World, order: Enrolment) -> list[EnrolStep]:
    return [step async for step in world.enrolments.enrol(order)]


# Founding.


async def test_the_first_two_officers_are_founded_without_an_officer(world: World) -> None:
    one, two = await world.founders()
    assert await world.kinds() == [Kind.ENROLMENT_FOUNDED] * 2
    assert {person.subject for person in world.store.people.values() if person.officer} == {one, two}
    await world.log_in(ONE, "chief")
    assert world.owner(ONE) == one


async def test_a_third_is_not_founded(world: World) -> None:
    await world.founders()
    said = await refused(steps_of(world, order("1003", officer=True, founding=True)), Error.REFUSED)
    assert said == "only the first 2 officers are founded"


async def test_nobody_is_founded_who_is_no_officer(world: World) -> None:
    await refused(steps_of(world, order(founding=True)), Error.REFUSED)


async def test_founding_is_over_after_a_restart_too(tmp_path: Path) -> None:
    async with host(tmp_path) as world:
        await world.founders()
    async with host(tmp_path) as world:
        await refused(steps_of(world, order("1003", officer=True, founding=True)), Error.REFUSED)


async def test_an_emptied_store_does_not_bring_founding_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with host(tmp_path) as world:
        await world.founders()
    edit(tmp_path, "DELETE FROM person", "DELETE FROM template", "DELETE FROM key")
    with caplog.at_level(logging.ERROR):
        async with host(tmp_path) as world:
            assert len(world.anchored.missing) == 2
            await refused(steps_of(world, order("1003", officer=True, founding=True)), Error.REFUSED)
    assert "is not in the store: enrol that finger again" in caplog.text


# The officer.


async def test_an_officers_fresh_touch_lets_somebody_be_enrolled(world: World) -> None:
    chief, _ = await world.founders()
    await world.log_in(ONE, "chief")
    steps = await world.enrol(order(), "hanako", officer="chief")
    assert [step.step for step in steps] == ["officer_touch", "touch", "touch", "touch", "done"]
    assert [round(step.done, 2) for step in steps] == [0, 0, 0.33, 0.67, 1]
    (row,) = await world.ledger.entries(f"kind:{Kind.ENROLMENT_CREATED}")
    assert row.entry.subject == steps[-1].subject
    assert (row.entry.data["officer"], row.entry.data["role"]) == (chief, "staff")
    await world.log_in(TWO, "hanako")
    assert world.owner(TWO) == steps[-1].subject


async def test_without_an_officer_at_the_seat_nobody_is_enrolled(world: World) -> None:
    await world.founders()
    said = await refused(steps_of(world, order()), Error.REFUSED)
    assert said == "an officer must be logged in at this seat"
    await world.log_in(TWO, "chief")
    assert await refused(steps_of(world, order(seat=ONE)), Error.REFUSED) == said


async def test_somebody_elses_word_is_not_an_officers(world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    await world.enrol(order(), "hanako", officer="chief")
    await world.log_in(TWO, "hanako")
    said = await refused(steps_of(world, order("1004", seat=TWO)), Error.REFUSED)
    assert said == "an officer must be logged in at this seat"


async def test_an_officer_whom_only_the_store_made_one_is_none(tmp_path: Path) -> None:
    async with host(tmp_path) as world:
        await world.founders()
        await world.log_in(ONE, "chief")
        await world.enrol(order(), "hanako", officer="chief")
    edit(tmp_path, "UPDATE person SET officer = 1")
    async with host(tmp_path) as world:
        await world.log_in(ONE, "hanako")
        said = await refused(steps_of(world, order("1004")), Error.REFUSED)
        assert said == "an officer must be logged in at this seat"


async def test_an_officer_who_was_enrolled_as_one_is_one_after_a_restart(tmp_path: Path) -> None:
    async with host(tmp_path) as world:
        await world.founders()
        await world.log_in(ONE, "chief")
        await world.enrol(order(officer=True), "hanako", officer="chief")
    async with host(tmp_path) as world:
        await world.log_in(ONE, "hanako")
        assert (await world.enrol(order("1004"), "taro", officer="hanako"))[-1].step == "done"


async def test_the_officers_own_login_is_not_the_touch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authd.core.doors.STEP_UP_WITHIN", SECOND // 20)
    await world.founders()
    await world.log_in(ONE, "chief")
    said = await refused(steps_of(world, order()), Error.REFUSED)
    assert said == "the officer's touch did not come"
    assert world.pipeline.lend(ONE, lambda heard: None)  # the reader was not kept


async def test_an_officer_whom_the_policy_refuses_there_enrols_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authd.core.doors.STEP_UP_WITHIN", SECOND // 5)
    await world.founders()
    await world.log_in(ONE, "chief")
    world.decision[Action.STEP_UP] = REFUSE
    await refused(world.enrol(order(), "hanako", officer="chief"), Error.REFUSED)
    assert len(world.store.people) == 2


async def test_an_officer_of_another_section_does_not_get_as_far_as_the_seat(world: World) -> None:
    await world.founders()
    world.decision[Action.OPEN_SESSION] = REFUSE
    await world.touch(ONE, "chief")
    await world.until(lambda: world.faces[ONE].message is REFUSE.message)
    await refused(steps_of(world, order()), Error.REFUSED)


@pytest.mark.parametrize("touches", [0, 2])
async def test_when_the_officer_leaves_nothing_is_kept(world: World, touches: int) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    count = 0

    async def enrol() -> None:
        nonlocal count
        async with working() as hands:
            async for step in world.enrolments.enrol(order()):
                if step.step == "officer_touch":
                    hands.create_task(world.step_up(ONE, "chief"))
                elif count < touches:
                    count += 1
                    hands.create_task(world.touch(ONE, "hanako"))
                else:
                    world.pipeline.feed(ONE, machine.Pressed(logout=True))

    assert await refused(enrol(), Error.REFUSED) == "the officer's session has ended"
    assert await world.kinds() == [Kind.ENROLMENT_FOUNDED] * 2
    assert len(world.store.people) == 2
    await world.log_in(ONE, "second")


async def test_an_officer_who_leaves_after_the_last_touch_keeps_it_from_being_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")

    async def leaves(self: object, subject: object, taken: object) -> None:
        world.pipeline.feed(ONE, machine.Pressed(logout=True))

    monkeypatch.setattr(enrolment.Enrolments, "_refuse_twice", leaves)
    await refused(world.enrol(order(), "hanako", officer="chief"), Error.REFUSED)
    assert await world.kinds() == [Kind.ENROLMENT_FOUNDED] * 2


# The person.


async def test_a_staff_number_is_one_persons(world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    said = await refused(steps_of(world, order("1002")), Error.REFUSED)
    assert said == "staff number 1002 is enrolled already"


async def test_a_finger_is_one_persons(world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    said = await refused(world.enrol(order(), "second", officer="chief"), Error.REFUSED)
    assert said == "this finger is enrolled already, of staff number 1002"
    assert await world.kinds() == [Kind.ENROLMENT_FOUNDED] * 2


async def test_a_replayed_finger_is_nobodys(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def replayed(*_: object) -> Resembling:
        return Resembling(None, replayed=True)

    monkeypatch.setattr(world, "known", replayed)
    await refused(world.enrol(order("1001", officer=True, founding=True), "chief"), Error.REFUSED)


async def test_an_attack_is_no_presentation_and_is_recorded(world: World) -> None:
    world.pads = [0.9, 0.1, 0.9]
    steps = await world.enrol(order("1001", officer=True, founding=True), "chief")
    assert [step.step for step in steps] == ["touch", "touch", "hint", "touch", "touch", "done"]
    (row,) = [row for row in await world.ledger.entries(f"seat:{ONE}") if row.entry.kind is Kind.ATTEMPT_REFUSED]
    assert row.entry.data == {"why": "attack"}


# Several fingers.


async def test_two_fingers_are_enrolled_in_one_sitting_under_one_key(world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    steps = await world.enrol(order(more=("left_middle",)), "index middle", officer="chief")
    assert [step.finger for step in steps if step.step == "touch"] == ["right_index"] * 3 + ["left_middle"] * 3
    (subject,) = {step.subject for step in steps if step.subject}
    assert {world.gallery[finger] for finger in ("index", "middle")} == {subject}
    held = [each for each in await world.store.templates() if each.subject == subject]
    assert sorted(each.finger for each in held) == ["left_middle", "right_index"]
    assert len([key for key in await world.store.keys() if key.subject == subject]) == 1
    rows = await world.ledger.entries(f"kind:{Kind.ENROLMENT_CREATED}")
    assert [row.entry.data["finger"] for row in rows] == ["right_index", "left_middle"]


async def test_one_finger_under_two_names_is_refused_and_nothing_is_kept(world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    said = await refused(world.enrol(order(more=("left_middle",)), "same same", officer="chief"), Error.REFUSED)
    assert said == "this is a finger that was taken a moment ago, under another name"
    assert await world.kinds() == [Kind.ENROLMENT_FOUNDED] * 2


async def test_a_finger_is_added_to_somebody_who_is_enrolled(world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    steps = await world.enrol(order("1002", finger="left_index", adding=True), "other", officer="chief")
    assert steps[-1].subject == world.gallery["second"] == world.gallery["other"]
    assert len(world.store.people) == 2
    rows = await world.ledger.entries(f"kind:{Kind.ENROLMENT_CREATED}")
    assert [(row.entry.data["finger"], row.entry.data["role"]) for row in rows] == [("left_index", "officer")]
    person = world.store.by_staff_number("1002")
    assert person is not None
    assert person.name == "佐藤花子"


async def test_the_role_of_whom_a_finger_is_added_to_is_the_ledgers_word(world: World) -> None:
    """Who became an officer by an edit of the store does not become one in the ledger by another finger."""
    await world.founders()
    await world.log_in(ONE, "chief")
    await world.enrol(order(), "third", officer="chief")
    person = world.store.by_staff_number("1003")
    assert person is not None
    await world.store.save_person(replace(person, officer=True))
    await world.enrol(order(finger="left_index", adding=True), "other", officer="chief")
    assert not await world.anchored.officer(person.subject)


async def test_a_persons_own_other_finger_is_said_to_be_theirs(world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    again = order("1002", finger="left_index", adding=True)
    said = await refused(world.enrol(again, "second", officer="chief"), Error.REFUSED)
    assert said == "this finger of theirs is enrolled already, as right_index"
    said = await refused(world.enrol(again, "chief", officer="chief"), Error.REFUSED)
    assert said == "this finger is enrolled already, of staff number 1001"


async def test_a_finger_that_is_there_is_not_added_again(world: World) -> None:
    await world.founders()
    said = await refused(steps_of(world, order("1002", adding=True)), Error.REFUSED)
    assert said == "right_index of theirs is enrolled already"


@pytest.mark.parametrize("number", ["9999", "1003"])
async def test_nobody_gets_another_finger_who_has_none(number: str, world: World) -> None:
    await world.founders()
    await refused(steps_of(world, order(number, finger="left_index", adding=True)), Error.NOT_FOUND)


async def test_a_further_finger_that_is_not_stored_takes_nothing_from_the_person(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = await world.founders()
    await world.log_in(ONE, "chief")

    async def full(*_: object) -> None:
        raise StoreError("full")

    monkeypatch.setattr(world.store, "enrol", full)
    with pytest.raises(StoreError):
        await world.enrol(order("1002", finger="left_index", adding=True), "other", officer="chief")
    assert "other" not in world.gallery
    assert not world.store.people[second].disabled
    assert await world.kinds() == [Kind.ENROLMENT_FOUNDED] * 2 + [Kind.ENROLMENT_CREATED]


BAD = {
    "staff number": order("../1003", officer=True, founding=True),
    "name": order(name="\u202e", officer=True, founding=True),
    "finger": order(finger="../finger", officer=True, founding=True),
    "finger of two lines": order(finger="right\nindex", officer=True, founding=True),
    "one finger twice": order(more=("right_index",), officer=True, founding=True),
    "five fingers": order(more=("left_index", "left_ring", "left_thumb", "right_thumb"), officer=True, founding=True),
}


@pytest.mark.parametrize("what", BAD)
async def test_what_could_not_be_stored_is_refused_before_anybody_touches(what: str, world: World) -> None:
    await refused(steps_of(world, BAD[what]), Error.BAD_REQUEST)
    assert await world.kinds() == []


async def test_a_seat_that_is_none_is_refused(world: World) -> None:
    await refused(steps_of(world, order(seat=SubjectId("x"))), Error.NOT_FOUND)  # type: ignore[arg-type]


async def test_hints_reach_the_person_and_touches_that_do_not_fit_are_asked_again(world: World) -> None:
    world.unfit = [NoTemplate(Hint.CENTRE)]
    steps = list[EnrolStep]()
    async with asyncio.TaskGroup() as hands:
        async for step in world.enrolments.enrol(order("1001", officer=True, founding=True)):
            steps.append(step)
            if step.step == "touch" and len(steps) == 1:
                world.hear(ONE, port.Hinted(Hint.DRY))
            elif step.step == "touch":
                hands.create_task(world.touch(ONE, "chief"))
    assert [step.hint for step in steps if step.step == "hint"] == [Hint.DRY, Hint.CENTRE]
    assert steps[-1].step == "done"


async def test_a_key_that_signs_in_the_middle_is_no_touch_of_the_finger(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sitting, "TOUCH_WITHIN_S", 60.0)
    steps = list[EnrolStep]()
    async with asyncio.TaskGroup() as hands:
        async for step in world.enrolments.enrol(order("1001", officer=True, founding=True)):
            steps.append(step)
            if step.step == "touch" and len(steps) == 1:
                nonce = await world.armed[ONE].get()
                while not world.armed[ONE].empty():
                    nonce = world.armed[ONE].get_nowait()
                signed = port.Sample(READERS[ONE], nonce, b"chief", 1.0, given=port.Given.PROOF)
                world.hear(ONE, signed)
            elif step.step == "touch":
                hands.create_task(world.touch(ONE, "chief"))
    assert [step.done for step in steps if step.step == "touch"] == [0, 0, 1 / 3, 2 / 3]


async def test_no_key_blinks_while_a_finger_is_taken(world: World) -> None:
    async with asyncio.TaskGroup() as hands:
        async for step in world.enrolments.enrol(order("1001", officer=True, founding=True)):
            if step.step == "touch":
                assert world.calm[ONE]
                hands.create_task(world.touch(ONE, "chief"))


async def test_too_many_unusable_touches_end_it(world: World) -> None:
    async def clumsy() -> None:
        async for step in world.enrolments.enrol(order("1001", officer=True, founding=True)):
            if step.step == "touch":
                world.hear(ONE, port.Hinted(Hint.WET))

    assert await refused(clumsy(), Error.REFUSED) == "too many unusable touches; try another finger"
    await world.founders()  # and the reader is free again


async def test_no_touch_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitting, "TOUCH_WITHIN_S", 0.05)
    await refused(steps_of(world, order("1001", officer=True, founding=True)), Error.EXPIRED)


# Abandoned, refused, interrupted.


async def test_an_enrolment_that_is_cancelled_half_way_keeps_nothing_and_returns_the_reader(world: World) -> None:
    chief, _ = await world.founders()
    await world.log_in(ONE, "chief")
    async with aclosing(world.enrolments.enrol(order())) as steps, asyncio.TaskGroup() as hands:
        async for step in steps:
            if step.done > 0.5:
                break
            if step.step == "officer_touch":
                hands.create_task(world.step_up(ONE, "chief"))
            else:
                hands.create_task(world.touch(ONE, "hanako"))
    assert await world.kinds() == [Kind.ENROLMENT_FOUNDED] * 2
    assert not world.pipeline.seats[ONE].lent
    assert world.owner(ONE) == chief
    assert (await world.enrol(order(), "hanako", officer="chief"))[-1].step == "done"


async def test_one_at_a_time(world: World) -> None:
    async with aclosing(world.enrolments.enrol(order("1001", officer=True, founding=True))) as steps:
        await anext(steps)
        await refused(steps_of(world, order("1002", seat=TWO, officer=True, founding=True)), Error.BUSY)


async def test_a_reader_in_use_is_not_lent(world: World) -> None:
    world.pipeline.lend(ONE, lambda heard: None)
    await refused(steps_of(world, order("1001", officer=True, founding=True)), Error.BUSY)


async def test_a_ledger_that_is_down_keeps_everybody_out(world: World) -> None:
    world.ledger.trouble = Trouble.FULL
    with pytest.raises(port.LedgerDown):
        await world.enrol(order("1001", officer=True, founding=True), "chief")
    assert (dict(world.store.people), world.gallery) == ({}, {})
    assert not world.pipeline.seats[ONE].lent
    world.ledger.trouble = None
    assert await world.kinds() == []


async def test_what_the_store_could_not_take_is_taken_back_in_the_ledger(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(world.store, "enrol", full)
    with pytest.raises(StoreError):
        await world.enrol(order("1001", officer=True, founding=True), "chief")
    await world.ledger.checkpoint()
    assert await world.kinds() == [Kind.ENROLMENT_FOUNDED, Kind.ENROLMENT_DISABLED]
    assert await world.ledger.anchors() == {}


async def test_a_caller_who_goes_away_at_the_ledger_leaves_it_whole(world: World) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    append = world.ledger.append

    async def slow(entry: object) -> int:
        asked.set()
        await go_on.wait()
        return await append(entry)  # type: ignore[arg-type]

    world.ledger.append = slow  # type: ignore[method-assign]
    task = asyncio.get_running_loop().create_task(world.enrol(order("1001", officer=True, founding=True), "chief"))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await world.until(lambda: "chief" in world.gallery)
    assert await world.kinds() == [Kind.ENROLMENT_FOUNDED]
    assert len(world.store.people) == 1


async def _never(asked: asyncio.Event, *_: object) -> None:
    asked.set()
    await asyncio.get_running_loop().create_future()


async def test_a_crash_between_ledger_and_store_is_said_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with host(tmp_path) as world:
        await world.founders()
        await world.log_in(ONE, "chief")
        stored = asyncio.Event()
        monkeypatch.setattr(world.store, "enrol", partial(_never, stored))
        life = asyncio.get_running_loop().create_task(world.enrol(order(), "hanako", officer="chief"))
        await stored.wait()
        life.cancel()
        await asyncio.wait({life})
    with caplog.at_level(logging.ERROR):
        async with host(tmp_path) as world:
            assert len(world.anchored.missing) == 1
            assert "is not in the store: enrol that finger again" in caplog.text
            await world.log_in(ONE, "chief")
            assert (await world.enrol(order(), "hanako", officer="chief"))[-1].step == "done"


async def test_a_verifier_that_is_away_gets_its_gallery_later(world: World) -> None:
    world.deaf = port.Unavailable("verifier: away")
    steps = await world.enrol(order("1001", officer=True, founding=True), "chief")
    assert steps[-1].step == "done"
    assert world.reloads == 1


# Disabling.


async def test_disabling_ends_every_session_of_the_person_at_once(world: World) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    hanako = (await world.enrol(order(), "hanako", officer="chief"))[-1].subject
    assert hanako is not None
    await world.log_in(TWO, "hanako")
    await world.disable(hanako, ONE, "chief")
    assert world.owner(TWO) is None
    await world.ledger.checkpoint()
    ended = [row for row in await world.ledger.entries(f"subject:{hanako}") if row.entry.kind is Kind.SESSION_ENDED]
    assert [row.entry.reason for row in ended] == [EndReason.REVOKED]
    assert "hanako" not in world.gallery
    await world.touch(TWO, "hanako")
    await world.until(lambda: world.pipeline.seats[TWO].misses == 1)
    assert world.owner(TWO) is None


async def test_disabling_does_not_wait_for_a_slow_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.founders()
    await world.log_in(ONE, "chief")
    hanako = (await world.enrol(order(), "hanako", officer="chief"))[-1].subject
    assert hanako is not None
    await world.log_in(TWO, "hanako")

    async def broken(subject: SubjectId) -> None:
        assert world.owner(TWO) is None, "still open while the disk was asked"
        raise StoreError("disk full")

    monkeypatch.setattr(world.store, "disable", broken)
    with pytest.raises(StoreError):
        await world.disable(hanako, ONE, "chief")
    assert world.disabled(hanako)


def stored_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("store.sqlite*"))


@pytest.mark.parametrize("first", [True, False], ids=["disabled before", "at once"])
async def test_a_leaver_is_erased_and_stays_named(tmp_path: Path, first: bool) -> None:
    async with host(tmp_path) as world:
        await world.founders()
        await world.log_in(ONE, "chief")
        hanako = (await world.enrol(order(), "hanako", officer="chief"))[-1].subject
        assert hanako is not None
        sealed = [each.sealed for each in await world.store.templates() if each.subject == hanako]
        assert sealed
        assert all(secret in stored_bytes(tmp_path) for secret in sealed)
        if first:
            await world.disable(hanako, ONE, "chief")
        await world.disable(hanako, ONE, "chief", erase=True)
        assert world.disabled(hanako)
        assert hanako not in {each.subject for each in await world.store.templates()}
        assert hanako not in {key.subject for key in await world.store.keys()}
        assert [secret for secret in sealed if secret in stored_bytes(tmp_path)] == []
        rows = await world.ledger.entries(f"subject:{hanako}")
        assert [row.entry.data.get("erased") for row in rows][-1] is True
        assert world.store.people[hanako].name
        await refused(world.enrolments.revocations.disable(SubjectId("sub_x"), ONE, erase=True), Error.NOT_FOUND)


async def test_whom_the_ledger_erased_the_next_start_erases(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(subject: SubjectId) -> None:
        raise StoreError("disk full")

    async with host(tmp_path) as world:
        _, second = await world.founders()
        await world.log_in(ONE, "chief")
        monkeypatch.setattr(world.store, "erase", broken)
        with pytest.raises(StoreError):
            await world.disable(second, ONE, "chief", erase=True)
        assert second in {each.subject for each in await world.store.templates()}
    async with host(tmp_path) as world:
        assert second not in {each.subject for each in await world.store.templates()}
        assert world.disabled(second)
        assert f"{second} is erased in the ledger" in caplog.text


async def test_whom_the_ledger_disabled_the_next_start_disables(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with host(tmp_path) as world:
        _, second = await world.founders()
        await world.log_in(ONE, "chief")
        await world.disable(second, ONE, "chief")
    edit(tmp_path, "UPDATE person SET disabled = 0")
    async with host(tmp_path) as world:
        assert world.disabled(second)
        assert f"{second} is disabled in the ledger and was not in the store" in caplog.text


async def test_an_officer_cannot_disable_themselves(world: World) -> None:
    chief, _ = await world.founders()
    await world.log_in(ONE, "chief")
    said = await refused(world.disable(chief, ONE, "chief"), Error.REFUSED)
    assert said == "an officer cannot disable themselves"


async def test_two_officers_who_disable_each_other_leave_one(world: World) -> None:
    chief, second = await world.founders()
    await world.log_in(ONE, "chief")
    await world.log_in(TWO, "second")
    ended = await asyncio.gather(
        world.disable(second, ONE, "chief"), world.disable(chief, TWO, "second"), return_exceptions=True
    )
    assert len([each for each in ended if each is not None]) == 1
    assert len([person for person in world.store.people.values() if not person.disabled]) == 1


async def test_nobody_is_disabled_twice_and_nobody_unknown(world: World) -> None:
    _, second = await world.founders()
    await world.log_in(ONE, "chief")
    await world.disable(second, ONE, "chief")
    await refused(world.enrolments.revocations.disable(second, ONE), Error.NOT_FOUND)
    await refused(world.enrolments.revocations.disable(SubjectId("sub_x"), ONE), Error.NOT_FOUND)


async def test_disabling_needs_the_officers_touch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authd.core.doors.STEP_UP_WITHIN", SECOND // 20)
    _, second = await world.founders()
    await world.log_in(ONE, "chief")
    await refused(world.enrolments.revocations.disable(second, ONE), Error.REFUSED)
    assert not world.disabled(second)
    assert world.pipeline.seats[ONE].state is SeatState.ACTIVE


# Edited stores.


async def test_a_swapped_template_stays_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with host(tmp_path) as world:
        await world.founders()
    edit(tmp_path, "UPDATE template SET sealed = CAST('mallory' AS BLOB) WHERE sealed = CAST('chief' AS BLOB)")
    async with host(tmp_path) as world:
        assert len(world.anchored.left_out) == 1
        assert set(world.gallery) == {"second"}
        assert "is not the one that the ledger anchors: left out" in caplog.text


async def test_a_template_of_another_subject_stays_out(tmp_path: Path) -> None:
    async with host(tmp_path) as world:
        _, second = await world.founders()
    edit(tmp_path, f"UPDATE template SET subject = '{second}'")
    async with host(tmp_path) as world:
        assert len(world.anchored.left_out) == 1
        assert set(world.gallery) == {"second"}


async def test_another_version_of_a_template_stays_out(tmp_path: Path) -> None:
    async with host(tmp_path) as world:
        await world.founders()
    edit(tmp_path, "UPDATE template SET version = 2")
    async with host(tmp_path) as world:
        assert (len(world.anchored.left_out), world.gallery) == (2, {})


def edit(folder: Path, *statements: str) -> None:
    """What somebody with the file in their hands would do."""
    db = apsw.Connection(str(folder / "store.sqlite"))
    for statement in statements:
        db.execute(statement)  # pyright: ignore[reportUnknownMemberType] - apsw's stub
    db.close()
