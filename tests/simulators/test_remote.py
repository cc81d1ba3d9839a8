"""A device that is a process of its own is played through the bench as any other."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from authd_simulators.bench import Bench
from authd_simulators.control import ControlSocket, error, ok


class Other:
    """Stands for the other process."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self.status = '{"inserted":true}'
        self.control = ControlSocket(path, self.obey)

    async def obey(self, line: str) -> str:
        line = line.strip()
        self.heard.append(line)
        if line == "STATUS":
            return ok(self.status)
        return ok("touched") if line.startswith("TOUCH") else error("no such command")


@pytest_asyncio.fixture
async def other(run_dir: Path) -> AsyncIterator[Other]:
    made = Other(run_dir / "other.sock")
    await made.control.open()
    yield made
    made.control.close()


@pytest_asyncio.fixture
async def bench(run_dir: Path, other: Other) -> AsyncIterator[Bench]:
    async with Bench(run_dir / "bench", ["vein-1"], seed=7, remotes={"key-1": other.control.path}) as made:
        yield made


async def test_its_commands_go_on_to_it(bench: Bench, other: Other) -> None:
    assert await bench.obey("key-1 TOUCH 2") == "ok touched"
    assert await bench.obey("key-1 JUMP") == "error no such command"
    assert other.heard == ["TOUCH 2", "JUMP"]


async def test_its_status_stands_beside_the_others(bench: Bench) -> None:
    status = json.loads((await bench.obey("STATUS")).removeprefix("ok "))
    assert status["key-1"] == {"there": True, "inserted": True}
    assert status["vein-1"]["plugged"] is True


@pytest.mark.parametrize("said", ["nonsense", "[]", '"text"'])
async def test_a_status_that_is_none_is_no_error(bench: Bench, other: Other, said: str) -> None:
    other.status = said
    assert (await bench.obey("STATUS")).startswith("ok ")


async def test_one_that_is_gone_is_said_plainly(bench: Bench, other: Other) -> None:
    other.control.close()
    assert (await bench.obey("key-1 TOUCH")).startswith("error key-1 does not answer")
    assert json.loads((await bench.obey("STATUS")).removeprefix("ok "))["key-1"] == {"there": False}


async def test_two_devices_of_one_name_are_refused(run_dir: Path) -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        Bench(run_dir, ["vein-1"], remotes={"vein-1": run_dir / "x"})
