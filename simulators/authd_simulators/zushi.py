"""The Zushi drill (2012): a terminal that two clerks share, a caller who pretends, and the question who it was.

In Zushi the city knew which password had been used and never which person; a clerk who may have been innocent could not
be cleared. Here the same afternoon is played on the real processes, and the answer is taken from the ledger's files by
the same command that anybody would use.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from authd import client
from authd_simulators.people import Staff
from authd_simulators.report import Report
from authd_simulators.stage import Stage, StageError, free_ports, presence, vein

SEAT: Final = "counter-1"
LOCK_WITHIN_S: Final = 15.0
ANSWER_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """What happened while the caller was on the line."""

    began: datetime
    ended: datetime
    told_to: str
    """The subject that the resident system was told of when the record was opened."""


async def play() -> int:
    """Play the afternoon, ask the question; returns the exit code."""
    report = Report()
    async with Stage(free_ports(), seats=[SEAT], people=6, say=lambda line: None) as stage, stage.door() as door:
        first, second = stage.people[2], stage.people[4]
        subjects = {person.staff_number: person.subject for person in await door.people()}
        before = _now()
        _tell(f"{first.name} works at {SEAT}, walks away; nobody presses anything")
        locked = await _walks_away(stage, door, first)
        _tell("somebody unknown tries the reader of the unattended seat")
        nobody = await _stranger(stage, door)
        _tell(f"{second.name} sits down; a caller pretends; the resident's record is opened")
        call = await _call(stage, door, second)
        _tell(f"{first.name} is back at the same counter later on")
        await stage.log_in(door, SEAT, first)
        await stage.log_out(SEAT)
        _tell("afterwards: who was at that seat during the call?")
        started = time.clock_gettime(time.CLOCK_BOOTTIME)
        during = await _who(stage, call.began, call.ended)
        day = await _who(stage, before, _now())
        answer_s = time.clock_gettime(time.CLOCK_BOOTTIME) - started
        verified = await _authd("ledger", "verify", str(stage.ledger))
        report.figure("unattended_seat_locked", locked, "", "true", locked)
        report.figure("stranger_let_in", not nobody, "", "false", nobody)
        _judge(report, during, day, subjects[first.staff_number], subjects[second.staff_number], call)
        report.at_most("answer_s", answer_s, "s", ANSWER_WITHIN_S)
        report.figure("ledger_verified", verified[0] == 0, "", "true", verified[0] == 0)
        for line in (await _authd(*_question(stage, before, _now())))[1].splitlines():
            _tell(line)
    return 0 if report.all_ok else 1


async def _walks_away(stage: Stage, door: client.Client, person: Staff) -> bool:
    """Leave without a word; returns whether the seat locked by itself."""
    await stage.log_in(door, SEAT, person)
    await stage.send(f"{presence(SEAT)} LEAVE")
    try:
        async with asyncio.timeout(LOCK_WITHIN_S):
            async for there in door.changes(SEAT):
                if there is None:
                    break
    except TimeoutError:
        return False
    finally:
        await stage.send(f"{presence(SEAT)} COME")
    return True


async def _stranger(stage: Stage, door: client.Client) -> bool:
    """An unknown finger; returns whether nobody is logged in after it."""
    await stage.lifted(SEAT)
    await stage.send(f"{vein(SEAT)} AWAIT 5000")
    await stage.send(f"{vein(SEAT)} WRONG 400")
    await stage.lifted(SEAT)
    await stage.send(f"{vein(SEAT)} AWAIT 5000")
    return await door.who(SEAT) is None


async def _call(stage: Stage, door: client.Client, person: Staff) -> Call:
    """The caller rings, the person at the seat opens the record in the resident system."""
    await stage.log_in(door, SEAT, person)
    began = _now()
    async with stage.screen(SEAT) as screen, stage.application() as application:
        ticket = await screen.ticket(SEAT, "resident")
        visit = await application.exchange(ticket.ticket)
        await asyncio.sleep(1)
        ended = _now()
        await screen.press(SEAT, "lock")
        try:
            await application.exchange(ticket.ticket)
        except client.DoorError:
            return Call(began, ended, visit.subject)
    raise StageError("a ticket was good twice")


def _judge(
    report: Report,
    during: list[dict[str, Any]],
    day: list[dict[str, Any]],
    innocent: str,
    responsible: str,
    call: Call,
) -> None:
    """Hold the answer against what was played."""
    names = [stay["subject"] for stay in during]
    report.figure("names_the_person", names == [responsible], "", "true", names == [responsible])
    told = call.told_to == responsible
    report.figure("application_knew_the_person", told, "", "true", told)
    grades = {stay["grade"] for stay in during}
    report.figure("evidence_grade", ",".join(sorted(grades)), "", "B", grades == {"B"})
    cleared = innocent not in names and any(stay["subject"] == innocent for stay in day)
    report.figure("clears_the_other", cleared, "", "true", cleared)
    times = all(stay["since"] and stay["until"] for stay in during)
    report.figure("gives_the_times", times, "", "true", times)


async def _who(stage: Stage, since: datetime, until: datetime) -> list[dict[str, Any]]:
    code, out = await _authd(*_question(stage, since, until), "--json")
    if code:
        raise StageError(f"authd who: exit code {code}")
    return [json.loads(line) for line in out.splitlines()]


def _question(stage: Stage, since: datetime, until: datetime) -> tuple[str, ...]:
    times = ("--from", since.isoformat(), "--to", until.isoformat())
    return ("who", "--config", str(stage.config), "--seat", SEAT, *times, "--lang", "en")


async def _authd(*words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "authd", *words), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def _now() -> datetime:
    return datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC).astimezone()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
