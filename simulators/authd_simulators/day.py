"""A scripted day at two seats through the real processes: what it cost, and whether anything was wrong.

Logins, locks, hand-overs, moves between seats, wrong fingers, unplugged readers, and every child killed once and
stopped once. The seats' screens and a follower watch it from outside, and the ledger is verified afterwards.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from authd import client
from authd.core.model import EVENT_KINDS, SeatState, SessionId
from authd_simulators.people import Staff
from authd_simulators.report import Report
from authd_simulators.stage import Stage, StageError, free_ports, presence, vein

MILLION: Final = 1_000_000
SEE_WITHIN_S: Final = 3.0
HEAL_WITHIN_S: Final = 15.0
LOOK_S: Final = 0.05
TRIES: Final = 6
OWNED = (SeatState.ACTIVE, SeatState.FADING, SeatState.STEPPING_UP)


def now() -> int:
    """Nanoseconds of CLOCK_BOOTTIME, as every process of the machine reads it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class Watched:
    """What one seat's screen has shown, with the moment it was told."""

    shown: list[tuple[int, client.Shown]] = field(default_factory=list[tuple[int, client.Shown]])
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, screen: client.Client, seat: str) -> None:
        """Collect until cancelled."""
        async for shown in screen.watch(seat):
            if shown is not None:
                self.shown.append((now(), shown))
                self.changed.set()

    async def until(self, good: Callable[[client.Shown], bool], since: int, within: float) -> int | None:
        """Return when the screen first showed what is asked, at or after the `since`-th picture; None: it did not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while True:
                    for at, shown in self.shown[since:]:
                        if good(shown):
                            return at
                    self.changed.clear()
                    await self.changed.wait()
        return None

    @property
    def last(self) -> client.Shown | None:
        """What it shows now."""
        return self.shown[-1][1] if self.shown else None


@dataclass(slots=True)
class Tally:
    """What the day came to."""

    arrivals: dict[str, tuple[int, list[int]]] = field(default_factory=dict[str, tuple[int, list[int]]])
    """By session: when the screen opened, and when the reader's pictures of that touch were taken."""
    lock: list[float] = field(default_factory=list[float])
    seen: list[float] = field(default_factory=list[float])
    wrong_person: int = 0
    strangers_in: int = 0
    asked_again: int = 0
    lost_sessions: int = 0
    """Sessions that a dead child of another kind took with it: it must not."""


