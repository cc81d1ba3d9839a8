import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from importlib.resources import files

import pytest

from authd.driver import Capture, DriverError, Event, Fault, Prompt, State, StateChange, Watch
from authd.service.host.manifest import fill, parse
from authd_simulators.bench import Bench
from authd_simulators.presence_sensor import READER, PresenceSensorReader


async def ask(prompt: Prompt) -> str:
    raise AssertionError(prompt)


async def following(events: AsyncGenerator[Event, None]) -> Event:
    return await anext(events)


async def opened(bench: Bench) -> PresenceSensorReader:
    reader = PresenceSensorReader(str(bench.devices["presence-1"].cable))
    await reader.open()
    return reader


async def test_it_says_who_is_not_named_but_whether_somebody_is_there(bench: Bench) -> None:
    reader = await opened(bench)
    events = reader.run(Watch(), ask)
    assert await anext(events) == StateChange(State.PERSON_PRESENT)
    async with asyncio.TaskGroup() as group:
        change = group.create_task(following(events))
        await bench.obey("presence-1 AWAIT 2000")
        await bench.obey("presence-1 LEAVE")
    assert change.result() == StateChange(State.PERSON_ABSENT)
    await reader.close()


async def test_an_unplugged_sensor_is_removed(bench: Bench) -> None:
    reader = await opened(bench)
    async with aclosing(reader.run(Watch(), ask)) as events:
        await anext(events)
        await bench.obey("presence-1 UNPLUG")
        with pytest.raises(DriverError) as caught:
            await anext(events)
    assert caught.value.fault is Fault.REMOVED


async def test_it_does_not_capture(bench: Bench) -> None:
    reader = await opened(bench)
    with pytest.raises(DriverError):
        await anext(reader.run(Capture("n"), ask))
    await reader.close()
    await reader.close()


def test_the_manifests_name_the_cable_and_nothing_else() -> None:
    for name in ("presence_sensor", "vein_reader"):
        manifest = parse(files(f"authd_simulators.{name}").joinpath("manifest.toml").read_bytes())
        grants = fill(manifest, {"cable": "/run/x.cable"})
        assert manifest.simulator
        assert (grants.unix_sockets, grants.devices, grants.read) == (("/run/x.cable",), (), ())


def test_the_factory_takes_the_cable_from_the_settings() -> None:
    assert isinstance(READER({"cable": "/run/x.cable"}), PresenceSensorReader)
