"""Keys, cards and what a service keeps: enrolled with an officer's touch, the ledger first; revoked the same way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from authd.core.model import Denial, EndReason, Evidence, Hint, Kind, Prompt, PromptId, SeatState
from authd.core.ports import Unavailable
from authd.driver import Delete, Denied, Enroll, Event, Feedback, NoMatch, Progress, State, StateChange
from authd.service.bus.house import Enrolment, Error, Means, Refused
from tests.service.desks import ONE, TWO, order
from tests.service.key_desk import KeyDesk, key_host, key_order, new_order


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[KeyDesk]:
    async with key_host(tmp_path) as made:
        yield made


async def held(desk: KeyDesk, number: str = "1002") -> list[tuple[str, str, bool]]:
    person = desk.world.store.by_staff_number(number)
    assert person is not None
    theirs = await desk.world.anchored.held(person.subject)
    return [(each.modality, each.label, each.revoked) for each in theirs if each.modality != "vein"]


async def reference(desk: KeyDesk, label: str, number: str = "1002") -> str:
    person = desk.world.store.by_staff_number(number)
    assert person is not None
    return next(each.reference for each in await desk.world.anchored.held(person.subject) if each.label == label)


async def test_a_key_is_a_second_thing_of_who_is_enrolled(desk: KeyDesk) -> None:
    desk.readers.script = [
        StateChange(State.CREDENTIAL_REMOVED),
        None,
        StateChange(State.NEED_TOUCH),
        Prompt(PromptId.PIN, 7),
        Feedback(Hint.PIN_WRONG),
        Prompt(PromptId.PIN, 6, again=True),
        Progress(0.5),
    ]
    steps = await desk.enrol(key_order())
    assert [(each.step, each.left, each.again) for each in steps] == [
        ("officer_touch", None, False),
        ("key", None, False),
        ("insert", None, False),
        ("key_touch", None, False),
        ("pin", 7, False),
        ("hint", None, False),
        ("pin", 6, True),
        ("working", None, False),
        ("done", None, False),
    ]
    assert desk.readers.typed == ["1234", "1234"]
    assert await held(desk) == [("fido2", "key-1", False)]
    (asked,) = desk.readers.asked
    assert isinstance(asked, Enroll)
    assert asked.account == steps[-1].subject
    assert asked.exclude == ()


async def test_a_key_may_be_the_only_thing_of_a_new_person(desk: KeyDesk) -> None:
    steps = await desk.enrol(new_order())
    assert steps[-1].subject is not None
    assert await held(desk, "1009") == [("fido2", "key-1", False)]
    (row,) = [
        row
        for row in await desk.world.ledger.entries(f"subject:{steps[-1].subject}")
        if row.entry.kind is Kind.ENROLMENT_CREATED
    ]
    assert (row.entry.data["modality"], row.entry.data["finger"]) == ("fido2", "key-1")
    assert row.entry.data["officer"] is not None


async def test_the_second_key_excludes_the_first_and_a_third_is_too_many(desk: KeyDesk) -> None:
    await desk.enrol(key_order())
    desk.readers.made = {"id": "k2"}
    await desk.enrol(key_order())
    second = desk.readers.asked[-1]
    assert isinstance(second, Enroll)
    assert second.exclude == (b"k1",)
    assert await held(desk) == [("fido2", "key-1", False), ("fido2", "key-2", False)]
    with pytest.raises(Refused, match="2 are allowed"):
        await desk.enrol(key_order())
    assert len(desk.readers.asked) == 2


async def test_one_revoked_makes_room_and_its_label_is_never_used_again(desk: KeyDesk) -> None:
    await desk.enrol(key_order())
    desk.readers.made = {"id": "k2"}
    await desk.enrol(key_order())
    await desk.revoke(await reference(desk, "key-1"))
    desk.readers.made = {"id": "k3"}
    await desk.enrol(key_order())
    assert await held(desk) == [("fido2", "key-1", True), ("fido2", "key-2", False), ("fido2", "key-3", False)]
    third = desk.readers.asked[-1]
    assert isinstance(third, Enroll)
    assert third.exclude == (b"k2",)


@pytest.mark.parametrize("why", list(Denial))
async def test_what_is_not_good_enough_is_refused_plainly_and_in_the_ledger(desk: KeyDesk, why: Denial) -> None:
    desk.verifier.refuse = why
    with pytest.raises(Refused) as refused:
        await desk.enrol(key_order())
    assert refused.value.error is Error.REFUSED
    assert refused.value.detail
    await desk.world.ledger.checkpoint()
    rows = [row.entry for row in await desk.world.ledger.entries(f"seat:{ONE}")]
    assert [row.data["why"] for row in rows if row.kind is Kind.ATTEMPT_REFUSED] == [why.value]
    assert await held(desk) == []


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        (Denied(Denial.BLOCKED, ""), "locked itself"),
        (NoMatch(""), "enrolled already"),
        (Unavailable("key-1: gone"), "has gone"),
    ],
)
async def test_a_reader_that_makes_nothing_changes_nothing(
    desk: KeyDesk, end: Event | Exception, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authd.service.key_sitting.BACK_WITHIN_S", 0.2)
    desk.readers.ends, desk.readers.up = end, False
    with pytest.raises(Refused, match=detail):
        await desk.enrol(key_order())
    assert await held(desk) == []
    assert not desk.world.pipeline.seats[ONE].lent


async def test_a_reader_that_goes_as_the_key_is_put_in_is_waited_for(desk: KeyDesk) -> None:
    desk.readers.goes = 2
    await desk.enrol(key_order())
    assert await held(desk) == [("fido2", "key-1", False)]
    assert len({each.nonce for each in desk.readers.asked if isinstance(each, Enroll)}) == 1


async def test_a_key_of_somebody_else_is_not_enrolled_again(desk: KeyDesk) -> None:
    await desk.enrol(key_order())
    with pytest.raises(Refused, match="enrolled already"):
        await desk.enrol(key_order("1001"))


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (key_order(means=Means.CARD), Error.NOT_FOUND),  # no such reader
        (key_order("9999"), Error.NOT_FOUND),
        (key_order(means=Means.FINGERPRINT, finger="nose"), Error.BAD_REQUEST),
        (Enrolment(ONE, "1002", "", "", "", "right_index", more=("left_index",), adding=True, means=Means.KEY),
         Error.BAD_REQUEST),
    ],
)  # fmt: skip
async def test_what_cannot_be_enrolled_is_refused(desk: KeyDesk, asked: Enrolment, error: Error) -> None:
    with pytest.raises(Refused) as refused:
        await desk.enrol(asked)
    assert refused.value.error is error


async def test_a_finger_that_a_service_keeps_has_its_name_and_is_there_once(desk: KeyDesk) -> None:
    await desk.enrol(key_order(means=Means.FINGERPRINT))
    assert await held(desk) == [("fprintd", "right_index", False)]
    asked = desk.readers.asked[-1]
    assert isinstance(asked, Enroll)
    assert asked.finger == "right_index"
    with pytest.raises(Refused, match="right_index of theirs is enrolled already"):
        await desk.enrol(key_order(means=Means.FINGERPRINT))


async def test_a_fingerprint_of_a_service_does_not_keep_the_vein_of_that_finger_out(desk: KeyDesk) -> None:
    await desk.enrol(key_order(means=Means.FINGERPRINT, finger="left_middle"))
    adding = order("1002", finger="left_middle", adding=True)
    await desk.world.enrol(adding, "another", officer="chief")
    person = desk.world.store.by_staff_number("1002")
    assert person is not None
    labels = [each.label for each in await desk.world.anchored.held(person.subject)]
    assert labels.count("left_middle") == 2


async def test_nothing_is_typed_where_nothing_asks(desk: KeyDesk) -> None:
    assert not desk.enrolments.answer(ONE, "1234")
    await desk.enrol(key_order())
    assert not desk.enrolments.answer(ONE, "1234")
    assert not desk.enrolments.answer(TWO, "1234")


async def test_who_has_a_key_revoked_is_out_at_once_where_it_opened(desk: KeyDesk) -> None:
    await desk.enrol(key_order())
    name = await reference(desk, "key-1")
    world = desk.world
    await world.log_in(TWO, "second")
    session = world.pipeline.seats[TWO].owner
    assert session is not None
    await desk.revoke(name)
    assert world.owner(TWO) == session.subject, "it rests on the finger"
    assert desk.verifier.removed == [(session.subject, name)]
    (row,) = await world.ledger.entries(f"kind:{Kind.ENROLMENT_REVOKED}")
    assert row.entry.subject == session.subject
    assert row.entry.data["template"] == name
    assert row.entry.data["officer"] == world.owner(ONE)


async def test_a_session_that_rests_on_it_ends(desk: KeyDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.enrol(key_order())
    name = await reference(desk, "key-1")
    world = desk.world
    await world.log_in(TWO, "second")

    def rests_on(evidence: Evidence, reference: str) -> bool:
        return bool(evidence.nonce) and reference == name

    async def slow(*_: object) -> None:
        assert world.pipeline.seats[TWO].owner is None, "out before anything that takes time"

    monkeypatch.setattr("authd.service.revocation._rests_on", rests_on)
    monkeypatch.setattr(desk.verifier, "remove", slow)
    await desk.revoke(name)
    assert world.pipeline.seats[TWO].state is SeatState.LOCKED
    await world.ledger.checkpoint()
    ended = [row.entry.reason for row in await world.ledger.entries(f"seat:{TWO}") if row.entry.reason]
    assert ended == [EndReason.REVOKED]


async def test_a_device_that_keeps_it_forgets_it_too(desk: KeyDesk) -> None:
    await desk.enrol(key_order(means=Means.FINGERPRINT))
    name = await reference(desk, "right_index", "1002")
    person = desk.world.store.by_staff_number("1002")
    assert person is not None
    theirs = [each for each in await desk.world.anchored.held(person.subject) if each.modality == "fprintd"]
    await desk.revoke(theirs[0].reference)
    assert desk.readers.asked[-1] == Delete(f"name-{theirs[0].reference}")
    assert name


@pytest.mark.parametrize("which", ["unknown", "twice", "finger"])
async def test_nothing_is_revoked_twice_nor_a_finger(desk: KeyDesk, which: str) -> None:
    await desk.enrol(key_order())
    name = await reference(desk, "key-1")
    if which == "unknown":
        name = "tpl_00@1"
    elif which == "finger":
        name = await reference(desk, "right_index")
    else:
        await desk.revoke(name)
    with pytest.raises(Refused) as refused:
        await desk.enrolments.revocations.revoke(name, ONE)
    assert refused.value.error in (Error.NOT_FOUND, Error.REFUSED)


async def test_without_an_officer_nothing_is_revoked(desk: KeyDesk) -> None:
    await desk.enrol(key_order())
    name = await reference(desk, "key-1")
    with pytest.raises(Refused, match="an officer must be logged in"):
        await desk.enrolments.revocations.revoke(name, TWO)
    assert await held(desk) == [("fido2", "key-1", False)]


async def test_what_was_revoked_is_read_as_revoked_after_a_restart(tmp_path: Path) -> None:
    async with key_host(tmp_path) as desk:
        await desk.enrol(key_order())
        name = await reference(desk, "key-1")
        await desk.revoke(name)
        read = await desk.world.anchored.read()
        assert (list(read.revoked), name in [each.reference for each in read.templates]) == ([name], True)


async def test_the_shift_that_it_may_have_begun_ends_with_it(desk: KeyDesk) -> None:
    await desk.enrol(key_order())
    name = await reference(desk, "key-1")
    await desk.world.log_in(TWO, "second")
    subject = desk.world.owner(TWO)
    assert subject is not None
    assert subject in desk.world.pipeline.shifts
    await desk.revoke(name)
    assert subject not in desk.world.pipeline.shifts


async def test_what_a_device_keeps_of_who_leaves_is_forgotten_there(desk: KeyDesk) -> None:
    await desk.enrol(key_order(means=Means.FINGERPRINT))
    person = desk.world.store.by_staff_number("1002")
    assert person is not None
    theirs = [each for each in await desk.world.anchored.held(person.subject) if each.modality == "fprintd"]
    await desk.world.disable(person.subject, ONE, "chief")
    assert desk.readers.asked[-1] == Delete(f"name-{theirs[0].reference}")
    assert (person.subject, "") in desk.verifier.removed
