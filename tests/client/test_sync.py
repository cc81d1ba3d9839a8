from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from authd.client import Client, DoorError, Gone, SyncClient, connect_sync
from tests.service.bus.fakes import ITO, ONE, SATO, World


async def test_the_same_words_without_await(served: World) -> None:
    served.house.gate.set()
    await asyncio.to_thread(_use, served)


def _use(host: World) -> None:
    session = host.house.open(ONE, SATO)
    with connect_sync(host.router, key=host.resident.secret, server_key=host.door.public) as client:
        person = client.who(ONE)
        assert person is not None
        assert person.session == session
        assert next(client.changes(ONE)) == person
        assert next(client.follow(0)).subject == SATO
        assert client.step_up(session, "view").stepped_up
        with pytest.raises(DoorError, match="not_permitted"):
            client.stop()
    with connect_sync(host.router, key=host.screen_one.secret, server_key=host.door.public) as screen:
        shown = next(screen.watch(ONE))
        assert shown is not None
        assert shown.name == "佐藤 花子"
        screen.activity(ONE)
        opened = screen.ticket(ONE, "resident")
        screen.answer(ONE, "1357")
        screen.claim(ONE, screen.roster(ONE)[0].subject)
        assert screen.webauthn_begin(ONE).kind == "get"
        screen.webauthn_done(ONE, "{}")
    with connect_sync(host.router, key=host.resident.secret, server_key=host.door.public) as client:
        assert client.exchange(opened.ticket).session == session
    with connect_sync(host.local) as admin:
        assert len(admin.people()) == 2
        assert len(admin.history(ONE, "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z")) == 1
        steps = admin.enrol(ONE, staff_number="1003", name="林", kana="ハヤシ", section="tax", finger="right_index")
        assert [step.step for step in steps] == ["present", "done"]
        admin.disable(ITO, ONE)
        assert "door" in admin.status()
        admin.ping()
        admin.stop()


def test_both_faces_have_the_same_shape() -> None:
    """Of every group of questions, whichever module it is in."""
    ours = {name for name in dir(SyncClient) if not name.startswith("_")} - {"close"}
    assert ours == {name for name in dir(Client) if not name.startswith("_")}
    assert len(ours) > 60
    for name in ours - {"hold"}:  # what it is given is awaited there, and called here
        here, there = (_shape(getattr(face, name)) for face in (SyncClient, Client))
        assert here == there, name


def _shape(method: Callable[..., object]) -> list[tuple[object, ...]]:
    """Names, kinds, types and defaults of the parameters; a function that is a default is as good as another."""
    parameters = inspect.signature(method).parameters.values()
    return [
        (each.name, each.kind, each.annotation, inspect.isfunction(each.default) or each.default) for each in parameters
    ]


async def test_a_copy_is_held_by_a_plain_function(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hold(client: Client, apply: Callable[[Sequence[object]], Awaitable[None]], after: int) -> None:
        await apply(["a protection", after])

    monkeypatch.setattr(Client, "hold", hold)
    held: list[object] = []
    with connect_sync(served.local) as client:
        await asyncio.to_thread(client.hold, held.extend, 3)
    assert held == ["a protection", 3]


async def test_closing_ends_the_thread(served: World) -> None:
    client = connect_sync(served.local)
    await asyncio.to_thread(client.ping)
    await asyncio.to_thread(client.close)
    client.close()
    with pytest.raises(Gone):
        client.ping()
    assert "authd-client" not in {thread.name for thread in threading.enumerate()}


def test_a_wrong_address_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="address"):
        connect_sync("nowhere")
