"""What every driver must do, as classes that its tests inherit (docs/how-to/add-a-driver.md).

A driver's test says how its device is handled, by a `Device`, and inherits `ReaderConformance` (it takes samples) or
`SensorConformance` (it says states). What a device cannot do is left out: `Device`'s own methods skip the test, and the
report names the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest

from authd.driver import (
    MAX_PROBE_BYTES,
    Capture,
    DriverError,
    Event,
    Fault,
    Feedback,
    Op,
    Probe,
    Prompt,
    Reader,
    State,
    StateChange,
    Watch,
)

NONCE = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
PATIENCE = 60.0
CANCEL_SECONDS = 0.5
CANCEL_TRIES = 10
HOW_THINGS_ARE = {State.FINGER_DOWN, State.NEED_TOUCH, State.FINGER_UP}


class Device:
    """A device in the hands of a test. Override what yours can do; `reader`, `touch` and `lift` at least."""

    def reader(self) -> Reader:
        """Return a new reader of this device, not yet open."""
        raise NotImplementedError

    async def touch(self) -> None:
        """A finger comes down (a person comes, for a sensor) and stays."""
        raise NotImplementedError

    async def lift(self) -> None:
        """It goes."""
        raise NotImplementedError

    async def unplug(self) -> None:
        """Pull the plug."""
        pytest.skip("this device cannot be unplugged by a test")

    async def plug(self) -> None:
        """Put it back."""
        pytest.skip("this device cannot be plugged in by a test")

    async def suspend(self) -> None:
        """The device, or the machine, goes to sleep."""
        pytest.skip("this device has no suspend")

    async def bad_touch(self) -> None:
        """A presentation that is too bad to be compared; the finger is gone afterwards."""
        pytest.skip("this device has no quality gate")

    async def repeat(self) -> None:
        """Say once more what was said last, as devices do."""
        pytest.skip("this device does not repeat itself")

    async def babble(self, data: bytes) -> None:
        """Send these bytes to the driver in the device's place."""
        pytest.skip("no bytes of another's making reach this driver")


async def no_prompt(message: Prompt) -> str:
    """An `Ask` for devices that need no PIN."""
    raise AssertionError(f"asked for {message}")


def running(reader: Reader, op: Op) -> Any:
    """Start an operation; closes itself at the end of `async with`."""
    return aclosing(cast("Any", reader.run(op, no_prompt)))


@asynccontextmanager
async def opened(device: Device) -> AsyncGenerator[Reader, None]:
    """Give an open reader, and close it whatever happens."""
    reader = device.reader()
    await reader.open()
    try:
        yield reader
    finally:
        await reader.close()


async def until(events: Any, *wanted: object) -> Event:
    """Return the first event that equals one of `wanted`, or is of its type."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if event in wanted or type(event) in wanted:
                return cast("Event", event)
    raise AssertionError(f"ended before {wanted}")


async def fails(events: Any) -> DriverError:
    """Return the error the operation ends with; any other than `DriverError` fails the test."""
    try:
        await until(events, "never")
    except DriverError as error:
        return error
    raise AssertionError("no error")


async def cancelled(task: asyncio.Future[Any], events: Any) -> float:
    """Cancel the task that listens to these events; return how many seconds it took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    task.cancel()
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait({task})
        await events.aclose()
    return loop.time() - begun


async def at_once(cancelling: Callable[[], Awaitable[float]]) -> None:
    """Cancel until it has taken no more than 500 ms: a slow driver is slow each time, a busy machine is not."""
    taken = [CANCEL_SECONDS + 1]
    while min(taken) > CANCEL_SECONDS:
        assert len(taken) <= CANCEL_TRIES, taken
        taken.append(await cancelling())


