"""The driver on the real fprintd: enrol, verify, the wrong finger, hints, and what goes wrong in the wild."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest
from dbus_fast import Message
from dbus_fast.aio import MessageBus

from authd.driver import (
    Capture,
    Claimed,
    Delete,
    Denial,
    Denied,
    DriverError,
    Enroll,
    Enrolled,
    Event,
    Fault,
    Feedback,
    Hint,
    NoMatch,
    Op,
    Progress,
    Reader,
    Reference,
    State,
    StateChange,
    Verify,
    Watch,
)
from authd_drivers.fprintd import READER
from authd_drivers.fprintd.checker import FprintdChecker
from tests.conformance.reader import fails, no_prompt
from tests.real.fprintd import Fprintd

pytestmark = pytest.mark.real
PATIENCE = 60.0
NONCE = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
WHO = "sub_1"
DOWN = StateChange(State.NEED_TOUCH)


@pytest.fixture
def service() -> Iterator[Fprintd]:
    with Fprintd() as running:
        yield running


@asynccontextmanager
async def opened(service: Fprintd) -> AsyncGenerator[Reader, None]:
    reader = READER({"bus": service.bus})
    await reader.open()
    try:
        yield reader
    finally:
        await reader.close()


def running(reader: Reader, op: Op) -> Any:
    return aclosing(cast("Any", reader.run(op, no_prompt)))


async def until(events: AsyncIterator[Event], *wanted: object) -> Event:
    """Return the first event that is one of these, or of their type; no other end of the operation may come before."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if event in wanted or type(event) in wanted:
                return event
            assert isinstance(event, StateChange | Feedback | Progress), event
    raise AssertionError("ended")


async def enrol(service: Fprintd, reader: Reader, whose: str = f"{WHO} 2", finger: str = "right_index") -> Enrolled:
    """Enrol the generated finger `whose` as a finger of WHO."""
    async with running(reader, Enroll(NONCE, WHO, finger)) as events:
        await until(events, StateChange)
        while True:
            await service.say("AWAIT 30000", f"TOUCH {whose}")
            event = await until(events, Progress, Enrolled)
            if isinstance(event, Enrolled):
                return event


async def verified(service: Fprintd, reader: Reader, whose: str = f"{WHO} 2") -> Event:
    async with running(reader, Verify(OTHER, WHO)) as events:
        await until(events, DOWN)
        await service.say("AWAIT 30000", f"TOUCH {whose}")
        return await until(events, Claimed, NoMatch, Denied)


async def test_enrolled_verified_and_believed_by_the_checker(service: Fprintd) -> None:
    checker = FprintdChecker()
    async with opened(service) as reader:
        made = await enrol(service, reader)
        kept = checker.admit(made.data, made.nonce, WHO)
        checker.load([Reference(WHO, "tpl_1@1", kept)], {})
        event = await verified(service, reader)
    assert isinstance(event, Claimed)
    assert (event.reference, event.nonce) == (WHO, OTHER)
    found = checker.check(event.data, OTHER, [WHO])
    assert (found.subject, found.reference, found.factors, found.grade) == (WHO, "tpl_1@1", ("fingerprint",), "B")
    assert found.denial is None


