"""What every driver of keys or cards must do: its tests inherit `AuthenticatorConformance`.

An authenticator is put in, taken out and touched; what it says is signed. As for other readers, the test says by an
`Authenticator` how its device is handled, and what that cannot do skips the test by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest

from authd.driver import (
    MAX_PROBE_BYTES,
    Capture,
    Confirm,
    Denial,
    Denied,
    DriverError,
    Enroll,
    Event,
    Fault,
    Feedback,
    Hint,
    Op,
    Prompt,
    PromptId,
    Proof,
    Reader,
    State,
    StateChange,
    Watch,
)
from tests.conformance.reader import NONCE, OTHER, PATIENCE, Basics, Device, at_once, cancelled, fails, opened, until

MAX_INSERTION = 64
BEGINNINGS = {State.NEED_TOUCH, State.CREDENTIAL_INSERTED, State.CREDENTIAL_REMOVED}
WRONG_PIN = "000000"


class Authenticator(Device):
    """A key or card in the hands of a test, with a credential of the office on it, and lying in the reader.

    `touch` is the person's act that lets it sign (nothing, where a PIN or the card's presence is enough); it may come
    before the device asks. `unplug` and `plug` are the reader's, or the service's; `remove` and `insert` the key's.
    """

    pin = ""
    """What the person types where they are asked; empty: this device never asks."""

    def reader(self) -> Reader:
        """Return a new reader of this device, not yet open."""
        raise NotImplementedError

    async def insert(self) -> None:
        """Put the key or card in."""
        raise NotImplementedError

    async def remove(self) -> None:
        """Take it out."""
        raise NotImplementedError

    async def touch(self) -> None:
        """Let it sign."""

    async def lift(self) -> None:
        """Nothing rests on a key."""

    async def wrong_finger(self) -> None:
        """Touch the key's own sensor with a finger that it does not know; it has tries left."""
        pytest.skip("this device has no sensor of its own")

    async def block(self) -> None:
        """Let it have locked itself."""
        pytest.skip("a test cannot lock this device")

    async def empty(self) -> None:
        """Put one in its place that has no credential of the office."""
        pytest.skip("there is no empty one of these")

    def credential(self) -> bytes:
        """Return the credential's name, as `Checker.credential` would."""
        pytest.skip("this device cannot be asked silently")


class Person:
    """Answers prompts: `typed` one after the other, and touches after the last one."""

    def __init__(self, *typed: str) -> None:
        self.typed = list(typed)
        self.asked: list[Prompt] = []
        self.waiting = asyncio.Event()
        """Set while a prompt is open that nobody answers."""

    async def ask(self, prompt: Prompt) -> str:
        """Be an `Ask`. With nothing left to type, wait as a person who went away."""
        self.asked.append(prompt)
        if self.typed:
            return self.typed.pop(0)
        self.waiting.set()
        await asyncio.Event().wait()
        raise AssertionError


def held(reader: Reader, op: Op, person: Person | None = None) -> Any:
    """Start an operation; closes itself at the end of `async with`."""
    return aclosing(cast("Any", reader.run(op, (person or Person()).ask)))


def stay(event: Event) -> str:
    """Return the name of the stay that an insertion began."""
    assert isinstance(event, StateChange)
    assert event.state is State.CREDENTIAL_INSERTED
    assert 0 < len(event.insertion) <= MAX_INSERTION
    return event.insertion