class Basics:
    """What every driver does."""

    OP: Op = Watch()

    async def test_closes_twice_before_and_after_opening(self, device: Device) -> None:
        reader = device.reader()
        await reader.close()
        await reader.open()
        await reader.close()
        await reader.close()

    async def test_opens_again_after_closing(self, device: Device) -> None:
        reader = device.reader()
        for _ in range(2):
            await reader.open()
            await reader.close()

    async def test_does_nothing_while_it_is_not_open(self, device: Device) -> None:
        async with running(device.reader(), self.OP) as events:
            await fails(events)

    async def test_a_second_claimant_is_told_busy(self, device: Device) -> None:
        async with opened(device):
            second = device.reader()
            try:
                await second.open()
            except DriverError as error:
                assert error.fault is Fault.BUSY  # noqa: PT017  # not raising is as good: some devices are shared
            finally:
                await second.close()

    async def test_a_suspended_device_says_so(self, device: Device) -> None:
        async with opened(device) as reader, running(reader, self.OP) as events:
            await device.suspend()
            try:
                await until(events, StateChange(State.SUSPENDED))
            except DriverError as error:
                assert error.fault is Fault.SUSPENDED  # noqa: PT017  # a state or an error, as the device can

    async def test_cancels_within_500_ms_while_it_waits(self, device: Device) -> None:
        async def twice() -> float:
            async with opened(device) as reader:
                first = await self._cancel(reader)
                return max(first, await self._cancel(reader))  # and nothing of the first is in the way of the second

        await at_once(twice)

    async def _cancel(self, reader: Reader) -> float:
        """Return how many seconds it took."""
        events = cast("Any", reader.run(self.OP, no_prompt))
        begun = asyncio.Event()

        async def follow() -> None:
            async for _ in events:
                begun.set()

        task = asyncio.ensure_future(follow())
        await asyncio.wait({task, asyncio.ensure_future(begun.wait())}, timeout=0.2)
        return await cancelled(task, events)


class Common(Basics):
    """What sensors and readers share."""

    async def test_the_first_claimant_is_not_disturbed_by_the_second(self, device: Device) -> None:
        async with opened(device) as reader:
            second = device.reader()
            try:
                await second.open()
                pytest.skip("this device can be shared")
            except DriverError:
                await second.close()
            async with running(reader, Watch()) as events:
                await device.touch()
                await until(events, StateChange(State.FINGER_DOWN), StateChange(State.PERSON_PRESENT))

    async def test_an_unplugged_device_is_removed(self, device: Device) -> None:
        async with opened(device) as reader, running(reader, self.OP) as events:
            await device.touch()
            await until(events, StateChange)
            await device.unplug()
            assert (await fails(events)).fault is Fault.REMOVED

    async def test_a_device_that_is_not_there_does_not_open_and_heals(self, device: Device) -> None:
        await device.unplug()
        reader = device.reader()
        try:
            async with asyncio.timeout(PATIENCE):
                await reader.open()
                async with running(reader, self.OP) as events:
                    await until(events, "never")
        except DriverError as error:
            assert error.fault is Fault.REMOVED  # noqa: PT017  # either call may be the one that finds out
        finally:
            await reader.close()
        await device.plug()
        async with opened(device) as reader, running(reader, self.OP) as events:
            await device.touch()
            await until(events, StateChange(State.FINGER_DOWN), StateChange(State.PERSON_PRESENT))

    @pytest.mark.parametrize(
        "data",
        [b"\xff" * 200_000, b"\0" * 4096, b"\n" * 4096, b"A" * 4096 + b"\n", "\u202e\ufeff\n".encode()],
        ids=["endless", "zeros", "newlines", "long line", "unicode"],
    )
    async def test_hostile_bytes_are_one_error(self, device: Device, data: bytes) -> None:
        async with opened(device) as reader, running(reader, self.OP) as events:
            await device.babble(data)
            assert (await fails(events)).fault is Fault.PROTOCOL


class SensorConformance(Common):
    """For a driver that says whether somebody is there."""

    async def test_says_each_change_once(self, device: Device) -> None:
        async with opened(device) as reader, running(reader, Watch()) as events:
            for _ in range(3):
                await device.touch()
                assert await until(events, StateChange) == StateChange(State.PERSON_PRESENT)
                await device.lift()
                assert await until(events, StateChange) == StateChange(State.PERSON_ABSENT)

    async def test_a_repeated_word_is_no_change(self, device: Device) -> None:
        async with opened(device) as reader, running(reader, Watch()) as events:
            await device.touch()
            await until(events, StateChange(State.PERSON_PRESENT))
            await device.repeat()
            await device.lift()
            assert await until(events, StateChange) == StateChange(State.PERSON_ABSENT)

    async def test_begins_with_how_things_are(self, device: Device) -> None:
        async with opened(device) as reader:
            async with running(reader, Watch()) as events:
                await device.touch()
                await until(events, StateChange(State.PERSON_PRESENT))
            async with running(reader, Watch()) as events:
                assert await until(events, StateChange) == StateChange(State.PERSON_PRESENT)

    async def test_what_changed_while_nobody_watched_is_known(self, device: Device) -> None:
        async with opened(device) as reader:
            async with running(reader, Watch()) as events:
                await device.touch()
                await until(events, StateChange(State.PERSON_PRESENT))
            await device.lift()
            async with running(reader, Watch()) as events:
                await until(events, StateChange(State.PERSON_ABSENT))

    async def test_takes_no_samples(self, device: Device) -> None:
        async with opened(device) as reader, running(reader, Capture(NONCE)) as events:
            assert (await fails(events)).fault is Fault.NOT_PERMITTED