class Day:
    """One day on a stage."""

    def __init__(self, stage: Stage, door: client.Client, logins: int, seed: int) -> None:
        self.stage, self.door, self.logins = stage, door, logins
        self.rng = random.Random(seed)
        self.screens: dict[str, client.Client] = {}
        self.watched = {seat: Watched() for seat in stage.seats}
        self.tally = Tally()
        self.followed: list[client.Event] = []
        self.subjects: dict[str, str] = {}
        self.owner: dict[str, Staff | None] = dict.fromkeys(stage.seats)

    async def play(self) -> None:
        """Play it."""
        self.subjects = {person.staff_number: person.subject for person in await self.door.people()}
        faults = self._faults()
        every = max(1, self.logins // (len(faults) + 1))
        for number in range(self.logins):
            seat = self.rng.choice(self.stage.seats)
            await self._act(seat)
            if number % every == every - 1 and faults:
                await faults.pop(0)()
            print(f"\r\033[K{number + 1}/{self.logins} logins", end="", file=sys.stderr, flush=True)
        for fault in faults:
            await fault()
        print(file=sys.stderr)

    async def _act(self, seat: str) -> None:
        """Somebody sits down: from an empty seat, by hand-over, or coming from the other seat."""
        staff = [person for person in self.stage.people if person.section == "resident" or person.officer]
        owner, kind = self.owner[seat], self.rng.random()
        if owner is not None and kind < 0.45:
            await self.lock(seat)
        elif kind < 0.15:
            await self.stranger(seat)
        person = self.rng.choice([each for each in staff if each is not self.owner[seat]])
        await self.log_in(seat, person)

    # What people do.

    async def log_in(self, seat: str, person: Staff) -> None:
        """Touch until the seat is theirs, at most a few times: a reader may ask again."""
        watched = self.watched[seat]
        for _ in range(TRIES):
            await self.stage.lifted(seat)
            since = len(watched.shown)
            await self.stage.touch(seat, person)
            at = await watched.until(lambda shown: self._newly_active(shown, seat), since, SEE_WITHIN_S)
            if at is not None:
                await self._arrived(seat, person, at)
                return
            self.tally.asked_again += 1
        raise StageError(f"{person.staff_number} was not let in at {seat}: {watched.last}\n{self.stage.said()}")

    def _newly_active(self, shown: client.Shown, seat: str) -> bool:
        owner = self.owner[seat]
        before = self.subjects[owner.staff_number] if owner else None
        return shown.face.state is SeatState.ACTIVE and shown.face.subject != before

    async def _arrived(self, seat: str, person: Staff, at: int) -> None:
        shown = self.watched[seat].last
        pictured = (await self.stage.device(vein(seat)))["pictured_at"].split()
        session = shown.face.session if shown and shown.face.session else ""
        self.tally.arrivals[session] = (at, [int(each) for each in pictured])
        if shown is None or shown.face.subject != self.subjects[person.staff_number]:
            self.tally.wrong_person += 1
        for other in self.stage.seats:
            if other != seat and self.owner[other] is person:
                gone = await self.watched[other].until(lambda face: face.face.subject is None, -1, 1.0)
                self.tally.wrong_person += gone is None
                self.owner[other] = None
        self.owner[seat] = person

    async def lock(self, seat: str) -> None:
        """Press the button of the seat's screen."""
        began, since = now(), len(self.watched[seat].shown)
        await self.screens[seat].press(seat, "lock")
        at = await self.watched[seat].until(lambda shown: shown.face.subject is None, since, SEE_WITHIN_S)
        if at is None:
            raise StageError(f"{seat} did not lock")
        self.tally.lock.append((at - began) / MILLION)
        self.owner[seat] = None

    async def stranger(self, seat: str) -> None:
        """A finger that nobody enrolled: whoever sits there stays, and nobody new comes in."""
        await self.stage.lifted(seat)
        before = self.watched[seat].last
        await self.stage.send(f"{vein(seat)} AWAIT 30000")
        await self.stage.send(f"{vein(seat)} WRONG 300")
        await self.stage.lifted(seat)
        await self.stage.send(f"{vein(seat)} AWAIT 30000")
        after = self.watched[seat].last
        same = before is not None and after is not None and before.face.subject == after.face.subject
        self.tally.strangers_in += not same

    # What breaks.

    def _faults(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """Two unplugged readers, and one SIGKILL and one SIGSTOP of each child."""
        names = [name for seat in self.stage.seats for name in (vein(seat), presence(seat))] + ["verifier", "web"]
        faults: list[Callable[[], Coroutine[Any, Any, None]]] = [
            partial(self._unplug, seat) for seat in self.stage.seats
        ]
        faults += [partial(self._signal, name, sent) for name in names for sent in (signal.SIGKILL, signal.SIGSTOP)]
        self.rng.shuffle(faults)
        return faults

    async def _unplug(self, seat: str) -> None:
        since, began = len(self.watched[seat].shown), now()
        await self.stage.send(f"{vein(seat)} UNPLUG")
        at = await self.watched[seat].until(lambda shown: not shown.face.reader, since, SEE_WITHIN_S)
        self.tally.seen.append((at - began) / MILLION if at else float("inf"))
        await self.stage.send(f"{vein(seat)} PLUG")
        await self._healed(seat)

    async def _signal(self, name: str, number: signal.Signals) -> None:
        """Kill or stop one child; open sessions stay, and the seats heal."""
        pid = (await self._children())[name]
        before = {seat: self._sitting(seat) for seat in self.stage.seats}
        marks = {seat: len(self.watched[seat].shown) for seat in self.stage.seats}
        began = now()
        os.kill(pid, number)
        for seat in self.stage.seats:
            if name == vein(seat):
                at = await self.watched[seat].until(lambda shown: not shown.face.reader, marks[seat], SEE_WITHIN_S)
                self.tally.seen.append((at - began) / MILLION if at else float("inf"))
        await self._replaced(name, pid)
        for seat in self.stage.seats:
            await self._healed(seat)
            self.tally.lost_sessions += before[seat] != self._sitting(seat)

    def _sitting(self, seat: str) -> str | None:
        last = self.watched[seat].last
        return last.face.session if last else None

    async def _children(self) -> dict[str, int]:
        status: dict[str, Any] = await self.door.status()
        return {name: pid for name, pid in status["children"].items() if pid}

    async def _replaced(self, name: str, pid: int) -> None:
        status: Any = {}
        for _ in range(int(HEAL_WITHIN_S / LOOK_S)):
            status = await self.door.status()
            if status["children"].get(name) not in (None, pid) and status["verifier_ready"] and status["web_ready"]:
                return
            await asyncio.sleep(LOOK_S)
        raise StageError(f"{name} was not replaced: {status}\n{self.stage.said()}")

    async def _healed(self, seat: str) -> None:
        at = await self.watched[seat].until(lambda shown: shown.face.reader, -1, HEAL_WITHIN_S)
        if at is None:
            raise StageError(f"{seat} did not heal\n{self.stage.said()}")

    # What was seen from outside.

    async def follow(self) -> None:
        """Collect every event, from the first."""
        async for event in self.door.follow(0):
            self.followed.append(event)

    def touch_to_active_ms(self) -> list[float]:
        """From the picture that became the sample (the last one before core's stamp of it) to the open screen."""
        stamps = {
            event.session: event.detail["captured_at"] for event in self.followed if event.kind == "session.started"
        }
        spans: list[float] = []
        for session, (at, pictures) in self.tally.arrivals.items():
            stamp = stamps.get(SessionId(session))
            if isinstance(stamp, int) and (before := [each for each in pictures if each <= stamp]):
                spans.append((at - before[-1]) / MILLION)
        return sorted(spans)

    def unattributed_ms(self) -> float:
        """Milliseconds in which a screen showed an owner whom no event of the ledger vouches for."""
        started = {event.session: event.subject for event in self.followed if event.kind == "session.started"}
        total = 0.0
        for watched in self.watched.values():
            for (at, shown), (until, _) in zip(watched.shown, watched.shown[1:], strict=False):
                face = shown.face
                if face.state in OWNED and (face.session is None or started.get(face.session) != face.subject):
                    total += (until - at) / MILLION
        return total


async def play(logins: int, *, json_lines: bool, seed: int = 20261122) -> int:
    """Play a day, print its figures; returns the exit code."""
    del json_lines  # the figures are JSON lines in either case: one format, for people and programs
    report = Report()
    async with Stage(free_ports(), web=True, say=_progress) as stage:
        print(file=sys.stderr)
        report.at_most("ready_s", stage.ready_s, "s", 3)
        day = await _watched(stage, logins, seed)
        await stage.end("daemon")
        _figures(report, day)
        report.figure("follow_lost", _lost(stage, day), "events", "0", _lost(stage, day) == 0)
        code = await _verify(stage)
        report.figure("ledger_verified", code == 0, "", "true", code == 0)
    async with Stage(free_ports(), web=True, seats=["counter-1"], people=2) as stage, stage.door() as door:
        await asyncio.sleep(2)  # at rest
        report.at_most("rss_mb", await _pss_mb(stage, door), "MB", 200)
    return 0 if report.all_ok else 1


async def _watched(stage: Stage, logins: int, seed: int) -> Day:
    """Play the day with a follower and the seats' screens beside it."""
    async with stage.door() as door:
        day = Day(stage, door, logins, seed)
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(day.follow())]
            for seat in stage.seats:
                screen = day.screens[seat] = await _entered(stage.screen(seat))
                beside.append(tasks.create_task(day.watched[seat].watch(screen, seat)))
            try:
                await day.play()
                await asyncio.sleep(1)  # the last rows
            finally:
                for task in beside:
                    task.cancel()
                for screen in day.screens.values():
                    await screen.__aexit__(None, None, None)
        return day


async def _entered(screen: client.Client) -> client.Client:
    return await screen.__aenter__()


def _figures(report: Report, day: Day) -> None:
    tally = day.tally
    active, lock = day.touch_to_active_ms(), sorted(tally.lock)
    report.figure("logins", len(active), "", str(day.logins), len(active) == day.logins)
    report.figure("touch_to_active_ms.p50", _at(active, 0.5), "ms")
    report.at_most("touch_to_active_ms.p99", _at(active, 0.99), "ms", 60)
    report.figure("lock_ms.p50", _at(lock, 0.5), "ms")
    report.at_most("lock_ms.p99", _at(lock, 0.99), "ms", 200)
    report.at_most("reader_lost_seen_ms.max", max(tally.seen, default=0.0), "ms", 1000)
    report.at_most("wrong_person", tally.wrong_person, "", 0)
    report.at_most("strangers_in", tally.strangers_in, "", 0)
    report.at_most("sessions_lost_with_a_child", tally.lost_sessions, "", 0)
    report.at_most("unattributed_active_s", day.unattributed_ms() / 1000, "s", 0)
    report.figure("asked_again", tally.asked_again, "touches")


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("inf")


def _lost(stage: Stage, day: Day) -> int:
    """Events of the ledger that the follower did not get exactly once."""
    from authd.service.ledger import Reader

    reader = Reader(stage.ledger)
    rows, after = list[int](), 0
    while batch := reader.after(after):
        rows += [row.seq for row in batch if row.entry.kind in EVENT_KINDS]
        after = batch[-1].seq
    reader.close()
    got = [event.seq for event in day.followed]
    # What the end of the daemon itself wrote came after the follower had gone.
    expected = [seq for seq in rows if seq <= max(got, default=0)]
    return len(set(expected) ^ set(got)) + len(got) - len(set(got))


async def _verify(stage: Stage) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "authd", "ledger", "verify", str(stage.ledger)), stdout=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


async def _pss_mb(stage: Stage, door: client.Client) -> float:
    """Proportional set size of the daemon and its children."""
    status: dict[str, Any] = await door.status()
    pids = [status["pid"], *(pid for pid in status["children"].values() if pid)]
    return sum(_pss_kb(pid) for pid in pids) / 1024


def _pss_kb(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel's
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def _progress(line: str) -> None:
    print(f"\r\033[Kenrolling / 登録中 {line}", end="", file=sys.stderr, flush=True)
