"""The mock daemon, through the client that integrators use: what they hear is what the daemon would say."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from authd.client import Client, DoorError, connect, connect_sync, verify
from authd.core.model import Factor, Grade, Kind
from authd.core.ports import LedgerDown
from authd.service.bus.house import Refused
from authd_simulators.mock import Entrance, MockDaemon

ONE, TWO = "counter-1", "counter-2"


def use(daemon: MockDaemon, entrance: Entrance) -> Client:
    return connect(daemon.router, key=entrance.key_file, server_key=entrance.server_key_file)


def test_five_lines_see_a_person_come_and_go(mock_authd: MockDaemon) -> None:
    sato = mock_authd.person("1001", "佐藤 花子", section="resident")
    resident = mock_authd.application("resident", scope=("name",), account="staff_{staff_number}")
    session = mock_authd.log_in(ONE, sato)
    with connect_sync(mock_authd.router, **resident.keys) as client:
        person = client.who(ONE)
        assert person is not None
        assert (person.session, person.name, person.section, person.account) == (session, "佐藤 花子", "", "staff_1001")
        changes = client.changes(ONE)
        assert next(changes) == person
        mock_authd.lock(ONE, "absence")
        assert next(changes) is None


async def test_a_follower_is_told_once_across_a_death(mock_authd: MockDaemon) -> None:
    sato = mock_authd.person("1001", "佐藤")
    resident = mock_authd.application("resident")
    mock_authd.log_in(ONE, sato)
    async with use(mock_authd, resident) as client, aclosing(client.follow(0)) as events:
        started = await anext(events)
        mock_authd.kill()
        mock_authd.start()
        ended = await anext(events)
    assert (started.kind, ended.kind, ended.reason) == (Kind.SESSION_STARTED, Kind.SESSION_ENDED, "crash")
    assert started.session == ended.session
    verify(started.raw, mock_authd.event_key, "resident")


async def test_a_ticket_opens_an_application_once(mock_authd: MockDaemon) -> None:
    sato = mock_authd.person("1001", "佐藤")
    resident = mock_authd.application("resident", url="http://127.0.0.1:8790/open?lang=ja")
    with pytest.raises(Refused, match="nobody"):
        mock_authd.ticket(ONE, "resident")
    session = mock_authd.log_in(ONE, sato)
    ticket, url = mock_authd.ticket(ONE, "resident")
    assert url == f"http://127.0.0.1:8790/open?lang=ja&ticket={ticket}"
    async with use(mock_authd, resident) as client:
        assert (await client.exchange(ticket)).session == session
        with pytest.raises(DoorError, match="not_found"):
            await client.exchange(ticket)


async def test_views_are_reported_with_a_receipt_that_is_refused_where_authd_refuses_it(mock_authd: MockDaemon) -> None:
    resident = mock_authd.application("resident")
    mock_authd.log_in(ONE, mock_authd.person("1001", "佐藤"))
    async with use(mock_authd, resident) as client:
        person = await client.who(ONE)
        assert person is not None
        receipt = await client.view(person, "20481", screen="juminhyo", purpose="certificate")
        assert receipt.session == person.session
        assert mock_authd.rows[receipt.seq - 1].entry.kind is Kind.VIEW_OPENED
        with pytest.raises(DoorError, match="purpose"):
            await client.view(person, "20481", screen="juminhyo")
        mock_authd.lock(ONE, "idle")
        with pytest.raises(DoorError, match="not_found"):
            await client.view(person, "20481", screen="juminhyo", purpose="certificate")


async def test_step_ups_come_to_what_the_test_says(mock_authd: MockDaemon) -> None:
    resident = mock_authd.application("resident")
    session = mock_authd.log_in(ONE, mock_authd.person("1001", "佐藤"))
    async with use(mock_authd, resident) as client:
        assert (await client.step_up(session, "unmask")).stepped_up
        mock_authd.answer_step_ups(False, "timeout")
        refused = await client.step_up(session, "unmask")
        assert (refused.stepped_up, refused.reason) == (False, "timeout")
        mock_authd.answer_step_ups(None)
        assert (await client.step_up(session, "unmask")).acr == "authd:one"
    assert mock_authd.said[0] == ("step_up", ONE, session, "resident/unmask", "authd:one")


async def test_tokens_are_signed_for_a_session_that_is_active_and_for_no_other(mock_authd: MockDaemon) -> None:
    resident = mock_authd.application("resident", account="staff_{staff_number}")
    session = mock_authd.log_in(ONE, mock_authd.person("1001", "佐藤"))
    async with use(mock_authd, resident) as client:
        keys = KeySet.import_key_set({"keys": [*(await client.jwks()).keys]})
        claims = jwt.decode(await client.assertion(session), keys, algorithms=["ES256"]).claims
        assert (claims["aud"], claims["sid"], claims["account"]) == ("resident", session, "staff_1001")
        mock_authd.lock(ONE)
        with pytest.raises(DoorError, match="not_found"):
            await client.assertion(session)
        assert await client.logout_token(session)


async def test_one_person_sits_at_one_seat_and_one_seat_has_one_person(mock_authd: MockDaemon) -> None:
    sato, ito = mock_authd.person("1001", "佐藤"), mock_authd.person("1002", "伊藤")
    mock_authd.log_in(ONE, sato, grade=Grade.SIGNED, factor=Factor.KEY)
    mock_authd.log_in(ONE, ito)
    mock_authd.log_in(TWO, ito)
    ends = [row.entry.reason for row in mock_authd.rows if row.entry.kind is Kind.SESSION_ENDED]
    assert ends == ["handover", "elsewhere"]
    async with connect(mock_authd.local) as admin:
        assert await admin.who(ONE) is None
        stays = await admin.history(ONE, "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
        assert [(stay.subject, stay.reason) for stay in stays] == [
            (sato.subject, "handover"),
            (ito.subject, "elsewhere"),
        ]
        assert [each.name for each in await admin.people()] == ["佐藤", "伊藤"]


async def test_keys_seats_and_scope_are_the_doors_own(mock_authd: MockDaemon) -> None:
    tax = mock_authd.application("tax", seats=(TWO,))
    async with use(mock_authd, tax) as client:
        assert await client.who(TWO) is None
        with pytest.raises(DoorError, match="not_permitted"):
            await client.who(ONE)
        mock_authd.revoke(tax)
        with pytest.raises(DoorError, match="not_permitted"):
            await client.exchange("anything")


async def test_a_screen_sees_its_seat_and_presses_its_button(mock_authd: MockDaemon) -> None:
    mock_authd.log_in(ONE, mock_authd.person("1001", "佐藤"))
    async with use(mock_authd, mock_authd.screen(ONE)) as screen, aclosing(screen.watch(ONE)) as faces:
        shown = await anext(faces)
        assert shown is not None
        assert (shown.face.state, shown.name) == ("active", "佐藤")
        await screen.activity(ONE)
        await screen.press(ONE, "lock")
        shown = await anext(faces)
        assert shown is not None
        assert shown.face.state == "locked"
    assert ("activity", ONE) in mock_authd.said


async def test_nothing_begins_without_the_ledger(mock_authd: MockDaemon) -> None:
    sato = mock_authd.person("1001", "佐藤")
    resident = mock_authd.application("resident")
    mock_authd.log_in(ONE, sato)
    mock_authd.break_ledger()
    with pytest.raises(LedgerDown):
        mock_authd.log_in(TWO, sato)
    async with use(mock_authd, resident) as client, aclosing(client.changes(ONE)) as changes:
        assert await anext(changes) is not None
        mock_authd.lock(ONE)
        assert await anext(changes) is None
    mock_authd.break_ledger(False)
    assert mock_authd.lose_reader(ONE) < mock_authd.find_reader(ONE)


async def test_what_it_does_not_have_it_says(mock_authd: MockDaemon) -> None:
    async with connect(mock_authd.local) as admin:
        with pytest.raises(DoorError, match="mock daemon"):
            await admin.flags()
        assert (await admin.status())["mock"] is True


def test_names_that_make_no_path_are_refused(mock_authd: MockDaemon) -> None:
    with pytest.raises(ValueError, match="name"):
        mock_authd.application("../resident")
    with pytest.raises(ValueError, match="account"):
        mock_authd.application("resident", account="a b")
    with pytest.raises(ValueError, match="name"):
        MockDaemon(seats=("counter 1",))


def test_a_closed_one_says_so_and_leaves_nothing() -> None:
    with MockDaemon() as daemon:
        assert daemon.folder.exists()
    daemon.close()
    assert not daemon.folder.exists()
    with pytest.raises(RuntimeError, match="closed"):
        daemon.lock(ONE)


@pytest.mark.real
async def test_a_daemon_that_hangs_is_nobody_after_two_seconds(mock_authd: MockDaemon) -> None:
    resident = mock_authd.application("resident")
    mock_authd.log_in(ONE, mock_authd.person("1001", "佐藤"))
    async with use(mock_authd, resident) as client, aclosing(client.changes(ONE)) as changes, asyncio.timeout(30):
        assert await anext(changes) is not None
        mock_authd.hang()
        assert await anext(changes) is None
        mock_authd.resume()
        assert await anext(changes) is not None
