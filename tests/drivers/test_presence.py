from __future__ import annotations

import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from authd.driver import DriverError, Fault, State, StateChange, Watch
from authd_drivers.presence import READER
from tests.conformance.reader import Device, SensorConformance, opened, running, until
from tests.drivers.fifo import Fifo


class TestPresence(SensorConformance):
    @pytest.fixture
    def device(self, tmp_path: Path) -> Iterator[Device]:
        sensor = Fifo(tmp_path / "sensor", READER)
        yield sensor
        sensor.close()


@pytest.mark.parametrize("settings", [{}, {"source": "x"}, {"source": "serial:/dev/null", "baud": "12"}])
async def test_a_wrong_setting_is_said(settings: dict[str, str]) -> None:
    with pytest.raises(DriverError) as caught:
        await READER(settings).open()
    assert caught.value.fault is Fault.NOT_PERMITTED


async def test_a_serial_line_is_read_and_its_end_is_a_removal() -> None:
    ours, theirs = pty.openpty()
    device = Device()
    device.reader = lambda: READER({"source": f"serial:{os.ttyname(theirs)}"})  # type: ignore[method-assign]  # one test
    async with opened(device) as reader, running(reader, Watch()) as events:
        os.close(theirs)
        os.write(ours, b"present\r\n")
        assert await until(events, StateChange) == StateChange(State.PERSON_PRESENT)
        os.close(ours)
        with pytest.raises(DriverError) as caught:
            await until(events, StateChange)
    assert caught.value.fault is Fault.REMOVED
