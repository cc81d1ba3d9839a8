from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

import authd.client
from authd.client import Ceremony, Client, DoorError, Event, Gone, SignatureError, connect, presence
from authd.core.model import SECOND, EndReason, SeatState
from authd.service.bus.house import StepUp as HouseStepUp
from tests.service.bus.fakes import ITO, ONE, SATO, TWO, Pair, World, new_pair


def of(host: World, pair: Pair, timeout: float = 30.0) -> Client:
    return connect(host.router, key=pair.secret, server_key=host.door.public, timeout=timeout)


async def test_who_is_there(served: World) -> None:
    async with of(served, served.resident) as client:
        assert await client.who(ONE) is None
        session = served.house.open(ONE, SATO)
        person = await anext(found async for found in client.changes(ONE) if found)
        assert person == await client.who(ONE)
        assert (person.name, person.section, person.kana, person.session) == ("佐藤 花子", "resident", "", session)
        with pytest.raises(DoorError, match="not_permitted"):
            await client.who(TWO)


async def test_who_is_answered_from_memory_until_something_happens(served: World) -> None:
    served.house.open(ONE, SATO)
    async with of(served, served.resident) as client:
        for _ in range(1_000):
            assert await client.who(ONE)
        assert len(served.house.calls) < 20  # those before the first beat


