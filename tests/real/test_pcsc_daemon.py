"""A card through the whole daemon: with its PIN it opens, by going it locks; revoked, or a number, it does nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from authd import client
from authd.core.model import Message
from authd_simulators.day import Watched
from authd_simulators.people import Staff
from authd_simulators.stage import Stage, free_ports
from tests.real.cards import Cards
from tests.real.pcscd import Pcscd

pytestmark = pytest.mark.real
SEAT, CARD, PIN = "counter-1", "card-1", "123456"
WITHIN_S = 60.0


class CardStage(Stage):
    """One seat with a card reader beside the vein reader."""

    def __init__(self, pcscd: Pcscd) -> None:
        super().__init__(free_ports(), people=3, seats=[SEAT])
        self.pcscd = pcscd

    def _seat_toml(self, seat: str) -> list[str]:
        lines = [line.replace('"vein-1",', f'"vein-1", "{CARD}",') for line in super()._seat_toml(seat)]
        assert any(CARD in line for line in lines)
        reader = [f"[reader.{CARD}]", 'driver = "pcsc"', 'pin = "9a"']
        return [*lines, *reader, f"socket = {json.dumps(str(self.pcscd.socket))}"]

    async def enrol_card(
        self, door: client.Client, screen: client.Client, cards: Cards, owner: Staff, kind: str = "piv"
    ) -> None:
        """Enrol a card of a person with an officer there."""
        officer = self.people[0]
        await self.log_in(door, SEAT, officer)
        await cards.insert(kind)
        steps = door.enrol(SEAT, staff_number=owner.staff_number, finger="right_index", add=True, means="card")
        asked: Staff | None = None
        async with aclosing(steps):
            while (step := await self.next_step(steps, SEAT, asked)) is not None:
                asked = officer if step.step == "officer_touch" else None
                if asked is not None:
                    await self.press(SEAT, asked)
                elif step.step == "pin":
                    await screen.answer(SEAT, PIN)
        await self.lifted(SEAT)
        await cards.remove()
        await self.log_out(SEAT)


@dataclass(slots=True)
class Play:
    """A stage with an enrolled card, which is out; `owner`: whose it is."""

    stage: CardStage
    door: client.Client
    screen: client.Client
    cards: Cards
    pcscd: Pcscd
    watched: Watched = field(default_factory=Watched)
    events: list[client.Event] = field(default_factory=list[client.Event])

    @property
    def owner(self) -> Staff:
        return self.stage.people[2]

    async def shows(self, good: Callable[[client.Shown], bool], since: int = 0) -> None:
        if await self.watched.until(good, since, WITHIN_S) is None:
            raise AssertionError(f"never shown; last: {self.watched.last}\n{self.stage.said()}")

    async def follow(self) -> None:
        async for event in self.door.follow(after=0):
            self.events.append(event)

    async def head(self) -> int:
        """Where the ledger is: a reader may have refused a finger before, that it was too busy to see well."""
        status: Any = await self.door.status()
        return int(status["ledger"]["rows"])

    async def refused(self, after: int) -> client.Event:
        """Return the first refusal behind this row that followers are told of."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = [event for event in self.events if event.kind == "attempt.refused" and event.seq > after]
                if found:
                    return found[0]
                await asyncio.sleep(0.02)

    async def log_in(self) -> None:
        since = len(self.watched.shown)
        await self.cards.say("INSERT piv")
        await self.shows(lambda shown: shown.face.prompt is not None, since)
        await self.screen.answer(SEAT, PIN)
        await self.shows(lambda shown: shown.name == self.owner.name, since)  # the officer was there just before

    async def empty(self, since: int) -> None:
        await self.shows(lambda shown: shown.face.subject is None, since)


@contextlib.asynccontextmanager
async def played() -> AsyncGenerator[Play, None]:
    with Pcscd() as pcscd:
        cards = Cards(pcscd)
        async with CardStage(pcscd) as stage, stage.door() as door, stage.screen(SEAT) as screen:
            play = Play(stage, door, screen, cards, pcscd)
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(play.watched.watch(screen, SEAT)), tasks.create_task(play.follow())]
                try:
                    await stage.enrol_card(door, screen, cards, play.owner)
                    yield play
                except (TimeoutError, client.ClientError) as error:
                    raise AssertionError(f"{error!r}\n{stage.said()}") from error
                finally:
                    for task in beside:
                        task.cancel()


async def test_a_card_and_its_pin_open_and_its_going_locks() -> None:
    async with played() as play:
        await play.log_in()
        there = await play.door.who(SEAT, fresh=True)
        assert there is not None
        assert (there.name, there.grade) == (play.owner.name, "A")
        since = len(play.watched.shown)
        await play.cards.say("REMOVE")
        await play.empty(since)
        await play.log_in()
        since = len(play.watched.shown)
        play.pcscd.kill()
        await play.empty(since)
        play.pcscd.start()
        await play.shows(lambda shown: shown.face.prompt is not None, since)  # it lies there still, and serves again


async def test_a_card_that_is_revoked_or_a_mere_number_opens_nothing() -> None:
    async with played() as play:
        head = await play.head()
        await play.cards.say("INSERT uid")
        assert (await play.refused(head)).detail["why"] == "unknown_credential"
        await play.cards.remove()
        await play.stage.enrol_card(play.door, play.screen, play.cards, play.owner, "uid")
        since = len(play.watched.shown)
        await play.cards.say("INSERT uid")
        await play.shows(lambda shown: shown.face.message is Message.CARD_ALONE, since)
        assert await play.door.who(SEAT, fresh=True) is None
        await play.cards.remove()
        await revoke(play)
        since, head = len(play.watched.shown), await play.head()
        await play.cards.say("INSERT piv")
        await play.shows(lambda shown: shown.face.prompt is not None, since)
        await play.screen.answer(SEAT, PIN)
        refused = await play.refused(head)
        assert refused.detail["why"] == "revoked"
        assert await play.door.who(SEAT, fresh=True) is None


async def revoke(play: Play) -> None:
    """Have the officer revoke the card."""
    officer = play.stage.people[0]
    (subject,) = [each.subject for each in await play.door.people() if each.staff_number == play.owner.staff_number]
    (card,) = [each for each in await play.door.keys(subject) if each.label == "card-1"]
    await play.stage.log_in(play.door, SEAT, officer)
    revoking = asyncio.ensure_future(play.door.revoke(card.reference, SEAT))
    await asyncio.sleep(0)
    while not (await asyncio.wait({revoking}, timeout=1))[0]:
        await play.stage.lifted(SEAT)
        await play.stage.touch(SEAT, officer)
    await revoking
    await play.stage.lifted(SEAT)
    await play.stage.log_out(SEAT)
