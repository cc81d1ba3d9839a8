from __future__ import annotations

import asyncio

import pytest
import zmq
import zmq.asyncio
from zmq.utils import z85

from authd.core.model import SECOND, Instant
from authd.service.bus import router
from authd.service.bus.router import Strangers
from authd.service.bus.zap import DOMAIN, Gate
from tests.service.bus.fakes import ITO, ONE, SATO, TWO, World, new_pair
from tests.service.bus.raw import RawRouter


async def test_an_application_is_its_key(served: World) -> None:
    async with RawRouter(served, served.resident) as resident, RawRouter(served, served.tax) as tax:
        assert (await resident.ask(id=1, verb="ping"))["audience"] == "resident"
        assert (await tax.ask(id=1, verb="ping"))["audience"] == "tax"


async def test_the_socket_is_not_for_the_world(served: World) -> None:
    assert (served.folder / "router.sock").stat().st_mode & 0o007 == 0


async def test_an_unknown_key_does_not_get_in_and_is_counted(served: World) -> None:
    async with RawRouter(served, new_pair()) as stranger:
        await stranger.socket.send(b'{"id":1,"verb":"ping"}')
        assert await stranger.hears_nothing()
    assert served.tally.requests == 0


def test_strangers_are_counted_once_their_handshake_is_over() -> None:
    strangers = Strangers()
    for at in (0, 1, 2, 3):
        strangers.note(zmq.EVENT_ACCEPTED, Instant(at * SECOND))
    strangers.note(zmq.EVENT_HANDSHAKE_SUCCEEDED, Instant(3 * SECOND))
    assert strangers.found(Instant(3 * SECOND)) == 0
    assert strangers.found(Instant(4 * SECOND)) == 1
    assert strangers.found(Instant(9 * SECOND)) == 2
    assert strangers.found(Instant(99 * SECOND)) == 0


@pytest.mark.real
async def test_bytes_that_are_no_handshake_are_counted(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "HANDSHAKE_NS", 100_000_000)
    for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\xff" + bytes(63)):
        _, writer = await asyncio.open_unix_connection(served.folder / "router.sock")
        writer.write(noise)
        writer.close()
    async with RawRouter(served, served.resident) as resident:
        while served.tally.unauthenticated < 4:
            assert (await resident.ask(id=1, verb="ping"))["ok"]


async def test_a_client_that_expects_another_door_does_not_get_in(served: World) -> None:
    async with RawRouter(served, served.resident, door=new_pair().public) as astray:
        await astray.socket.send(b'{"id":1,"verb":"ping"}')
        assert await astray.hears_nothing()
    assert served.tally.requests == 0


async def test_a_peer_without_curve_does_not_get_in(served: World) -> None:
    context = zmq.asyncio.Context()
    bare = context.socket(zmq.DEALER)
    bare.connect(served.router)
    await bare.send(b'{"id":1,"verb":"ping"}')
    assert not await bare.poll(300)
    context.destroy(linger=0)
    assert served.tally.requests == 0


async def test_a_revoked_key_is_refused_though_its_connection_lives(served: World) -> None:
    served.house.open(ONE, SATO)
    async with RawRouter(served, served.resident) as resident:
        assert (await resident.ask(id=1, verb="who", seat=ONE))["subject"] == SATO
        served.directory.revoke(served.resident.public)
        assert (await resident.ask(id=2, verb="who", seat=ONE))["error"] == "not_permitted"
    assert served.tally.unauthorised == 1


async def test_the_screen_of_one_seat_cannot_touch_another(served: World) -> None:
    served.house.open(TWO, ITO)
    async with RawRouter(served, served.screen_one) as screen:
        for verb, members in (
            ("activity", {}),
            ("press", {"button": "lock"}),
            ("watch", {}),
            ("ticket", {"application": "resident"}),
        ):
            answer = await screen.ask(id=1, verb=verb, seat=TWO, **members)
            assert answer["error"] == "not_permitted"
        assert (await screen.ask(id=2, verb="activity", seat=ONE))["ok"]
    assert served.house.calls == [("activity", ONE)]


async def test_a_ticket_of_one_application_shown_by_another(served: World) -> None:
    served.house.open(ONE, SATO)
    async with RawRouter(served, served.screen_one) as screen, RawRouter(served, served.tax) as tax:
        ticket = (await screen.ask(id=1, verb="ticket", seat=ONE, application="resident"))["ticket"]
        assert (await tax.ask(id=1, verb="exchange", ticket=ticket))["error"] == "not_found"
        async with RawRouter(served, served.resident) as resident:
            assert (await resident.ask(id=1, verb="exchange", ticket=ticket))["error"] == "not_found"


