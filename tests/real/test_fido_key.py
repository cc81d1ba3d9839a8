"""The simulated key under the real pcscd: laid down, taken away, and there again when pcscd is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from authd_simulators.control import command
from tests.real.pcscd import Pcscd

pytestmark = pytest.mark.real
LIMIT_S = 60
PLATFORM = """
import os, time
from fido2.ctap2.base import Ctap2
from fido2.pcsc import CtapPcscDevice
for _ in range(200):
    found = list(CtapPcscDevice.list_devices("00 00"))
    if found:
        break
    time.sleep(0.05)
try:
    Ctap2(found[0]).selection(on_keepalive=lambda _: print("waits", flush=True))
    print("touched", flush=True)
except Exception as error:
    print(type(error).__name__, flush=True)
os._exit(0)  # connections of a pcscd that is gone cannot be let go of in order
"""


@pytest.fixture
def pcscd() -> Iterator[Pcscd]:
    with Pcscd() as made:
        yield made


@pytest.fixture
def control(pcscd: Pcscd, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("k") / "c"
    argv = [sys.executable, "-m", "authd_simulators.fido_key", "--control", str(path), "--vpcd", pcscd.address()]
    process = pcscd.spawn(*argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"ready\n"
    return path


class Platform:
    """A process that asks for a touch through pcscd, and says how that went."""

    def __init__(self, pcscd: Pcscd) -> None:
        argv = [sys.executable, "-c", PLATFORM]
        environment = {**os.environ, **pcscd.env}
        self.process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __enter__(self) -> Platform:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=LIMIT_S)


async def test_a_touch_is_awaited_over_the_reader(pcscd: Pcscd, control: Path) -> None:
    with Platform(pcscd) as platform:
        assert await command(control, "AWAIT 30000", LIMIT_S) == "ok asked"
        assert platform.says() == "waits"
        assert await command(control, "TOUCH", LIMIT_S) == "ok touched"
        assert platform.says() == "touched"


async def test_taken_away_in_mid_touch_it_is_an_error_and_comes_back(pcscd: Pcscd, control: Path) -> None:
    with Platform(pcscd) as platform:
        assert platform.says() == "waits"
        assert await command(control, "UNPLUG", LIMIT_S) == "ok removed"
        assert platform.says() in ("CardConnectionException", "CtapError")
    assert await command(control, "INSERT", LIMIT_S) == "ok inserted"
    with Platform(pcscd) as platform:
        assert platform.says() == "waits"


async def test_it_lies_there_again_when_pcscd_is_back(pcscd: Pcscd, control: Path) -> None:
    with Platform(pcscd) as platform:
        assert platform.says() == "waits"
        pcscd.kill()
        assert platform.says() == "CardConnectionException"
    pcscd.start()
    with Platform(pcscd) as platform:
        assert platform.says() == "waits"
        assert await command(control, "TOUCH", LIMIT_S) == "ok touched"
        assert platform.says() == "touched"