@pytest.fixture
def believing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes by what it is told, and not by how long it has heard nothing."""
    monkeypatch.setattr(presence, "GOOD_FOR", 3_600 * SECOND)


@pytest.mark.usefixtures("believing")
async def test_a_lock_is_seen_though_no_row_says_so_yet(served: World) -> None:
    served.house.open(ONE, SATO)
    async with of(served, served.resident) as client, aclosing(client.changes(ONE)) as changes:
        assert await anext(changes) is not None
        served.house.end(ONE, EndReason.ABSENCE, durable=False)
        async with asyncio.timeout(30):
            assert await anext(changes) is None


async def test_a_hand_over_is_seen(served: World) -> None:
    served.house.open(ONE, SATO)
    async with of(served, served.resident) as client, aclosing(client.changes(ONE)) as changes:
        first = await anext(changes)
        assert first is not None
        assert first.subject == SATO
        served.house.end(ONE, EndReason.HANDOVER)
        served.house.open(ONE, ITO)
        while (person := await anext(changes)) is None:
            pass
        assert person.subject == ITO


@pytest.mark.real
@pytest.mark.parametrize("door", ["local", "router"])
async def test_no_daemon_is_nobody(host: World, door: str) -> None:
    client = connect(host.local) if door == "local" else of(host, host.resident, timeout=0.3)
    async with client:
        assert await client.who(ONE) is None
        with pytest.raises(Gone):
            await client.ping()


async def test_a_person_is_not_asked_for_a_touch_for_a_minute_where_there_is_no_daemon(tmp_path: Path) -> None:
    async with connect(f"unix:{tmp_path}/door.sock", timeout=0.2) as client, asyncio.timeout(30):
        with pytest.raises(Gone, match="no connection"):
            await client.step_up("ses_1", "export", 3_600)


@pytest.mark.usefixtures("believing")
@pytest.mark.parametrize("door", ["local", "router"])
async def test_a_daemon_that_dies_is_nobody_before_its_silence_says_so(host: World, door: str) -> None:
    async with connect(host.local) if door == "local" else of(host, host.resident) as client:
        async with host.serving():
            host.house.open(ONE, SATO)
            changes = client.changes(ONE)
            while await anext(changes) is None:
                pass
        async with asyncio.timeout(30):
            assert await anext(changes) is None
        assert await client.who(ONE) is None
        async with host.serving():
            while (back := await anext(changes)) is None:
                pass
            assert back.subject == SATO
        await changes.aclose()


async def test_a_lock_is_told_before_anybody_is_asked(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    served.house.open(ONE, SATO)
    async with of(served, served.resident) as client, aclosing(client.changes(ONE)) as changes:
        while (person := await anext(changes)) is None:
            pass

        async def crossed(seat: str, *, fresh: bool = False) -> object:
            return person  # an answer that was under way

        monkeypatch.setattr(client, "who", crossed)
        served.house.end(ONE, durable=False)
        async with asyncio.timeout(30):
            assert await anext(changes) is None


@pytest.mark.real
async def test_a_daemon_that_hangs_is_nobody_within_two_seconds(host: World) -> None:
    """A stopped process keeps its sockets open and says nothing."""
    relay = connect(f"unix:{host.folder}/relay.sock")
    async with _mute_door(host) as mute, relay as client, aclosing(client.changes(ONE)) as changes:
        assert await anext(changes) is not None
        mute.set()
        async with asyncio.timeout(2.5):
            assert await anext(changes) is None


async def test_follow_goes_on_where_it_was(served: World) -> None:
    served.house.open(ONE, SATO)
    served.house.end(ONE)
    async with of(served, served.resident) as client:
        events = [event async for event in _first(client, 0, 2)]
        assert [(event.seq, event.kind, event.reason) for event in events] == [
            (2, "session.started", None),
            (3, "session.ended", EndReason.IDLE),
        ]
        assert events[0].person == {"name": "佐藤 花子", "section": "resident"}
        assert [event.seq async for event in _first(client, 2, 1)] == [3]


async def test_follow_refuses_events_of_another_key(served: World) -> None:
    served.house.open(ONE, SATO)
    client = connect(served.router, key=served.resident.secret, server_key=served.door.public, event_key=bytes(32))
    async with client:
        with pytest.raises(SignatureError):
            await anext(client.follow(0))


async def test_follow_refuses_an_event_that_was_changed(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    served.house.open(ONE, SATO)
    sign = served.desk.signer.sign

    def change(event: bytes, audience: str) -> bytes:
        return sign(event, audience).replace(b"sub_sato", b"sub_itou")

    monkeypatch.setattr(served.desk.signer, "sign", change)
    async with of(served, served.resident) as client:
        with pytest.raises(SignatureError):
            await anext(client.follow(0))


async def test_an_unknown_key_is_told_so(served: World) -> None:
    async with of(served, new_pair()) as client:
        with pytest.raises(DoorError, match="not_permitted"):
            await client.ping()
        with pytest.raises(DoorError, match="not_permitted"):
            await anext(client.follow())


async def test_a_revoked_key_is_told_so(served: World) -> None:
    served.house.open(ONE, SATO)
    async with of(served, served.resident) as client:
        async with aclosing(client.follow(0)) as events:
            await anext(events)
            served.directory.revoke(served.resident.public)
            served.house.end(ONE)
            with pytest.raises(DoorError, match="not_permitted"):
                await anext(events)
        with pytest.raises(DoorError, match="not_permitted"):
            async for _ in client.changes(ONE):
                pass


@pytest.mark.real
@pytest.mark.parametrize("door", ["local", "router"])
async def test_nothing_lost_and_nothing_twice_over_restarts(host: World, door: str) -> None:
    restarts, rng = 20, random.Random(7)
    seen: list[Event] = []
    done = asyncio.Event()

    async def read(client: Client) -> None:
        async for event in client.follow(after=0):
            seen.append(event)
            if event.seq == host.ledger.head and done.is_set():
                return

    client = connect(host.local) if door == "local" else of(host, host.resident)
    async with client, asyncio.TaskGroup() as group:
        reading = group.create_task(read(client))
        for _ in range(restarts):
            async with host.serving():
                before = len(seen)
                while len(seen) < before + 5:
                    for _ in range(rng.randrange(1, 20)):
                        host.house.open(ONE, SATO)
                        host.house.end(ONE)
                    await asyncio.sleep(rng.random() / 100)
        done.set()
        async with host.serving():
            host.house.open(ONE, SATO)
            async with asyncio.timeout(60):
                await reading
    expected = [row.seq for row in host.ledger.rows if row.entry.kind.value.startswith("session.")]
    assert [event.seq for event in seen] == expected
    assert len(expected) > restarts


async def test_a_browser_brings_a_ticket(served: World) -> None:
    session = served.house.open(ONE, SATO)
    async with of(served, served.screen_one) as screen, of(served, served.resident) as resident:
        opened = await screen.ticket(ONE, "resident")
        assert opened.url.endswith(f"&ticket={opened.ticket}")
        person = await resident.exchange(opened.ticket)
        assert (person.session, person.seat, person.subject) == (session, ONE, SATO)
        with pytest.raises(DoorError, match="not_found"):
            await resident.exchange(opened.ticket)


async def test_a_screen_shows_its_seat_and_goes_dark_without_a_daemon(host: World) -> None:
    async with of(host, host.screen_one) as screen, aclosing(screen.watch(ONE)) as shown:
        async with host.serving():
            host.house.open(ONE, SATO)
            while (face := await anext(shown)) is None:
                pass
            assert (face.face.state, face.name, face.kana) == (SeatState.ACTIVE, "佐藤 花子", "サトウ ハナコ")
            await screen.activity(ONE)
            await screen.press(ONE, "lock")
            locked = await anext(shown)
            assert locked is not None
            assert (locked.face.state, locked.name) == (SeatState.LOCKED, "")
        assert await anext(shown) is None


async def test_step_up(served: World) -> None:
    session = served.house.open(ONE, SATO)
    async with of(served, served.resident) as client:
        assert (await client.step_up(session, "view")).stepped_up
        with pytest.raises(DoorError, match="not_found"):
            await client.step_up("ses_other", "view")


async def test_step_up_in_terms_of_rfc_9470(served: World) -> None:
    served.house.step_up_answer = HouseStepUp(stepped_up=True, acr="authd:two", auth_time=1_795_305_600)
    session = served.house.open(ONE, SATO)
    async with of(served, served.resident) as client:
        told = await client.step_up(session, "export", acr_values=["authd:two", "authd:one"], max_age=60)
    assert (told.stepped_up, told.acr, told.auth_time) == (True, "authd:two", 1_795_305_600)
    assert ("step_up", ONE, session, "resident/export", "authd:two", "60") in served.house.calls


async def test_a_screen_hands_on_what_is_typed_named_and_signed(served: World) -> None:
    async with of(served, served.screen_one) as screen:
        await screen.answer(ONE, "1357")
        tiles = await screen.roster(ONE)
        await screen.claim(ONE, tiles[0].subject)
        begun = await screen.webauthn_begin(ONE)
        await screen.webauthn_done(ONE, '{"id":"é"}')
        with pytest.raises(DoorError, match="not_found"):
            await screen.claim(ONE, "sub_nobody")
        with pytest.raises(DoorError, match="bad_request"):
            await screen.webauthn_done(ONE, "x" * 61_000)
    assert served.house.typed == ["1357"]
    assert {(tile.subject, tile.name) for tile in tiles} >= {(SATO, "佐藤 花子")}
    assert begun == Ceremony("get", {"challenge": "AAAA", "allowCredentials": []})
    assert ("claim", ONE, tiles[0].subject) in served.house.calls
    assert ("signed", ONE, '{"id":"é"}') in served.house.calls


async def test_an_application_types_and_names_nothing(served: World) -> None:
    async with of(served, served.resident) as client:
        for asked in (
            lambda: client.answer(ONE, "1357"),
            lambda: client.roster(ONE),
            lambda: client.claim(ONE, SATO),
            lambda: client.webauthn_begin(ONE),
            lambda: client.webauthn_done(ONE, "{}"),
            lambda: client.press(ONE, "vouch"),
        ):
            with pytest.raises(DoorError, match="not_permitted"):
                await asked()
    assert served.house.typed == []


async def test_administration(served: World) -> None:
    served.house.gate.set()
    async with connect(served.local) as client:
        assert [person.staff_number for person in await client.people()] == ["1001", "1002"]
        (stay,) = await client.history(ONE, "2026-11-22T09:00:00+09:00", "2026-11-23T00:00:00Z")
        assert (stay.start, stay.end, stay.person["name"]) == ("2026-11-22T00:00:00.000Z", None, "佐藤 花子")
        enrolment = client.enrol(
            ONE, staff_number="1003", name="林", kana="ハヤシ", section="tax", finger="right_index"
        )
        steps = [step async for step in enrolment]
        assert [(step.step, step.subject) for step in steps] == [("present", None), ("done", "sub_new")]
        await client.disable(ITO, ONE)
        assert (await client.people())[1].disabled
        assert (await client.status())["seats"] == {seat: {"state": "locked"} for seat in (ONE, "counter-2")}
        await client.stop()
        assert served.house.calls[-1] == ("stop",)


async def test_what_the_body_raises_leaves_as_it_is(served: World) -> None:
    with pytest.raises(ZeroDivisionError):
        async with connect(served.local):
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("address", "key"), [("door.sock", None), ("http://host", None), ("ipc://x", None), ("ipc://x", "short")]
)
def test_a_wrong_address_or_key_is_said_at_once(address: str, key: str | None) -> None:
    with pytest.raises(ValueError, match=r"address|key"):
        connect(address, key=key, server_key="x" * 40)


def test_keys_may_be_files(host: World) -> None:
    file = host.folder / "resident.key"
    file.write_text(f"{host.resident.public}\n{host.resident.secret}\n")
    connect(host.router, key=file, server_key=file)


def test_the_module_says_what_it_offers() -> None:
    assert all(hasattr(authd.client, name) for name in authd.client.__all__)


async def _first(client: Client, after: int, count: int) -> AsyncGenerator[Event, None]:
    async with aclosing(client.follow(after)) as events:
        for _ in range(count):
            yield await anext(events)


@asynccontextmanager
async def _mute_door(host: World) -> AsyncGenerator[asyncio.Event, None]:
    """The local door behind a relay that can fall silent."""
    mute = asyncio.Event()
    host.house.open(ONE, SATO)
    path = f"{host.folder}/relay.sock"

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            if not mute.is_set():
                writer.write(chunk)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(host.local.removeprefix("unix:"))
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer), return_exceptions=True)

    async with host.serving():
        server = await asyncio.start_unix_server(relay, path)
        async with server:
            yield mute


async def test_follow_ends_where_it_was_told_to(served: World) -> None:
    """At an event, and behind rows that nobody is told of."""
    for _ in range(3):
        served.house.open(ONE, SATO)
        served.house.end(ONE)
    async with of(served, served.resident) as client, asyncio.timeout(30):
        head = await client.head()
        assert head == served.ledger.head == 9
        assert [event.seq async for event in client.follow(0, until=head)] == [2, 3, 5, 6, 8, 9]
        assert [event.seq async for event in client.follow(0, until=4)] == [2, 3]
        assert [event.seq async for event in client.follow(3, until=3)] == []
        served.house.open(ONE, SATO)
        assert [event.seq async for event in client.follow(9, until=10)] == []


async def test_who_only_follows_has_one_connection(served: World) -> None:
    served.house.open(ONE, SATO)
    async with of(served, served.resident) as client, aclosing(client.follow(0)) as events, asyncio.timeout(30):
        await anext(events)
        assert served.tally.requests == 2  # ping and follow


async def test_a_screen_has_no_head(served: World) -> None:
    async with of(served, served.screen_one) as screen:
        with pytest.raises(DoorError, match="not_permitted"):
            await screen.head()
