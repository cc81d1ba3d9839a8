"""The simulated fingerprint service as a process: what fprintd itself says through it, without authd's driver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from tests.real.fprintd import Fprintd

pytestmark = pytest.mark.real


@pytest.fixture
def service() -> Iterator[Fprintd]:
    with Fprintd() as running:
        yield running


@asynccontextmanager
async def asked(service: Fprintd, said: asyncio.Queue[list[Any]] | None = None) -> AsyncGenerator[Any, None]:
    bus = await MessageBus(bus_address=f"unix:path={service.bus}").connect()

    def heard(message: Message) -> None:
        if said is not None and message.member == "EnrollStatus":
            said.put_nowait(message.body)

    bus.add_message_handler(heard)

    async def ask(member: str, *body: str) -> tuple[str, list[Any]]:
        names = ("net.reactivated.Fprint", "/net/reactivated/Fprint/Device/0", "net.reactivated.Fprint.Device")
        reply = await bus.call(Message(*names, member, signature="s" * len(body), body=list(body)))
        return (reply.error_name or "") if reply.message_type is MessageType.ERROR else "ok", reply.body

    rule = "type='signal',interface='net.reactivated.Fprint.Device'"
    names = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch")
    await bus.call(Message(*names, signature="s", body=[rule]))
    yield ask
    bus.disconnect()
    await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # it has no annotations


async def test_fprintd_is_there_and_comes_back(service: Fprintd) -> None:
    first = json.loads(await service.say("STATUS"))
    await service.say("KILL")
    assert json.loads(await service.say("STATUS"))["pid"] is None
    await service.say("START")
    assert json.loads(await service.say("STATUS"))["pid"] not in (None, first["pid"])


async def test_polkit_is_asked(service: Fprintd) -> None:
    async with asked(service) as ask:
        await service.say("FORBID setusername")
        assert (await ask("Claim", "sub_1"))[0] == "net.reactivated.Fprint.Error.PermissionDenied"
        await service.say("ALLOW setusername")
        assert (await ask("Claim", "sub_1"))[0] == "ok"
        assert (await ask("VerifyStart", "any"))[0] == "net.reactivated.Fprint.Error.NoEnrolledPrints"


async def test_generated_ridges_have_minutiae_enough_to_be_enrolled(service: Fprintd) -> None:
    said = asyncio.Queue[list[Any]]()
    async with asked(service, said) as ask, asyncio.timeout(60):
        assert (await ask("Claim", "sub_1"))[0] == "ok"
        assert (await ask("EnrollStart", "right-index-finger"))[0] == "ok"
        stages = list[str]()
        while "enroll-completed" not in stages:
            await service.say("AWAIT 30000", "TOUCH sub_1 2")
            stages.append((await said.get())[0])
        assert len(stages) == 6  # libfprint's five, and one before to find duplicates
        assert (await ask("Release"))[0] == "ok"
    assert json.loads(await service.say("PRINTS")) == ["sub_1/virtual_image/0/7"]
