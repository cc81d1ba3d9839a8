"""A key through the whole daemon: its finger opens, its going locks; a copy of it and a revoked one are denied."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from authd import client
from authd_simulators.day import Watched
from authd_simulators.keyring import SimulatedKey
from authd_simulators.people import Staff
from authd_simulators.stage import Stage, free_ports

pytestmark = pytest.mark.real
SEAT, WITHIN_S = "counter-1", 60.0


@dataclass(slots=True)
class Play:
    """A stage with one seat, and an enrolled key that is plugged in."""

    stage: Stage
    door: client.Client
    watched: Watched = field(default_factory=Watched)
    refusals: asyncio.Queue[client.Event] = field(default_factory=asyncio.Queue[client.Event])

    @property
    def key(self) -> SimulatedKey:
        assert self.stage.keyring is not None
        return self.stage.keyring.keys[SEAT]

    @property
    def owner(self) -> Staff:
        return self.stage.owner(self.key)

    async def follow(self) -> None:
        async for event in self.door.follow(after=0):
            if event.kind == "attempt.refused":
                self.refusals.put_nowait(event)

    async def say(self, words: str) -> None:
        await self.stage.send(f"{self.key.name} {words}")

    async def shows(self, good: Callable[[client.Shown], bool], since: int) -> None:
        if await self.watched.until(good, since, WITHIN_S) is None:
            raise AssertionError(f"never shown; last: {self.watched.last}\n{self.stage.said()}")

    async def log_in(self) -> None:
        since = len(self.watched.shown)
        await self.say(self.key.act)
        await self.shows(lambda shown: shown.face.subject is not None, since)

    async def empty(self, since: int) -> None:
        await self.shows(lambda shown: shown.face.subject is None, since)

    async def refused(self) -> client.Event:
        """Touch the key; return the refusal that followers are told of, and none of before."""
        status: Any = await self.door.status()
        await self.say(self.key.act)
        async with asyncio.timeout(WITHIN_S):
            while (found := await self.refusals.get()).seq <= status["ledger"]["rows"]:
                pass
            return found

    async def subject(self) -> str:
        people = await self.door.people()
        return next(each.subject for each in people if each.staff_number == self.owner.staff_number)


@contextlib.asynccontextmanager
async def played() -> AsyncGenerator[Play, None]:
    async with (
        Stage(free_ports(), keys=True, people=3, seats=[SEAT]) as stage,
        stage.door() as door,
        stage.screen(SEAT) as screen,
    ):
        play = Play(stage, door)
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(play.watched.watch(screen, SEAT)), tasks.create_task(play.follow())]
            try:
                yield play
            except (TimeoutError, client.ClientError) as error:
                raise AssertionError(f"{error!r}\n{stage.said()}") from error
            finally:
                for task in beside:
                    task.cancel()


async def revoke(play: Play, reference: str) -> None:
    """Have the officer revoke the key."""
    officer = play.stage.people[0]
    await play.stage.log_in(play.door, SEAT, officer)
    async with asyncio.TaskGroup() as hands:
        revoking = hands.create_task(play.door.revoke(reference, SEAT))
        while not (await asyncio.wait({revoking}, timeout=1))[0]:
            await play.stage.lifted(SEAT)
            await play.stage.touch(SEAT, officer)
    await play.stage.lifted(SEAT)
    await play.stage.log_out(SEAT)


async def test_a_key_opens_and_its_going_locks_and_a_copy_or_a_revoked_one_is_denied() -> None:
    async with played() as play:
        subject = await play.subject()
        (held,) = [each for each in await play.door.keys(subject) if each.modality == "fido2"]
        assert held.label == "key-1"

        await play.log_in()
        there = await play.door.who(SEAT, fresh=True)
        assert there is not None
        assert (there.name, there.grade) == (play.owner.name, "A")
        since = len(play.watched.shown)
        await play.say("REMOVE")
        await play.empty(since)
        assert await play.door.who(SEAT, fresh=True) is None

        await play.stage.insert_key(play.door, play.key)
        await play.say("COUNTER 1")
        copy = await play.refused()
        assert (copy.detail["why"], copy.subject, copy.detail["reference"]) == ("cloned", subject, held.reference)
        await play.say("COUNTER 100000")
        await play.log_in()
        await play.say("REMOVE")
        await play.empty(len(play.watched.shown) - 1)

        await revoke(play, held.reference)
        await play.stage.insert_key(play.door, play.key)
        gone = await play.refused()
        assert (gone.detail["why"], gone.subject) == ("revoked", subject)
        assert await play.door.who(SEAT, fresh=True) is None
        assert [each.revoked for each in await play.door.keys(subject) if each.modality == "fido2"] == [True]
