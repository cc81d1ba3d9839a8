"""The door over the real router, with the house behind it faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import create_autospec

import pytest

from authd.client.tables import BadSettings
from authd.core.model import EndReason, Epoch, Instant, Limits, Message, SeatId, SeatState, Session, SessionId
from authd.core.model import Evidence as ModelEvidence
from authd.service.bus.house import Error, Refused
from authd.service.evidence import Evidence
from authd.service.evidence.procedures import Checklist, Result, Run
from authd.service.evidence.procedures.pack import read
from authd.service.pdp import Source, installed
from authd.web.bus import BusDoor
from authd.web.door import Beat, Button, DoorError, Sight
from authd.web.settings import Door, Seat, Settings
from tests.service.bus.conftest import folder, host, served
from tests.service.bus.fakes import ONE, SATO, World

__all__ = ["folder", "host", "served"]

pytestmark = pytest.mark.real
PATIENCE_S = 60.0


def settings(host: World, folder: Path, key_text: str = "") -> Settings:
    key = folder / "screen.key"
    key.write_text(key_text or f"{host.screen_one.public}\n{host.screen_one.secret}\n", encoding="ascii")
    seat = Seat(ONE, "窓口1", "Counter 1", str(key), ())
    return Settings("127.0.0.1:0", Door(host.router, host.door.public), (seat,))


@pytest.fixture
async def door(host: World, folder: Path) -> AsyncGenerator[BusDoor, None]:
    async with BusDoor(settings(host, folder)) as door:
        yield door


async def first(watched: AsyncGenerator[Sight | Beat, None], kind: type[Sight | Beat]) -> Sight | Beat:
    async with asyncio.timeout(PATIENCE_S):
        async for seen in watched:
            if isinstance(seen, kind):
                return seen
    raise AssertionError("the watch ended")


async def test_faces_come_with_the_name_of_the_staff(served: World, door: BusDoor) -> None:
    async with aclosing(door.watch(ONE)) as watched:
        served.house.open(ONE, SATO)
        seen = await first(watched, Sight)
        while isinstance(seen, Sight) and seen.face.state is not SeatState.ACTIVE:
            seen = await first(watched, Sight)
        assert isinstance(seen, Sight)
        assert seen.person is not None
        assert seen.person.name == served.house.people_known[SATO].name
        served.house.end(ONE, EndReason.LOCK)
        locked = await first(watched, Sight)
        assert isinstance(locked, Sight)
        assert (locked.face.message, locked.person) == (Message.LOCKED, None)


async def test_the_cores_own_beats_are_passed_on(served: World, door: BusDoor) -> None:
    async with aclosing(door.watch(ONE)) as watched:
        assert await first(watched, Beat) == Beat()


async def test_buttons_activity_and_tickets(served: World, door: BusDoor) -> None:
    served.house.open(ONE, SATO)
    await door.activity(ONE)
    url = await door.ticket(ONE, "resident")
    await door.press(ONE, Button.LOGOUT)
    assert url.startswith("http://127.0.0.1:8790/")
    assert "ticket=" in url
    assert ("activity", ONE) in served.house.calls
    assert ("press", ONE, "logout") in served.house.calls


async def test_what_a_locked_screen_passes_on(served: World, door: BusDoor) -> None:
    await door.answer(ONE, "1357")
    people = await door.roster(ONE)
    await door.claim(ONE, people[0].subject)
    begun = await door.webauthn_begin(ONE)
    await door.webauthn_done(ONE, "{}")
    await door.press(ONE, Button.VOUCH)
    assert served.house.typed == ["1357"]
    assert (begun.kind, begun.options["challenge"]) == ("get", "AAAA")
    assert {"claim", "signed", "press"} <= {call[0] for call in served.house.calls}
    assert ("press", ONE, "vouch") in served.house.calls
    with pytest.raises(DoorError, match="not_found"):
        await door.claim(ONE, "sub_nobody")


async def test_a_procedure_is_begun_answered_and_given_up(served: World, door: BusDoor) -> None:
    session = served.house.open(ONE, SATO)
    served.house.evidence = cast("Evidence", SimpleNamespace(procedures=Town(session)))
    listed = await door.procedures(ONE, session)
    assert [each.id for each in listed.procedures] == ["counter", "letter", "phone"]
    assert listed.run is None
    run = await door.procedure_start(ONE, session, "phone")
    assert run.step is not None
    run = await door.procedure_answer(ONE, run.id, run.step.id, "nothing_told")
    assert run.step is not None
    assert (run.done, run.step.id, run.result) == (1, "caller", None)
    assert (await door.procedure_drop(ONE, run.id)).result == "dropped"
    with pytest.raises(DoorError, match="expired"):
        await door.procedures(ONE, SessionId("ses_other"))


class Town:
    """As much of `Procedures` as the door asks: the real packs and steps, and one session."""

    def __init__(self, session: SessionId) -> None:
        evidence = create_autospec(ModelEvidence, instance=True)
        begun = Instant(0)
        self.packs = read(Source(installed()))
        self.session = Session(session, SATO, ONE, Epoch(1), evidence, Limits(), begun, begun)
        self.run: Run | None = None

    def offered(self, section: str) -> Sequence[Checklist]:
        return self.packs.of(section)

    def section(self, seat: SeatId) -> str:
        return "resident"

    def running(self, seat: SeatId, session: SessionId) -> Run | None:
        if session != self.session.id:
            raise Refused(Error.EXPIRED)
        return self.run

    async def start(self, seat: SeatId, session: SessionId, kind: str) -> Run:
        found = self.packs.checklist(kind, "resident")
        assert found is not None
        self.run = Run("run_1", found, seat, "resident", self.session, Instant(0), Instant(0))
        return self.run

    async def answer(self, seat: SeatId, name: str, step: str, answer: str) -> Run:
        assert self.run is not None
        self.run = self.run.answered(answer, Instant(0))
        return self.run

    async def drop(self, seat: SeatId, name: str) -> Run:
        assert self.run is not None
        return self.run.over(Result.DROPPED)


async def test_a_refusal_keeps_its_word(served: World, door: BusDoor) -> None:
    with pytest.raises(DoorError) as refused:
        await door.ticket(ONE, "nothing")
    assert refused.value.code in ("not_found", "refused", "expired")


async def test_a_core_that_dies_ends_the_watch(host: World, door: BusDoor) -> None:
    async with host.serving():
        watched = door.watch(ONE)
        async with asyncio.timeout(PATIENCE_S):
            await anext(watched)
    with pytest.raises(DoorError, match="gone"):
        await first(watched, Sight)


async def test_no_core_is_gone(host: World, door: BusDoor) -> None:
    with pytest.raises(DoorError, match="gone"):
        await door.press(ONE, Button.LOCK)


async def test_a_broken_key_file_is_a_bad_setting(host: World, folder: Path) -> None:
    bad = settings(host, folder, "short\n")
    with pytest.raises(BadSettings, match="seat"):
        BusDoor(bad)
