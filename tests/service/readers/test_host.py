"""Two real readers at one seat, from the touch to what the path hears."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import TypeVar

import pytest

from authd.core.model import Fault, Nonce, ReaderId, SeatId
from authd.core.ports import Heard, ReaderDown, ReaderUp, Sample, Sensed
from authd.service.host.manifest import ManifestError
from authd.service.readers import HostReaders, ReaderPlan
from authd.service.registry import find_driver

SEAT = SeatId("counter-1")
BUTTON, SENSOR = ReaderId("button-1"), ReaderId("presence-1")
N1, N2 = Nonce("01" * 16), Nonce("02" * 16)
H = TypeVar("H", bound=Heard)


class Desk:
    """A seat with a button and a presence sensor, and the hands that move them."""

    def __init__(self, folder: Path) -> None:
        self._paths = {name: folder / name for name in (BUTTON, SENSOR)}
        for path in self._paths.values():
            os.mkfifo(path)
        self._ends = {name: os.open(path, os.O_RDWR | os.O_NONBLOCK) for name, path in self._paths.items()}
        drivers = {BUTTON: "example", SENSOR: "presence"}
        plans = [
            ReaderPlan(name, find_driver(drivers[name]), {"source": f"fifo:{path}"})
            for name, path in self._paths.items()
        ]
        self.readers = HostReaders({SEAT: [BUTTON, SENSOR]}, plans)
        self._heard = self.readers.listen(SEAT)

    def say(self, reader: ReaderId, data: bytes) -> None:
        os.write(self._ends[reader], data)

    async def hear(self, kind: type[H]) -> H:
        """Return the next word of this kind."""
        async with asyncio.timeout(60):
            async for word in self._heard:
                if isinstance(word, kind):
                    return word
        raise AssertionError

    async def press(self) -> Sample:
        """Press the button again and again until it counts: a press before the operation stands is no touch."""

        async def hand() -> None:
            while True:
                self.say(BUTTON, b"0\n1\n")
                await asyncio.sleep(0.1)

        pressing = asyncio.ensure_future(hand())
        try:
            return await self.hear(Sample)
        finally:
            pressing.cancel()

    async def both_up(self) -> None:
        assert {(await self.hear(ReaderUp)).reader for _ in range(2)} == {BUTTON, SENSOR}

    def close(self) -> None:
        for fd in self._ends.values():
            os.close(fd)


@contextlib.asynccontextmanager
async def running(desk: Desk) -> AsyncGenerator[Desk, None]:
    task = asyncio.ensure_future(desk.readers.run())
    try:
        yield desk
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    with tempfile.TemporaryDirectory() as folder:
        made = Desk(Path(folder))
        async with running(made):
            yield made
        made.close()


@pytest.mark.real
async def test_a_touch_is_heard_as_a_sample_under_the_armed_nonce(desk: Desk) -> None:
    await desk.both_up()
    desk.readers.arm(SEAT, N1)
    sample = await desk.press()
    assert (sample.reader, sample.nonce, len(sample.probe)) == (BUTTON, N1, 32)
    desk.readers.arm(SEAT, N2)
    assert (await desk.press()).nonce == N2


@pytest.mark.real
async def test_presence_is_heard(desk: Desk) -> None:
    await desk.both_up()
    desk.say(SENSOR, b"1\n")
    assert await desk.hear(Sensed) == Sensed(present=True)
    desk.say(SENSOR, b"ABSENT\n")
    assert await desk.hear(Sensed) == Sensed(present=False)


@pytest.mark.real
async def test_a_reader_that_dies_is_down_and_comes_back_armed(desk: Desk) -> None:
    await desk.both_up()
    desk.readers.arm(SEAT, N1)
    pid = desk.readers.keepers[BUTTON].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert await desk.hear(ReaderDown) == ReaderDown(BUTTON, Fault.CRASHED)
    assert await desk.hear(ReaderUp) == ReaderUp(BUTTON)
    assert (await desk.press()).nonce == N1


@pytest.mark.real
async def test_a_device_that_talks_nonsense_is_down_with_its_reason(desk: Desk) -> None:
    await desk.both_up()
    desk.readers.arm(SEAT, N1)
    desk.say(BUTTON, b"\xff\n")
    assert await desk.hear(ReaderDown) == ReaderDown(BUTTON, Fault.PROTOCOL)
    assert await desk.hear(ReaderUp) == ReaderUp(BUTTON)


def test_settings_that_do_not_fit_the_manifest_are_refused() -> None:
    plan = ReaderPlan(BUTTON, find_driver("example"), {"sauce": "x"})
    with pytest.raises(ManifestError):
        HostReaders({SEAT: [BUTTON]}, [plan])
