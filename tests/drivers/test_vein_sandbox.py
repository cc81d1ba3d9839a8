"""The driver in its own child, under the sandbox that its manifest asks for: nothing it needs is denied."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

import authd_drivers.vein
from authd.driver import Capture, Probe, State, StateChange
from authd.service.host import manifest
from authd.service.host.frames import Start
from authd.service.host.process import Plan
from authd_drivers.vein.engine.template import parse
from tests.drivers.veins import picture, sim
from tests.service.host.test_supervisor import Watcher, kept, soon


@pytest.mark.real
async def test_a_probe_comes_out_of_the_sandbox(tmp_path: Path) -> None:
    folder, trigger = tmp_path / "veins", tmp_path / "finger"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), picture("a", 0))
    trigger.write_text("")
    settings = {"source": f"folder:{folder}", "profile": "sim", "trigger": str(trigger)}
    parsed = manifest.parse((Path(authd_drivers.vein.__file__).parent / "manifest.toml").read_bytes())
    start = Start(0, manifest.fill(parsed, settings), target="authd_drivers.vein", settings=settings)
    watcher = Watcher()
    async with kept(Plan("vein-1", "reader", start), watcher) as keeper:
        await soon(watcher.ups)
        keeper.send(1, Capture("0" * 32))
        assert (await soon(watcher.frames)).message == StateChange(State.NEED_TOUCH)
        trigger.write_text("a.png")
        assert (await soon(watcher.frames)).message == StateChange(State.FINGER_DOWN)
        probe = (await soon(watcher.frames)).message
    assert isinstance(probe, Probe)
    assert parse(probe.data).profile == sim().id
