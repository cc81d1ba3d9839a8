"""A scenario being played: the stage with its real processes, who sits where, and what came of each scene."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from authd import client
from authd_simulators.drills.scenario import Scenario, Words
from authd_simulators.people import Staff
from authd_simulators.report import Report
from authd_simulators.stage import Application, Stage, StageError, free_ports

TOUCH_WITHIN_S: Final = 30.0
ANSWER_WITHIN_S: Final = 60.0
"""From any one question to its answer."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the story: when, after how long, what, and what came of it. `ok` None: nothing was to be shown."""

    at: datetime
    since_s: float
    words: Words
    result: Words
    ok: bool | None = None
    took_s: float = 0.0
    command: str = ""
    city: Words = field(default_factory=dict[str, str])


@dataclass
class Play:
    """What every scene and every question can reach."""

    scenario: Scenario
    stage: Stage
    door: client.Client
    stack: AsyncExitStack
    group: asyncio.TaskGroup
    report: Report
    began: float
    subjects: Mapping[str, str]
    """Subject by staff number."""
    scenes: list[Told] = field(default_factory=list[Told])
    answers: list[Told] = field(default_factory=list[Told])
    marks: dict[str, list[datetime]] = field(default_factory=dict[str, list[datetime]])
    visits: dict[tuple[str, str], client.Person] = field(default_factory=dict[tuple[str, str], client.Person])
    """What a system knows of who is at a seat, by system and seat."""
    kept: dict[str, Any] = field(default_factory=dict[str, Any])
    """What a scene hands to later ones: a look, a request, a capability, by the name that the file gives it."""
    refusals: list[str] = field(default_factory=list[str])
    holders: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    """The copy of the protections that each linked system holds, for as long as it does."""
    _clients: dict[str, client.Client] = field(default_factory=dict[str, client.Client])

    # Who and what.

    def staff(self, role: str) -> Staff:
        """Return who plays this role."""
        return self.stage.people[self.scenario.roles[role].place]

    def subject(self, role: str) -> str:
        """Return their subject."""
        return self.subjects[self.staff(role).staff_number]

    def number(self, record: str) -> str:
        """Return a record's number."""
        return self.scenario.records[record]

    async def system(self, name: str) -> client.Client:
        """Return the client of one system's server, under its own key."""
        if name not in self._clients:
            self._clients[name] = await self.stack.enter_async_context(self.stage.application(name))
        return self._clients[name]

    async def screen(self, seat: str) -> client.Client:
        """Return the client of a seat's own screen."""
        name = f"screen {seat}"
        if name not in self._clients:
            self._clients[name] = await self.stack.enter_async_context(self.stage.screen(seat))
        return self._clients[name]

    async def visit(self, system: str, seat: str) -> client.Person:
        """Open the system from the seat's screen, as a person does; return who came, as the system is told."""
        here = await self.door.who(seat)
        known = self.visits.get((system, seat))
        if here is None:
            raise StageError(f"nobody is logged in at {seat}")
        if known is None or known.session != here.session:
            ticket = await (await self.screen(seat)).ticket(seat, system)
            known = self.visits[system, seat] = await (await self.system(system)).exchange(ticket.ticket)
        return known

    # Touching.

    async def touched(self, seat: str, person: Staff, asked: Awaitable[T]) -> T:
        """Answer what is asked with a person's finger as soon as the seat waits for it, and return what came of it."""
        async with asyncio.timeout(TOUCH_WITHIN_S):
            return await self.stage.confirmed(self.door, seat, person, asked)

    # Commands, as anybody would type them.

    async def authd(self, *words: str) -> tuple[int, str, str]:
        """Run the command; returns its exit code, what it printed, and its errors."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "authd", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate()
        return process.returncode or 0, out.decode(), errors.decode()

    async def asked(self, *words: str) -> list[dict[str, Any]]:
        """Run a command that prints JSON lines. Raises `StageError`."""
        code, out, errors = await self.authd(*words, "--config", str(self.stage.config), "--json")
        if code:
            raise StageError(f"authd {' '.join(words)}: exit code {code}\n{errors}")
        return [json.loads(line) for line in out.splitlines()]

    def interval(self, mark: str) -> tuple[str, str]:
        """Return the options that name an interval of the play."""
        first, last = self.marks[mark]
        return f"--from={first.isoformat()}", f"--to={last.isoformat()}"

    def since(self) -> float:
        """Return seconds since the first scene."""
        return boottime() - self.began

    @property
    def folder(self) -> Path:
        """Where the stage is; what is made here goes with it."""
        return self.stage.folder


async def play(scenario: Scenario, report: Report, say: Callable[[str], None]) -> Play:
    """Play a scenario to its last question, on a stage of its own. Raises `StageError`."""
    systems = [
        Application(each.id, each.words["ja"], each.words["en"], each.linked) for each in scenario.systems.values()
    ]
    say("a stage of its own: keys, a daemon, readers, and everybody enrolled by touch")
    stage = Stage(free_ports(), seats=scenario.seats, people=scenario.people, systems=systems)
    failure: Exception | None = None
    async with stage, AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        door = await stack.enter_async_context(stage.door())
        subjects = {each.staff_number: each.subject for each in await door.people()}
        here = Play(scenario, stage, door, stack, group, report, boottime(), subjects)
        try:
            await _scenes(here, say)
            await _questions(here, say)
        except Exception as error:
            failure = error  # raised below as it is: the group would wrap it
        finally:
            for holder in here.holders.values():
                holder.cancel()
    if failure is not None:
        raise failure
    return here


async def _scenes(here: Play, say: Callable[[str], None]) -> None:
    from authd_simulators.drills.acts import ACTS

    for scene in here.scenario.scenes:
        say(scene.words["en"])
        if scene.begins:
            here.marks[scene.begins] = [now()]
        at, since = now(), here.since()
        result, ok = await ACTS[scene.do].run(here, **scene.given)
        here.scenes.append(Told(at, since, scene.words, result, ok, here.since() - since))
        say(f"  {result['en']}")
        if ok is not None:
            here.report.figure(f"scene_{scene.number}_{scene.do}", ok, "", "true", ok)
        if scene.ends:
            here.marks[scene.ends].append(now() + timedelta(milliseconds=1))


async def _questions(here: Play, say: Callable[[str], None]) -> None:
    from authd_simulators.drills.questions import QUESTIONS

    for question in here.scenario.questions:
        say(f"? {question.words['en']}")
        at, since = now(), here.since()
        answer = await QUESTIONS[question.ask].run(here, **question.given)
        took = here.since() - since
        here.answers.append(
            Told(at, since, question.words, answer.words, answer.ok, took, answer.command, question.city)
        )
        say(f"  {answer.words['en']}")
        here.report.figure(question.id, answer.ok, "", "true", answer.ok)
    here.report.at_most("answer_s", max(each.took_s for each in here.answers), "s", ANSWER_WITHIN_S)


def now() -> datetime:
    """Wall clock with its offset, for people."""
    return datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC).astimezone()


def boottime() -> float:
    """CLOCK_BOOTTIME in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