class ReaderConformance(Common):
    """For a driver that takes samples of a person."""

    OP = Capture(NONCE)

    async def test_one_touch_is_one_probe_under_its_nonce(self, device: Device) -> None:
        async with opened(device) as reader, running(reader, Capture(NONCE)) as events:
            await until(events, StateChange)
            await device.touch()
            probe = await until(events, Probe)
            assert isinstance(probe, Probe)
            assert probe.nonce == NONCE
            assert 0 < len(probe.data) <= MAX_PROBE_BYTES
            assert 0.0 <= probe.quality <= 1.0
            assert probe.pad is None or 0.0 <= probe.pad <= 1.0
            assert [event async for event in events if isinstance(event, Probe)] == []

    async def test_begins_with_how_things_are(self, device: Device) -> None:
        async with opened(device) as reader, running(reader, Capture(NONCE)) as events:
            first = await until(events, StateChange)
            assert isinstance(first, StateChange)
            assert first.state in HOW_THINGS_ARE - {State.FINGER_DOWN}

    async def test_a_finger_that_is_already_down_is_no_touch(self, device: Device) -> None:
        async with opened(device) as reader:
            async with running(reader, Watch()) as events:
                await device.touch()
                await until(events, StateChange(State.FINGER_DOWN))
            async with running(reader, Capture(NONCE)) as events:
                assert await until(events, StateChange, Probe) == StateChange(State.FINGER_DOWN)
                await device.lift()
                up = (StateChange(State.FINGER_UP), StateChange(State.NEED_TOUCH))
                assert await until(events, StateChange, Probe) in up
                await device.touch()
                await until(events, Probe)

    async def test_a_finger_that_came_while_nobody_asked_is_no_touch(self, device: Device) -> None:
        async with opened(device) as reader:
            async with running(reader, Watch()) as events:
                await until(events, StateChange)
            await device.touch()
            async with running(reader, Capture(NONCE)) as events:
                assert await until(events, StateChange, Probe) == StateChange(State.FINGER_DOWN)

    async def test_a_resting_finger_gives_one_probe_only(self, device: Device) -> None:
        async with opened(device) as reader:
            async with running(reader, Capture(NONCE)) as events:
                await until(events, StateChange)
                await device.touch()
                await until(events, Probe)
            async with running(reader, Capture(OTHER)) as events:
                assert await until(events, StateChange, Probe) == StateChange(State.FINGER_DOWN)

    async def test_the_watch_after_a_probe_sees_the_finger_rest_and_go(self, device: Device) -> None:
        """Without it there is no logout by a 2 s hold."""
        async with opened(device) as reader:
            async with running(reader, Capture(NONCE)) as events:
                await until(events, StateChange)
                await device.touch()
                await until(events, Probe)
            async with running(reader, Watch()) as events:
                assert await until(events, StateChange) == StateChange(State.FINGER_DOWN)
                await device.lift()
                await until(events, StateChange(State.FINGER_UP), StateChange(State.NEED_TOUCH))

    async def test_the_same_touch_said_twice_is_one_touch(self, device: Device) -> None:
        async with opened(device) as reader:
            async with running(reader, Capture(NONCE)) as events:
                await until(events, StateChange)
                await device.touch()
                await until(events, Probe)
            await device.repeat()
            async with running(reader, Capture(OTHER)) as events:
                assert await until(events, StateChange, Probe) == StateChange(State.FINGER_DOWN)

    async def test_a_bad_presentation_is_a_hint_and_the_capture_goes_on(self, device: Device) -> None:
        async with opened(device) as reader, running(reader, Capture(NONCE)) as events:
            await until(events, StateChange)
            await device.bad_touch()
            assert isinstance(await until(events, Feedback, Probe), Feedback)
            await device.touch()
            await until(events, Probe)

    async def test_a_cancelled_capture_leaves_nothing_behind(self, device: Device) -> None:
        async with opened(device) as reader:
            async with running(reader, Capture(NONCE)) as events:
                await until(events, StateChange)
            async with running(reader, Capture(OTHER)) as events:
                await until(events, StateChange)
                await device.touch()
                probe = await until(events, Probe)
                assert isinstance(probe, Probe)
                assert probe.nonce == OTHER
