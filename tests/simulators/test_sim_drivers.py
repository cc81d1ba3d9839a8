"""The simulated devices' drivers pass what every driver must pass, against devices on a real bench."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from authd.driver import DriverError, Fault, Reader
from authd_drivers.vein.reader import VeinReader
from authd_simulators import presence_sensor, vein_reader
from authd_simulators.bench import Bench
from authd_simulators.vein_reader.source import CableSource
from tests.conformance.reader import Device, ReaderConformance, SensorConformance

NOT_ASKED_MS = 300


class Bought(Device):
    """A device of the bench, in the hands of a test."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench = bench
        self.name = name
        self.cable = str(bench.devices[name].cable)

    async def order(self, words: str) -> None:
        answer = await self.bench.obey(f"{self.name} {words}")
        assert answer.startswith("ok"), answer

    async def unplug(self) -> None:
        await self.order("UNPLUG")

    async def plug(self) -> None:
        await self.order("PLUG")

    async def suspend(self) -> None:
        await self.bench.obey(f"{self.name} AWAIT {NOT_ASKED_MS}")
        await self.order("SUSPEND")

    async def babble(self, data: bytes) -> None:
        await self.bench.obey(f"{self.name} AWAIT {NOT_ASKED_MS}")
        self.bench.devices[self.name].babble(data)


class VeinDevice(Bought):
    def reader(self) -> Reader:
        return vein_reader.READER({"cable": self.cable})

    async def touch(self) -> None:
        await self.bench.obey(f"{self.name} AWAIT {NOT_ASKED_MS}")  # not asked: somebody leans on it
        await self.order("TOUCH 1003 60000")

    async def lift(self) -> None:
        await self.order("LIFT")

    async def bad_touch(self) -> None:
        await self.order(f"AWAIT {NOT_ASKED_MS}")
        await self.order("OFF_CENTRE 1003 200")


class SensorDevice(Bought):
    def reader(self) -> Reader:
        return presence_sensor.READER({"cable": self.cable})

    async def touch(self) -> None:
        await self.order("COME")

    async def lift(self) -> None:
        await self.order("LEAVE")

    async def repeat(self) -> None:
        await self.order("COME")


class TestVein(ReaderConformance):
    @pytest_asyncio.fixture
    async def device(self, bench: Bench) -> AsyncIterator[Device]:
        yield VeinDevice(bench, "vein-1")


class TestPresence(SensorConformance):
    @pytest_asyncio.fixture
    async def device(self, bench: Bench) -> AsyncIterator[Device]:
        yield SensorDevice(bench, "presence-1")


@pytest.mark.parametrize("settings", [{}, {"cable": "relative"}, {"cable": "/run/x", "profile": "none"}])
def test_wrong_settings_are_named(settings: dict[str, str]) -> None:
    with pytest.raises(DriverError) as caught:
        vein_reader.READER(settings)
    assert caught.value.fault is Fault.NOT_PERMITTED


def test_the_reader_is_the_drivers_own() -> None:
    assert type(vein_reader.READER({"cable": "/run/x"})) is VeinReader


@pytest.mark.parametrize("garbage", ["bytes", "frame", "size"])
async def test_garbage_is_a_fault_and_never_a_picture(bench: Bench, garbage: str) -> None:
    source = CableSource(str(bench.devices["vein-1"].cable))
    await source.open()
    await bench.obey("vein-1 TOUCH 1003 hold")
    await bench.obey(f"vein-1 GARBAGE {garbage}")
    with pytest.raises(DriverError) as caught:
        await source.frame()
    assert caught.value.fault in (Fault.PROTOCOL, Fault.TIMEOUT)
    await source.close()


async def test_a_wiped_frame_leaves_nothing(bench: Bench) -> None:
    source = CableSource(str(bench.devices["vein-1"].cable))
    await source.open()
    await bench.obey("vein-1 TOUCH 1003 hold")
    frame = await source.frame()
    assert frame.pixels.shape == (240, 320)
    assert frame.pixels.any()
    frame.wipe()
    assert not frame.pixels.any()
    await source.close()
