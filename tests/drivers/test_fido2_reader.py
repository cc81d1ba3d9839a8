"""The reader of keys over a pty in place of hidraw: as every authenticator's, and what only keys do."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authd.driver import (
    Capture,
    Confirm,
    Denial,
    Denied,
    DriverError,
    Enroll,
    Enrolled,
    Fault,
    Feedback,
    Hint,
    NotAccepted,
    Prompt,
    PromptId,
    Proof,
    Reader,
    State,
    StateChange,
    Verify,
    Watch,
)
from authd_drivers.fido2 import READER, exchange, plug
from authd_simulators.fido_key import Key, Memory
from tests.conformance.authenticator import AuthenticatorConformance, Person, held, inserted
from tests.conformance.reader import NONCE, OTHER, PATIENCE, fails, opened, until
from tests.drivers.plugged import BIO, FINGER, PIN, PLAIN, Port, simulated
from tests.drivers.softkey import ANN, BOB
from tests.drivers.test_fido2_bad_input import FIDO, KEYBOARD


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def pin_key(folder: Path) -> Iterator[Port]:
    port = Port(folder)
    yield port
    port.port.remove()


@pytest.fixture
def bio_key(folder: Path) -> Iterator[Port]:
    port = Port(folder, BIO)
    yield port
    port.port.remove()


class TestPinKey(AuthenticatorConformance):
    @pytest.fixture
    def device(self, pin_key: Port) -> Port:
        return pin_key


class TestBioKey(AuthenticatorConformance):
    @pytest.fixture
    def device(self, bio_key: Port) -> Port:
        return bio_key


@asynccontextmanager
async def capturing(
    port: Port, person: Person | None = None, op: Capture | Enroll | Confirm | Watch | None = None
) -> AsyncGenerator[tuple[Reader, Any], None]:
    async with opened(port) as reader, held(reader, op or Capture(NONCE), person) as events:
        yield reader, events


async def all_of(events: Any) -> list[object]:
    async with asyncio.timeout(PATIENCE):
        return [event async for event in events]


# What the person is told


async def test_a_login_by_finger_reads_top_to_bottom(bio_key: Port) -> None:
    bio_key.key.presence.hand.give(FINGER)
    async with capturing(bio_key) as (_, events):
        said = await all_of(events)
    assert isinstance(said[1], StateChange)
    stay = said[1].insertion
    *states, proof = said
    assert states == [
        StateChange(State.NEED_TOUCH),
        StateChange(State.CREDENTIAL_INSERTED, stay),
        StateChange(State.NEED_TOUCH),
        Feedback(Hint.TOUCH_THE_KEY),
    ]
    assert isinstance(proof, Proof)
    assert (proof.nonce, proof.insertion, proof.silent) == (NONCE, stay, False)
    assert bio_key.checker.check(proof.data, NONCE, [ANN]).factors == ("key", "fingerprint")


async def test_a_login_by_pin_asks_once_and_counts_as_pin(pin_key: Port) -> None:
    person = Person(PIN)
    await pin_key.touch()
    async with capturing(pin_key, person) as (_, events):
        proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    assert person.asked == [Prompt(PromptId.PIN, 8)]
    assert pin_key.checker.check(proof.data, NONCE, [ANN]).factors == ("key", "pin")


async def test_the_touch_is_asked_for_once(bio_key: Port) -> None:
    async with capturing(bio_key) as (_, events):
        for _ in range(2):
            await bio_key.wrong_finger()
            await until(events, Feedback(Hint.FINGER_AGAIN))
        bio_key.key.presence.hand.give(FINGER)
        assert Feedback(Hint.TOUCH_THE_KEY) not in await all_of(events)


async def test_an_absent_key_is_said_to_be_absent(pin_key: Port) -> None:
    await pin_key.remove()
    async with capturing(pin_key, op=Watch()) as (_, events):
        assert await until(events, StateChange) == StateChange(State.CREDENTIAL_REMOVED)


async def test_a_tapped_key_has_no_stay(bio_key: Port) -> None:
    reader = READER({**bio_key.settings, "tap": "yes"})
    await reader.open()
    try:
        bio_key.key.presence.hand.give(FINGER)
        async with held(reader, Capture(NONCE)) as events:
            said = await all_of(events)
    finally:
        await reader.close()
    assert [each for each in said if isinstance(each, StateChange) and each.insertion] == []
    assert isinstance(said[-1], Proof)
    assert said[-1].insertion == ""


# PINs


async def test_wrong_pins_are_the_persons_and_each_is_sent_once(pin_key: Port) -> None:
    person, hints = Person("111111", "222222", "333333"), list[object]()
    async with capturing(pin_key, person) as (_, events):
        for _ in range(3):
            hints.append(await until(events, Feedback, Denied))
    assert hints == [Feedback(Hint.PIN_WRONG)] * 2 + [Feedback(Hint.REMOVE_AND_RETRY)]
    assert [(prompt.left, prompt.again) for prompt in person.asked] == [(8, False), (7, True), (6, True)]
    assert pin_key.key.memory.pin_retries == 5


async def test_after_three_wrong_ones_it_is_left_alone_until_it_is_put_in_again(pin_key: Port) -> None:
    person = Person("111111", "222222", "333333", PIN)
    async with opened(pin_key) as reader:
        async with held(reader, Capture(NONCE), person) as events:
            await until(events, Feedback(Hint.REMOVE_AND_RETRY))
        async with held(reader, Capture(OTHER), person) as events:
            await inserted(events)
            assert person.typed == [PIN]
            await pin_key.remove()
            await pin_key.insert()
            await pin_key.touch()
            assert isinstance(await until(events, Proof, Denied), Proof)
    assert pin_key.key.memory.pin_retries == 8


async def test_a_new_reader_learns_that_it_is_to_be_put_in_again(pin_key: Port) -> None:
    async with capturing(pin_key, Person("111111", "222222", "333333")) as (_, events):
        await until(events, Feedback(Hint.REMOVE_AND_RETRY))
    person = Person(PIN)
    async with capturing(pin_key, person) as (_, events):
        assert await until(events, Feedback, Denied, Proof) == Feedback(Hint.REMOVE_AND_RETRY)
    assert person.asked == []


async def test_a_blocked_pin_is_a_denial_and_said_once(pin_key: Port) -> None:
    pin_key.key.memory.pin_retries = 0
    person = Person(PIN)
    async with opened(pin_key) as reader:
        async with held(reader, Capture(NONCE), person) as events:
            assert await until(events, Denied) == Denied(Denial.BLOCKED, NONCE)
        async with held(reader, Capture(OTHER), person) as events:
            await inserted(events)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await anext(events)
    assert person.asked == []


async def test_a_pin_that_cannot_be_one_is_not_sent(pin_key: Port) -> None:
    person = Person("123", "x" * 64, PIN)
    async with capturing(pin_key, person) as (_, events):
        for _ in range(2):
            assert await until(events, Feedback) == Feedback(Hint.PIN_INVALID)
        await pin_key.touch()
        await until(events, Proof)
    assert [prompt.left for prompt in person.asked] == [8, 8, 8]
    assert [prompt.again for prompt in person.asked] == [False, False, False]


async def test_a_sensor_that_gave_up_is_helped_by_the_pin(bio_key: Port) -> None:
    bio_key.key.memory.uv_retries = 0
    simulated_pin = simulated()
    bio_key.key.memory.pin, bio_key.key.memory.pin_length = simulated_pin.memory.pin, len(PIN)
    person = Person(PIN)
    async with capturing(bio_key, person) as (_, events):
        await until(events, StateChange(State.CREDENTIAL_INSERTED, ""), StateChange)
        bio_key.key.presence.hand.auto = True
        assert isinstance(await until(events, Proof, Denied), Proof)
    assert [prompt.id for prompt in person.asked] == [PromptId.PIN]


async def test_a_sensor_that_gave_up_and_no_pin_is_blocked(bio_key: Port) -> None:
    async with capturing(bio_key) as (_, events):
        for _ in range(4):
            await bio_key.wrong_finger()
            await until(events, Feedback(Hint.FINGER_AGAIN))
        await bio_key.wrong_finger()
        assert await until(events, Denied) == Denied(Denial.BLOCKED, NONCE)


async def test_a_key_that_protects_nothing_is_of_no_use(pin_key: Port) -> None:
    await asyncio.to_thread(pin_key.swap, simulated(pin=False))
    async with opened(pin_key) as reader:
        async with held(reader, Capture(NONCE)) as events:
            assert await until(events, Denied) == Denied(Denial.UNVERIFIED, NONCE)
        async with held(reader, Capture(OTHER)) as events:  # and it is not said again and again
            await inserted(events)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await anext(events)


# Trouble


async def test_pulled_in_mid_touch_it_waits_for_the_next_one(bio_key: Port) -> None:
    async with capturing(bio_key) as (_, events):
        first = await inserted(events)
        await until(events, Feedback(Hint.TOUCH_THE_KEY))
        await bio_key.remove()
        assert await until(events, StateChange, Denied) == StateChange(State.CREDENTIAL_REMOVED, first)
        await bio_key.insert()
        assert await inserted(events) != first
        bio_key.key.presence.hand.give(FINGER)
        await until(events, Proof)


async def test_pulled_while_a_pin_is_asked_for_the_prompt_goes(pin_key: Port) -> None:
    person = Person()
    async with capturing(pin_key, person) as (_, events):
        first = await inserted(events)
        follow = asyncio.ensure_future(anext(events))
        await person.waiting.wait()
        await pin_key.remove()
        async with asyncio.timeout(PATIENCE):
            assert await follow == StateChange(State.CREDENTIAL_REMOVED, first)


async def test_a_key_that_hangs_is_a_fault(bio_key: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    bio_key.key.trouble.hang()
    with monkeypatch.context() as soon:
        soon.setattr("authd_drivers.fido2.hid.SILENT_SECONDS", 0.2)
        async with capturing(bio_key) as (_, events):
            assert (await fails(events)).fault is Fault.TIMEOUT
    bio_key.key.trouble.resume()
    bio_key.key.presence.hand.give(FINGER)
    async with capturing(bio_key) as (_, events):  # and the next reader finds it well
        await until(events, Proof)


async def test_rubbish_is_a_fault_and_no_failed_finger(bio_key: Port) -> None:
    for _ in range(9):
        bio_key.key.trouble.garbage = 1
        async with capturing(bio_key) as (_, events):
            assert (await fails(events)).fault in (Fault.PROTOCOL, Fault.TIMEOUT)
    assert bio_key.key.memory.uv_retries == 5


async def test_nobody_touches_it_and_it_asks_again(folder: Path) -> None:
    port = Port(folder, BIO, touch_s=0.15)
    try:
        async with capturing(port) as (_, events):
            await until(events, Feedback(Hint.TOO_SLOW))
            blinks = [await until(events, StateChange, Feedback) for _ in range(3)]
            assert blinks == [StateChange(State.NEED_TOUCH)] * 3  # and nobody is told again and again
            port.key.presence.hand.auto = True
            await until(events, Proof)
    finally:
        port.port.remove()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x2E, Denied(Denial.UNKNOWN, NONCE)),
        (0x27, Feedback(Hint.TOUCH_THE_KEY)),
        (0x7F, Fault.PROTOCOL),
        (0xF3, Fault.PROTOCOL),
        (0x06, Fault.BUSY),
        (0x05, Fault.TIMEOUT),
    ],
)
async def test_what_a_key_says_comes_to_one_thing(
    bio_key: Port, status: int, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "PAUSE_SECONDS", 0.01)
    answer, real = bytes([status]), bio_key.key.call

    def call(request: bytes, keepalive: Any = None) -> bytes:
        return answer if request[0] == 0x02 else real(request, keepalive)

    bio_key.key.call = call  # type: ignore[method-assign]  # a key that says no
    bio_key.key.presence.hand.auto = True
    async with capturing(bio_key) as (_, events):
        if isinstance(expected, Fault):
            assert (await fails(events)).fault is expected
        else:
            await until(events, expected)


async def test_the_answers_of_other_programs_are_not_ours(bio_key: Port) -> None:
    """Hidraw shows every program every packet."""
    assert bio_key.port.transport is not None
    async with capturing(bio_key) as (_, events):
        await until(events, Feedback(Hint.TOUCH_THE_KEY))
        bio_key.port.transport._write(b"\x12\x34\x56\x78\x90\xff\xff".ljust(64, b"\x55"))  # pyright: ignore[reportPrivateUsage]
        bio_key.key.presence.hand.give(FINGER)
        await until(events, Proof)


async def test_a_cancelled_touch_stops_the_blinking(bio_key: Port) -> None:
    async with opened(bio_key) as reader:
        async with held(reader, Capture(NONCE)) as events:
            await until(events, Feedback(Hint.TOUCH_THE_KEY))
        async with asyncio.timeout(PATIENCE):
            while bio_key.key.presence.hand.asking is not None:  # noqa: ASYNC110  # of another thread
                await asyncio.sleep(0.01)


async def test_nothing_stays_behind_an_operation(bio_key: Port) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names, which are gone when looked at

    async with opened(bio_key) as reader:
        async with held(reader, Capture(NONCE)) as events:
            await until(events, Feedback)
        before = descriptors()
        for _ in range(5):
            async with held(reader, Capture(NONCE)) as events:
                await until(events, Feedback)
        assert descriptors() == before


# Confirm


async def test_a_key_that_is_gone_confirms_nothing(bio_key: Port) -> None:
    await bio_key.remove()
    async with capturing(bio_key, op=Confirm(NONCE, bio_key.credential())) as (_, events):
        assert await until(events, Denied, Proof) == Denied(Denial.UNKNOWN, NONCE)


async def test_what_confirms_is_believed_and_opens_nothing(pin_key: Port) -> None:
    async with capturing(pin_key, op=Confirm(NONCE, pin_key.credential())) as (_, events):
        proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    assert pin_key.checker.check(proof.data, NONCE, [ANN], silent=True).factors == ()
    assert pin_key.checker.check(proof.data, NONCE, [ANN]).denial is Denial.ABSENT


# Enrolment


async def test_enrols_a_key_for_a_second_person_and_tells_them_apart(bio_key: Port) -> None:
    await asyncio.to_thread(bio_key.swap, simulated(BIO))
    bio_key.key.presence.hand.auto = True
    async with capturing(bio_key, op=Enroll(OTHER, BOB)) as (_, events):
        enrolled = await until(events, Enrolled)
    assert isinstance(enrolled, Enrolled)
    from authd.driver import Reference

    record = bio_key.checker.admit(enrolled.data, OTHER, BOB)
    bio_key.checker.add([Reference(BOB, "tpl_2@1", record)])
    async with capturing(bio_key) as (_, events):
        proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    assert bio_key.checker.check(proof.data, NONCE, [ANN, BOB]).subject == BOB


async def test_a_new_key_is_given_a_pin(pin_key: Port) -> None:
    await asyncio.to_thread(pin_key.swap, simulated(pin=False))
    pin_key.key.presence.hand.auto = True
    person = Person("12", PIN)
    async with capturing(pin_key, person, Enroll(NONCE, BOB)) as (_, events):
        assert await until(events, Feedback) == Feedback(Hint.PIN_INVALID)
        enrolled = await until(events, Enrolled)
    assert isinstance(enrolled, Enrolled)
    assert [prompt.id for prompt in person.asked] == [PromptId.NEW_PIN] * 2
    assert pin_key.checker.admit(enrolled.data, NONCE, BOB)
    async with capturing(pin_key, Person(PIN)) as (_, events):
        assert isinstance(await until(events, Proof, Denied), Proof)


async def test_a_new_key_need_not_be_put_in_again_to_be_enrolled_and_used(pin_key: Port) -> None:
    """It was of no use to the login that waited before: it has no PIN yet."""
    await asyncio.to_thread(pin_key.swap, simulated(PLAIN, pin=False))
    pin_key.key.presence.hand.auto = True
    async with opened(pin_key) as reader:
        async with held(reader, Capture(NONCE)) as events:
            await until(events, Denied(Denial.UNVERIFIED, NONCE))
        async with held(reader, Capture(NONCE)) as events:
            await inserted(events)
            with pytest.raises(TimeoutError):  # it said so once
                async with asyncio.timeout(0.3):
                    await anext(events)
        async with held(reader, Enroll(OTHER, BOB), Person("13579")) as events:
            assert isinstance(await until(events, Enrolled, Denied), Enrolled)
        async with held(reader, Capture(NONCE), Person("13579")) as events:
            assert isinstance(await until(events, Proof, Denied), Proof)


async def test_a_full_key_is_a_fault(folder: Path) -> None:
    port = Port(folder, replace(BIO, max_credentials=1))
    port.key.presence.hand.auto = True
    try:
        async with capturing(port, op=Enroll(NONCE, BOB)) as (_, events):
            assert (await fails(events)).fault is Fault.FULL
    finally:
        port.port.remove()


async def test_a_synced_credential_is_not_admitted(folder: Path) -> None:
    with pytest.raises(NotAccepted) as bad:
        Port(folder, replace(BIO, backup_eligible=True))
    assert bad.value.why is Denial.SYNCED


# Copies


async def test_a_clone_is_found_when_either_is_used_again(bio_key: Port) -> None:
    copy = Key(bio_key.key.profile, Memory.unpack(bio_key.key.memory.pack()))
    verdicts: list[Denial | None] = []
    for key, nonce in ((bio_key.key, NONCE), (bio_key.key, OTHER), (copy, "c" * 32)):
        await asyncio.to_thread(bio_key.swap, key)
        key.presence.hand.auto = True
        async with capturing(bio_key, op=Capture(nonce)) as (_, events):
            proof = await until(events, Proof)
        assert isinstance(proof, Proof)
        verdicts.append(bio_key.checker.check(proof.data, nonce, [ANN]).denial)
    assert verdicts == [None, None, Denial.CLONED]


async def test_a_key_that_says_it_did_not_look_is_not_believed(bio_key: Port) -> None:
    bio_key.key.hidden_flags = 4
    bio_key.key.presence.hand.auto = True
    async with capturing(bio_key) as (_, events):
        proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    assert bio_key.checker.check(proof.data, NONCE, [ANN]).denial is Denial.UNVERIFIED


async def test_keys_that_count_nothing_may_log_in_twice(folder: Path) -> None:
    port = Port(folder, replace(PLAIN, zero_counter=True))
    port.key.presence.hand.auto = True
    try:
        for nonce in (NONCE, OTHER):
            async with capturing(port, Person(PIN), Capture(nonce)) as (_, events):
                proof = await until(events, Proof)
            assert isinstance(proof, Proof)
            assert port.checker.check(proof.data, nonce, [ANN]).denial is None
    finally:
        port.port.remove()


# Settings


async def test_without_an_office_it_does_not_open(bio_key: Port) -> None:
    for office in ("", "/nonexistent", str(bio_key.path.parent)):
        with pytest.raises(DriverError) as error:
            await READER({**bio_key.settings, "office": office}).open()
        assert error.value.fault is Fault.NOT_PERMITTED


async def test_no_fingers_are_named_to_a_key(bio_key: Port) -> None:
    async with opened(bio_key) as reader, held(reader, Verify(NONCE, "x")) as events:
        assert (await fails(events)).fault is Fault.NOT_PERMITTED


async def test_a_pattern_finds_the_key_among_other_devices(bio_key: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """`*` is any number; what is no key is looked at once, and left alone."""
    asked: list[str] = []

    def descriptor(fd: int) -> bytes:
        asked.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        if asked[-1] == "/dev/null":
            raise OSError(errno.ENOTTY, "not hidraw")
        return KEYBOARD if asked[-1] == "/dev/zero" else FIDO

    monkeypatch.setattr(plug, "_descriptor", descriptor)
    for number, target in enumerate(("/dev/null", "/dev/zero", str(bio_key.path))):
        (bio_key.folder / f"hidraw{number}").symlink_to(target)
    reader = READER({**bio_key.settings, "device": str(bio_key.folder / "hidraw*")})
    await reader.open()
    try:
        bio_key.key.presence.hand.auto = True
        async with held(reader, Capture(NONCE)) as events:
            assert isinstance(await until(events, Proof), Proof)
        assert asked == ["/dev/null", "/dev/zero", bio_key.node]
    finally:
        await reader.close()


async def test_a_node_that_only_the_next_process_may_open_ends_this_one(
    bio_key: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bio_key.remove()
    real = os.open

    def denied(path: str, *rest: int) -> int:
        if path == str(bio_key.path):
            raise PermissionError(errno.EACCES, "Landlock")
        return real(path, *rest)

    monkeypatch.setattr(os, "open", denied)
    async with opened(bio_key) as reader:
        async with held(reader, Watch()) as events:
            await until(events, StateChange(State.CREDENTIAL_REMOVED))
            await bio_key.insert()
            error = await fails(events)
        assert (error.fault, "another key" in error.detail) == (Fault.REMOVED, True)
        async with held(reader, Watch()) as events:  # and again, if the first was cancelled before it heard of it
            assert (await fails(events)).fault is Fault.REMOVED


def no_access(path: str, mode: int) -> bool:
    return False


@pytest.mark.parametrize("seen", [True, False])
async def test_a_node_that_is_not_ours_is_left_alone_until_it_is(
    bio_key: Port, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    """Udev gives a new node away a moment after the kernel has made it: by a new ctime, or in the same tick unseen."""
    real, given = os.open, asyncio.Event()

    def denied(path: str, *rest: int) -> int:
        if path == str(bio_key.path) and not given.is_set():
            raise PermissionError(errno.EACCES, "udev")
        return real(path, *rest)

    monkeypatch.setattr(os, "open", denied)
    monkeypatch.setattr(os, "access", no_access)
    if seen:
        monkeypatch.setattr(plug, "YOUNG_SECONDS", 0.0)
    async with capturing(bio_key, op=Watch()) as (_, events):
        await until(events, StateChange(State.CREDENTIAL_REMOVED))
        given.set()
        before = bio_key.path.stat().st_ctime_ns
        while seen and bio_key.path.stat().st_ctime_ns == before:
            await asyncio.sleep(plug.LOOK_SECONDS)
            bio_key.path.chmod(0o600)
        await inserted(events)