async def test_a_replayed_ticket(served: World) -> None:
    served.house.open(ONE, SATO)
    async with RawRouter(served, served.screen_one) as screen, RawRouter(served, served.resident) as resident:
        ticket = (await screen.ask(id=1, verb="ticket", seat=ONE, application="resident"))["ticket"]
        assert (await resident.ask(id=1, verb="exchange", ticket=ticket))["subject"] == SATO
        assert (await resident.ask(id=2, verb="exchange", ticket=ticket))["error"] == "not_found"


async def test_a_lock_ends_the_sessions_tickets(served: World) -> None:
    served.house.open(ONE, SATO)
    async with RawRouter(served, served.screen_one) as screen:
        await screen.ask(id=1, verb="ticket", seat=ONE, application="resident")
        assert len(served.desk.tickets) == 1
        served.house.end(ONE)
        assert len(served.desk.tickets) == 0


async def test_an_oversized_message_ends_its_connection_only(served: World) -> None:
    async with RawRouter(served, served.resident) as good, RawRouter(served, served.tax) as bad:
        await good.ask(id=1, verb="ping")
        await bad.socket.send(b"x" * 66_000)
        assert (await bad.next())["error"] == "bad_request"
        assert served.tally.oversized == 1
        await bad.socket.send(b"x" * 10_000_000)
        assert await bad.hears_nothing(0.1)
        assert (await good.ask(id=2, verb="ping"))["ok"]
        assert (await bad.ask(id=3, verb="ping"))["ok"]  # libzmq has connected it anew


async def test_a_message_of_many_parts_is_malformed(served: World) -> None:
    async with RawRouter(served, served.resident) as raw:
        await raw.socket.send(b"", zmq.SNDMORE)
        await raw.socket.send(b'{"id":1,"verb":"ping"}')
        assert (await raw.ask(id=2, verb="ping"))["id"] == 2
    assert served.tally.malformed == 1


async def test_a_name_taken_over_by_another_key_inherits_nothing(served: World) -> None:
    async with RawRouter(served, served.resident, identity=b"me") as first:
        await first.ask(id=7, verb="follow")
    async with RawRouter(served, served.tax, identity=b"me") as second:
        assert (await second.ask(id=1, verb="cancel", stream=7))["error"] in {"not_found", None}
        served.house.open(ONE, SATO)
        assert await second.hears_nothing()


async def test_connections_of_one_key_are_bounded_by_forgetting_the_idlest(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "MOST_PER_KEY", 2)
    raws = [RawRouter(served, served.resident) for _ in range(3)]
    async with raws[0], raws[1], raws[2]:
        for _ in range(2):
            for raw in raws:
                assert (await raw.ask(id=1, verb="ping"))["ok"]
        await raws[0].ask(id=2, verb="follow")
        await raws[1].ask(id=2, verb="follow")
        assert (await raws[2].ask(id=2, verb="ping"))["error"] == "busy"
        async with RawRouter(served, served.tax) as other:
            assert (await other.ask(id=1, verb="ping"))["ok"]


async def test_the_gate_lets_nobody_in_outside_its_domain(host: World) -> None:
    context = zmq.asyncio.Context()
    gate = Gate(context, host.directory)
    raw = bytes(z85.decode(host.resident.public.encode()))
    good = [b"1.0", b"7", DOMAIN, b"", b"", b"CURVE", raw]
    assert gate.judge(good)[2] == b"200"
    assert gate.judge(good)[4] == host.resident.public.encode()
    for place, change in ((2, b"*"), (2, b""), (5, b"NULL"), (5, b"PLAIN"), (6, raw[:-1]), (6, bytes(32))):
        bad = [*good]
        bad[place] = change
        assert gate.judge(bad)[2] == b"400"
    assert gate.judge([])[2] == b"400"
    context.destroy(linger=0)


@pytest.mark.real
async def test_a_flood_of_nonsense_beside_a_live_client(served: World) -> None:
    served.house.open(ONE, SATO)
    failures, stop = 0, asyncio.Event()

    async def flood(raw: RawRouter) -> None:
        for number in range(5_000):
            await raw.socket.send(b'{"id":%d,"verb":"%s"}' % (number, b"x" * (number % 50)))

    async def live(raw: RawRouter) -> None:
        nonlocal failures
        while not stop.is_set():
            async with asyncio.timeout(2):
                failures += (await raw.ask(id=1, verb="who", seat=ONE)).get("subject") != SATO

    good, bad = RawRouter(served, served.resident), RawRouter(served, served.tax)
    async with good, bad, asyncio.TaskGroup() as group:
        group.create_task(live(good))
        await flood(bad)
        stop.set()
    assert failures == 0
