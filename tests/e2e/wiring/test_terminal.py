"""E7: a real s3270 at a seat, a TN3270E host behind it, and whoever touches is signed on; the lock signs them off."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from authd import client
from tests.tools.terminal_stage import World, world

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made() -> AsyncGenerator[World, None]:
    async with world() as stands:
        yield stands


@pytest_asyncio.fixture(name="world", loop_scope="module")
async def at_rest(made: World) -> AsyncGenerator[World, None]:
    yield made
    await made.lock()
    await made.emulator_gone()


async def test_a_touch_signs_on_and_a_lock_signs_off_cuts_the_line_and_clears_the_screen(world: World) -> None:
    person, at = world.people[0], world.host.mark()
    await world.log_in(person)
    await world.heard(f"event=signon user=S{person.staff_number}", at)
    shown = await world.screen("MAIN MENU")
    assert f"PASS{person.staff_number}" not in shown
    at = world.host.mark()
    await world.lock()
    await world.heard("event=disconnect", await world.heard("aid=PF3", at))
    await world.emulator_gone()


async def test_another_touch_is_another_user_and_the_first_is_off_before(world: World) -> None:
    first, second = world.people[:2]
    at = world.host.mark()
    await world.log_in(first)
    at = await world.heard(f"event=signon user=S{first.staff_number}", at)
    await world.log_in(second)
    at = await world.heard("event=disconnect", at)
    await world.heard(f"event=signon user=S{second.staff_number}", at)


async def test_a_password_that_the_host_refuses_is_tried_once_and_said(world: World) -> None:
    at = world.host.mark()
    await world.log_in(world.people[2])
    await world.heard("aid=ENTER screen=SIGNON", at)
    await world.screen("INCORRECT")
    await world.lock()
    await world.heard("event=disconnect", at)
    assert sum("aid=ENTER screen=SIGNON" in line for line in world.host.lines[at:]) == 1
    assert not any("event=signon" in line for line in world.host.lines[at:])


async def test_whose_password_is_not_sealed_stays_before_the_host(world: World) -> None:
    person, at = world.people[1], world.host.mark()
    world.vault.remove(f"host/S{person.staff_number}")
    await world.log_in(person)
    await world.screen("SIGN ON")
    await world.lock()
    await world.heard("event=disconnect", at)
    assert not any("aid=ENTER screen=SIGNON" in line for line in world.host.lines[at:])


async def test_a_host_that_hangs_keeps_nobody_s_screen(world: World) -> None:
    at = world.host.mark()
    await world.log_in(world.people[0])
    await world.heard("event=signon", at)
    world.host.freeze()
    try:
        await world.lock()
        await world.emulator_gone()
    finally:
        world.host.thaw()
    await world.heard("event=disconnect", at)


async def test_a_hung_emulator_is_killed(world: World) -> None:
    at = world.host.mark()
    await world.log_in(world.people[0])
    await world.heard("event=signon", at)
    os.kill(await asyncio.to_thread(_listener, world.port), signal.SIGSTOP)
    await world.lock()
    await world.heard("event=disconnect", at)
    await world.emulator_gone()


async def test_the_daemon_keeps_which_version_is_the_last_one(world: World) -> None:
    about = world.vault.about(f"host/S{world.people[0].staff_number}")
    account = about.name.partition("/")[2]
    said = {"version": about.version, "digest": about.digest, "system": "host"}
    await world.door.credential_noted("sealed", account, **said)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] (of two kinds)
    (row,) = await world.door.credentials()
    assert (row.what, row.account, row.version, row.digest) == ("sealed", account, about.version, about.digest)
    with pytest.raises(client.DoorError, match="put back"):
        await world.door.credential_noted("rotated", account, version=about.version, digest="0" * 64, system="host")
    async with world.stage.application("host") as own:
        await own.credential_noted("rotated", account, version=about.version + 1, digest="0" * 64)
        with pytest.raises(client.DoorError, match="its own"):
            await own.credential_noted("rotated", account, version=9, digest="0" * 64, system="resident")


async def test_no_password_is_in_anything_that_was_said(world: World) -> None:
    assert not any("PASS10" in line for line in [*world.host.lines, world.stage.said()])


async def test_when_authd_is_killed_nobody_stays_signed_on(world: World) -> None:
    """The last one: nobody starts it again."""
    at = world.host.mark()
    await world.log_in(world.people[0])
    at = await world.heard("event=signon", at)
    world.stage.processes["daemon"].kill()
    await world.stage.processes["daemon"].wait()
    await world.heard("event=disconnect", at)
    await world.emulator_gone()


def _listener(port: int) -> int:
    """Return whose port it is."""
    from subprocess import run

    found = run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True, timeout=30, check=True).stdout
    return int(found.partition("pid=")[2].partition(",")[0])