async def test_the_wrong_finger_is_nobody_and_the_right_one_is_still_right(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        assert await verified(service, reader, f"{WHO} 7") == NoMatch(OTHER)
        assert isinstance(await verified(service, reader), Claimed)


@pytest.mark.parametrize(
    ("code", "hint"),
    [(0, Hint.FINGER_AGAIN), (1, Hint.TOO_SHORT), (2, Hint.CENTRE), (3, Hint.REMOVE_AND_RETRY)],
)
async def test_a_bad_presentation_is_a_hint_and_the_verification_goes_on(
    service: Fprintd, code: int, hint: Hint
) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000", f"RETRY {code}")
            assert await until(events, Feedback) == Feedback(hint)
            await service.say("AWAIT 30000", f"TOUCH {WHO} 2")
            await until(events, Claimed)


async def test_a_picture_without_a_finger_is_a_hint(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000", "BLANK")
            assert await until(events, Feedback) == Feedback(Hint.FINGER_AGAIN)


async def test_enrolment_says_its_stages_and_hints(service: Fprintd) -> None:
    async with opened(service) as reader, running(reader, Enroll(NONCE, WHO, "left_thumb")) as events:
        await until(events, DOWN)
        seen = list[Event]()
        await service.say("AWAIT 30000", "RETRY 2")
        assert await until(events, Feedback) == Feedback(Hint.CENTRE)
        while not seen or not isinstance(seen[-1], Enrolled):
            await service.say("AWAIT 30000", f"TOUCH {WHO} 6")
            seen.append(await until(events, Progress, Enrolled))
    stages = [event.done for event in seen if isinstance(event, Progress)]
    assert stages == sorted(set(stages))
    assert json.loads(await service.say("PRINTS")) == [f"{WHO}/virtual_image/0/1"]


async def test_a_finger_of_somebody_else_is_a_duplicate(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Enroll(NONCE, "sub_2", "left_index")) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000", f"TOUCH {WHO} 2")
            assert await until(events, Denied) == Denied(Denial.DUPLICATE, NONCE)


async def test_an_enrolled_finger_is_not_put_in_place_of_another(service: Fprintd) -> None:
    """The service deletes a finger as soon as it is asked to enrol one of the same name."""
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Enroll(NONCE, WHO, "right_index")) as events:
            assert await until(events, Denied) == Denied(Denial.DUPLICATE, NONCE)
        assert isinstance(await verified(service, reader), Claimed)


async def test_who_has_no_finger_is_unknown_and_what_was_deleted_is_gone(service: Fprintd) -> None:
    async with opened(service) as reader:
        async with running(reader, Verify(NONCE, WHO)) as events:
            assert await until(events, Denied) == Denied(Denial.UNKNOWN, NONCE)
        await enrol(service, reader)
        for _ in range(2):  # what is not there is deleted
            async with running(reader, Delete(f"{WHO}/right-index-finger")) as events:
                assert [event async for event in events] == []
        async with running(reader, Verify(NONCE, WHO)) as events:
            assert await until(events, Denied) == Denied(Denial.UNKNOWN, NONCE)
    assert json.loads(await service.say("PRINTS")) == []


async def test_one_of_two_fingers_matches_and_all_are_deleted_at_once(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        await enrol(service, reader, f"{WHO} 7", "left_index")
        one = await verified(service, reader)
        other = await verified(service, reader, f"{WHO} 7")
        assert isinstance(one, Claimed)
        assert isinstance(other, Claimed)
        assert json.loads(one.data)["fingers"] == ["right-index-finger", "left-index-finger"]
        async with running(reader, Delete(WHO)) as events:
            assert [event async for event in events] == []
    assert json.loads(await service.say("PRINTS")) == []


async def test_a_suspend_is_no_wrong_finger_and_after_it_the_finger_counts(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000", "SUSPEND", "RESUME")
            await until(events, DOWN)  # `until` lets no NoMatch pass
            await service.say("AWAIT 30000", f"TOUCH {WHO} 2")
            await until(events, Claimed)


async def test_a_claim_is_kept_through_sleep_or_fprintd_could_never_open_the_sensor_again(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000", "SUSPEND")
        await service.say("RESUME")
        assert isinstance(await verified(service, reader), Claimed)
        async with another(service) as ask:
            assert await ask("Claim", "sub_2") == ""


async def test_a_sensor_that_opens_no_more_is_tried_slowly_and_heals_with_the_daemon(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with another(service) as ask:  # a program that releases it in suspend, as programs do
            await ask("Claim", "sub_2")
            await service.say("SUSPEND")
            assert await ask("Release") == "net.reactivated.Fprint.Error.Internal"
            await service.say("RESUME")
        async with running(reader, Verify(NONCE, WHO)) as events:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await until(events, "never")
        async with running(reader, Verify(NONCE, WHO)) as events:
            task = asyncio.ensure_future(until(events, DOWN))
            await service.say("RESTART")
            await task
            await service.say("AWAIT 30000", f"TOUCH {WHO} 2")
            await until(events, Claimed)


async def test_a_daemon_that_dies_in_mid_verification_is_claimed_again(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000")
            task = asyncio.ensure_future(until(events, DOWN))
            await service.say("KILL", "START")
            await task
            await service.say("AWAIT 30000", f"TOUCH {WHO} 2")
            await until(events, Claimed)


async def test_a_daemon_that_was_away_between_two_operations_is_found_again(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Watch()) as events:
            await until(events, DOWN)
            await service.say("KILL", "START")
        assert isinstance(await verified(service, reader), Claimed)


async def test_a_daemon_that_hangs_is_a_timeout(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        await service.say("FREEZE")
        async with running(reader, Verify(NONCE, WHO)) as events:
            assert (await fails_patiently(events)).fault is Fault.TIMEOUT
        await service.say("THAW")


async def test_an_unplugged_sensor_is_removed_and_heals(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000", "UNPLUG")
            assert (await fails(events)).fault is Fault.REMOVED
    second = READER({"bus": service.bus})
    with pytest.raises(DriverError) as caught:
        await second.open()
    assert caught.value.fault is Fault.REMOVED
    await service.say("PLUG")
    async with opened(service) as reader:
        assert isinstance(await verified(service, reader), Claimed)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 6, 8, 9, 257])
async def test_a_fault_of_the_sensor_is_no_wrong_finger(service: Fprintd, code: int) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000", f"ERROR {code}")
            await until(events, DOWN)
            await service.say("AWAIT 30000", f"TOUCH {WHO} 2")
            await until(events, Claimed)


async def test_a_sensor_that_loses_its_line_is_removed(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000", "ERROR 5")
            assert (await fails(events)).fault is Fault.REMOVED


@asynccontextmanager
async def another(service: Fprintd) -> AsyncGenerator[Any, None]:
    """Another program on the bus; `ask` returns the error's name, or "" for none."""
    bus = await MessageBus(bus_address=f"unix:path={service.bus}").connect()

    async def ask(member: str, *body: str) -> str:
        names = ("net.reactivated.Fprint", "/net/reactivated/Fprint/Device/0", "net.reactivated.Fprint.Device")
        reply = await bus.call(Message(*names, member, signature="s" * len(body), body=list(body)))
        return reply.error_name or ""

    ask.bus = bus  # type: ignore[attr-defined]  # the test that lies needs it
    yield ask
    bus.disconnect()
    await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # it has no annotations


async def test_another_program_that_has_the_sensor_is_busy_and_no_wrong_finger(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with another(service) as ask:
            assert await ask("Claim", "sub_2") == ""
            async with running(reader, Verify(NONCE, WHO)) as events:
                assert (await fails(events)).fault is Fault.BUSY
        assert isinstance(await verified(service, reader), Claimed)


async def test_another_program_that_leaves_soon_is_waited_for(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with another(service) as ask, running(reader, Verify(NONCE, WHO)) as events:
            assert await ask("Claim", "sub_2") == ""
            task = asyncio.ensure_future(until(events, DOWN))
            await asyncio.sleep(0.3)
            assert await ask("Release") == ""
            await task


async def test_the_sensor_is_free_after_every_end_of_an_operation(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with another(service) as ask:
            for moment in (0.0, 0.001, 0.02, 0.05, 0.11, 0.2):  # in the middle of the claim, and of the verification
                async with running(reader, Verify(NONCE, WHO)) as events:
                    task = asyncio.ensure_future(anext(events))
                    await asyncio.sleep(moment)
                    task.cancel()
                    await asyncio.wait({task})
                    ended = time.perf_counter()
                assert time.perf_counter() - ended < 4  # a call that nobody answers has 5
                assert await soon_claimed(ask)
                assert await ask("Release") == ""
        assert isinstance(await verified(service, reader), Claimed)


async def soon_claimed(ask: Any) -> bool:
    for _ in range(40):
        if await ask("Claim", "sub_2") == "":
            return True
        await asyncio.sleep(0.05)
    return False


async def test_polkits_no_is_not_permitted(service: Fprintd) -> None:
    async with opened(service) as reader:
        await service.say("FORBID setusername")
        async with running(reader, Verify(NONCE, WHO)) as events:
            assert (await fails(events)).fault is Fault.NOT_PERMITTED


@pytest.mark.parametrize("op", [Capture(NONCE), Verify(NONCE, "../../etc"), Enroll(NONCE, WHO, "nose"), Delete("a b")])
async def test_what_fprintd_must_never_be_given_is_refused_here(service: Fprintd, op: Op) -> None:
    """It takes an account for a path, and a finger that it does not know for any."""
    async with opened(service) as reader, running(reader, op) as events:
        assert (await fails(events)).fault in (Fault.PROTOCOL, Fault.NOT_PERMITTED)


async def test_a_match_that_another_peer_sends_gives_nothing(service: Fprintd) -> None:
    """The bus passes on any signal that is addressed to us, whatever we asked it for."""
    async with opened(service) as reader:
        await enrol(service, reader)
        async with another(service) as ask, running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            await service.say("AWAIT 30000")
            names = "/net/reactivated/Fprint/Device/0", "net.reactivated.Fprint.Device", "VerifyStatus", "sb"
            for to in (None, *[f":1.{number}" for number in range(12)]):
                lie = Message.new_signal(*names, ["verify-match", True])
                lie.destination = to
                await ask.bus.send(lie)
            await service.say(f"TOUCH {WHO} 7")
            await until(events, NoMatch)


async def test_the_match_of_another_program_is_not_ours(service: Fprintd) -> None:
    async with opened(service) as reader:
        await enrol(service, reader)
        async with another(service) as ask:
            async with running(reader, Watch()) as events:
                await until(events, DOWN)
                assert [await ask("Claim", WHO), await ask("VerifyStart", "any")] == ["", ""]
                await service.say("AWAIT 30000", f"TOUCH {WHO} 2")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await until(events, Claimed, NoMatch)
            assert [await ask("VerifyStop"), await ask("Release")] == ["", ""]
        async with running(reader, Verify(NONCE, WHO)) as events:
            await until(events, DOWN)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await until(events, Claimed)


async def fails_patiently(events: Any) -> DriverError:
    try:
        await until(events, "never")
    except DriverError as error:
        return error
    raise AssertionError("no error")


async def test_a_bus_that_is_not_there_is_removed() -> None:
    with pytest.raises(DriverError) as caught:
        await READER({"bus": "/nonexistent/bus"}).open()
    assert caught.value.fault is Fault.REMOVED


async def test_the_sensor_that_is_named_is_taken_and_no_other() -> None:
    with Fprintd("image", "device") as service:
        for name, found in (("Virtual image device for debugging", True), ("Another", False)):
            reader = READER({"bus": service.bus, "device": name})
            try:
                await reader.open()
                assert found
                await enrol(service, reader)
            except DriverError as error:
                assert (error.fault, found) == (Fault.REMOVED, False)  # noqa: PT017  # one of the two opens
            finally:
                await reader.close()


async def test_a_sensor_that_matches_on_its_own_chip() -> None:
    with Fprintd("storage") as service:
        async with opened(service) as reader:
            async with running(reader, Enroll(NONCE, WHO, "right_index")) as events:
                await until(events, DOWN)
                event: Event = DOWN
                while not isinstance(event, Enrolled):
                    await service.say("SCAN whorl")
                    event = await until(events, Progress, Enrolled)
            async with running(reader, Verify(NONCE, WHO)) as events:
                await until(events, DOWN)
                await service.say("SCAN whorl")
                await until(events, Claimed)
            async with running(reader, Verify(NONCE, WHO)) as events:
                await until(events, DOWN)
                await service.say("SCAN arch")
                await until(events, NoMatch)


async def test_a_sensor_that_fails_again_and_again_is_not_stormed() -> None:
    with Fprintd("device") as service:
        async with opened(service) as reader:
            async with running(reader, Enroll(NONCE, WHO, "right_index")) as events:
                await until(events, DOWN)
                event: Event = DOWN
                while not isinstance(event, Enrolled):
                    await service.say("SCAN whorl")
                    event = await until(events, Progress, Enrolled)
            async with running(reader, Verify(NONCE, WHO)) as events:
                await until(events, DOWN)
                begun = time.perf_counter()
                await service.say("KEEP_ALIVE 1", *["ERROR 0"] * 4)
                await until(events, DOWN)
                assert time.perf_counter() - begun > 0.25
                await service.say("SCAN whorl")
                await until(events, Claimed)