async def inserted(events: Any) -> str:
    """Return the name of the stay that begins now."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if isinstance(event, StateChange) and event.state is State.CREDENTIAL_INSERTED:
                return stay(event)
    raise AssertionError("ended without an insertion")


async def gone(events: Any, insertion: str) -> None:
    """Return when that stay is over: the driver says so, or the device is `REMOVED`; nothing is signed before."""
    try:
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                assert not isinstance(event, Proof)
                if event == StateChange(State.CREDENTIAL_REMOVED, insertion):
                    return
    except DriverError as error:
        assert error.fault is Fault.REMOVED  # noqa: PT017  # either says it
        return
    raise AssertionError("ended without a removal")


class AuthenticatorConformance(Basics):
    """For a driver of keys or cards."""

    OP = Capture(NONCE)

    @asynccontextmanager
    async def capturing(
        self, device: Authenticator, nonce: str = NONCE, person: Person | None = None
    ) -> AsyncGenerator[Any, None]:
        """Capture with an open reader, and somebody who types the right PIN and touches."""
        async with opened(device) as reader, held(reader, Capture(nonce), person or Person(device.pin)) as events:
            await device.touch()
            yield events

    # What it says.

    async def test_begins_with_how_things_are(self, device: Authenticator) -> None:
        async with opened(device) as reader, held(reader, Capture(NONCE), Person(device.pin)) as events:
            first = await until(events, StateChange)
            assert isinstance(first, StateChange)
            assert first.state in BEGINNINGS

    async def test_an_empty_reader_waits(self, device: Authenticator) -> None:
        await device.remove()
        async with opened(device) as reader, held(reader, Capture(NONCE), Person(device.pin)) as events:
            await until(events, StateChange)
            await device.insert()
            await inserted(events)
            await device.touch()
            assert isinstance(await until(events, Proof), Proof)

    async def test_one_touch_is_one_proof_under_its_nonce(self, device: Authenticator) -> None:
        async with self.capturing(device) as events:
            proof = await until(events, Proof)
            assert isinstance(proof, Proof)
            assert proof.nonce == NONCE
            assert not proof.silent
            assert 0 < len(proof.data) <= MAX_PROBE_BYTES
            assert [event async for event in events if isinstance(event, Proof)] == []

    async def test_another_nonce_is_signed_anew(self, device: Authenticator) -> None:
        found: list[bytes] = []
        for nonce in (NONCE, OTHER):
            async with self.capturing(device, nonce) as events:
                proof = await until(events, Proof)
                assert isinstance(proof, Proof)
                found.append(proof.data)
        assert found[0] != found[1]

    async def test_a_proof_names_the_stay_it_comes_from(self, device: Authenticator) -> None:
        async with opened(device) as reader:
            async with held(reader, Watch()) as events:
                insertion = await inserted(events)
            async with held(reader, Capture(NONCE), Person(device.pin)) as events:
                await device.touch()
                proof = await until(events, Proof)
        assert isinstance(proof, Proof)
        assert proof.insertion == insertion

    # In and out.

    async def test_the_watch_says_each_stay_and_its_end(self, device: Authenticator) -> None:
        async with opened(device) as reader, held(reader, Watch()) as events:
            stays = [await inserted(events)]
            for _ in range(2):
                await device.remove()
                await until(events, StateChange(State.CREDENTIAL_REMOVED, stays[-1]))
                await device.insert()
                stays.append(await inserted(events))
        assert len(set(stays)) == len(stays)

    async def test_the_watch_asks_for_nothing(self, device: Authenticator) -> None:
        person = Person()
        async with opened(device) as reader, held(reader, Watch(), person) as events:
            await inserted(events)
            await device.touch()
            await device.remove()
            await until(events, StateChange)
        assert person.asked == []

    async def test_a_removal_while_nobody_watched_is_known(self, device: Authenticator) -> None:
        async with opened(device) as reader:
            async with held(reader, Watch()) as events:
                before = await inserted(events)
            await device.remove()
            await device.insert()
            async with held(reader, Watch()) as events:
                assert await inserted(events) != before

    async def test_taken_out_in_the_middle_it_signs_nothing(self, device: Authenticator) -> None:
        person = Person()  # types nothing, touches nothing
        async with opened(device) as reader, held(reader, Capture(NONCE), person) as events:
            insertion = await inserted(events)
            await device.remove()
            await gone(events, insertion)

    async def test_an_unplugged_device_is_removed(self, device: Authenticator) -> None:
        """A reader or service that dies ends the stay, at once."""
        async with opened(device) as reader, held(reader, Watch()) as events:
            insertion = await inserted(events)
            await device.unplug()
            await gone(events, insertion)

    async def test_a_device_that_is_not_there_does_not_open_and_heals(self, device: Authenticator) -> None:
        await device.unplug()
        reader = device.reader()
        try:
            await reader.open()  # it may as well open, and wait for the device
        except DriverError as error:
            assert error.fault is Fault.REMOVED  # noqa: PT017  # either is good
        finally:
            await reader.close()
        await device.plug()
        async with opened(device) as reader, held(reader, Watch()) as events:
            await inserted(events)

    async def test_the_first_claimant_is_not_disturbed_by_the_second(self, device: Authenticator) -> None:
        async with opened(device) as reader, held(reader, Watch()) as events:
            insertion = await inserted(events)
            second = device.reader()
            try:
                await second.open()
            except DriverError as error:
                assert error.fault is Fault.BUSY  # noqa: PT017  # sharing is as good
            finally:
                await second.close()
            await device.remove()
            await gone(events, insertion)

    # Silence.

    async def test_confirms_its_credential_without_anybody(self, device: Authenticator) -> None:
        credential, person = device.credential(), Person()
        async with opened(device) as reader, held(reader, Confirm(NONCE, credential), person) as events:
            proof = await until(events, Proof)
        assert isinstance(proof, Proof)
        assert (proof.silent, proof.nonce, person.asked) == (True, NONCE, [])

    async def test_confirms_no_other_credential(self, device: Authenticator) -> None:
        credential = bytes(byte ^ 0xFF for byte in device.credential())
        async with opened(device) as reader, held(reader, Confirm(NONCE, credential)) as events:
            async with asyncio.timeout(PATIENCE):
                assert [event async for event in events if isinstance(event, Proof)] == []

    # The person.

    async def test_a_wrong_pin_is_a_hint_and_only_the_person_tries_again(self, device: Authenticator) -> None:
        if not device.pin:
            pytest.skip("this device asks for nothing")
        person = Person(WRONG_PIN)
        async with opened(device) as reader, held(reader, Capture(NONCE), person) as events:
            await device.touch()
            assert await until(events, Feedback, Proof) == Feedback(Hint.PIN_WRONG)
            follow = asyncio.ensure_future(anext(events))
            async with asyncio.timeout(PATIENCE):
                await person.waiting.wait()
            follow.cancel()
            await asyncio.wait({follow})
        assert [prompt.id for prompt in person.asked] == [PromptId.PIN] * 2
        assert [prompt.again for prompt in person.asked] == [False, True]
        first, again = (prompt.left for prompt in person.asked)
        assert first is None or again is None or again == first - 1

    async def test_asks_once_where_the_pin_is_right(self, device: Authenticator) -> None:
        person = Person(device.pin)
        async with self.capturing(device, person=person) as events:
            await until(events, Proof)
        assert len(person.asked) == bool(device.pin)

    async def test_a_wrong_finger_on_the_key_is_a_hint(self, device: Authenticator) -> None:
        async with opened(device) as reader, held(reader, Capture(NONCE), Person()) as events:
            await inserted(events)
            await device.wrong_finger()
            again = Feedback(Hint.FINGER_AGAIN)  # after others: it may have said before that it wants a touch
            assert await until(events, again, Proof) == again
            await device.touch()
            await until(events, Proof)

    async def test_cancels_within_500_ms_while_a_pin_is_asked_for(self, device: Authenticator) -> None:
        if not device.pin:
            pytest.skip("this device asks for nothing")

        async def once() -> float:
            person = Person()
            async with opened(device) as reader:
                events = cast("Any", reader.run(Capture(NONCE), person.ask))
                task = asyncio.ensure_future(until(events, Proof))
                async with asyncio.timeout(PATIENCE):
                    await person.waiting.wait()
                return await cancelled(task, events)

        await at_once(once)

    async def test_a_cancelled_capture_leaves_nothing_behind(self, device: Authenticator) -> None:
        async with opened(device) as reader:
            async with held(reader, Capture(OTHER), Person(device.pin)) as events:
                await inserted(events)
            async with held(reader, Capture(NONCE), Person(device.pin)) as events:
                await device.touch()
                proof = await until(events, Proof)
        assert isinstance(proof, Proof)
        assert proof.nonce == NONCE

    # What it refuses.

    async def test_one_that_locked_itself_is_denied(self, device: Authenticator) -> None:
        await device.block()
        async with self.capturing(device) as events:
            assert await until(events, Denied, Proof) == Denied(Denial.BLOCKED, NONCE)

    async def test_one_of_another_office_is_denied(self, device: Authenticator) -> None:
        await device.empty()
        async with self.capturing(device) as events:
            assert await until(events, Denied, Proof) == Denied(Denial.UNKNOWN, NONCE)

    async def test_the_same_one_is_not_enrolled_twice(self, device: Authenticator) -> None:
        op = Enroll(NONCE, "sub_conformance", exclude=(device.credential(),))
        async with opened(device) as reader, held(reader, op, Person(device.pin)) as events:
            await device.touch()
            assert await until(events, Denied) == Denied(Denial.DUPLICATE, NONCE)

    @pytest.mark.parametrize(
        "data",
        [b"\xff" * 4096, b"\0" * 4096, b"\n" * 4096, bytes(range(256)) * 16],
        ids=["ones", "zeros", "newlines", "every byte"],
    )
    async def test_hostile_bytes_are_one_error(self, device: Authenticator, data: bytes) -> None:
        async with opened(device) as reader, held(reader, Capture(NONCE), Person(device.pin)) as events:
            await device.babble(data)
            await device.touch()
            assert (await fails(events)).fault is Fault.PROTOCOL
