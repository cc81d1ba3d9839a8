"""What keys, cards and the fingerprint service cost, over real middleware and through the whole daemon.

    python -m tests.bench.devices [pty] [pcscd] [fprintd] [removal] [--logins 50] [--removals 104]

- `login_ms.*`: from the person's act (the command to the simulated key, the picture to the virtual sensor) until the
  seat's screen shows them, as in `authd demo --once`: the grant is durable then. `told_ms.*`: until a follower has the
  durable row of `session.started` too. The key waits for the touch; nothing of the person's time is in it.
- `removal_to_locked_ms`: from pulling the key out until the seat's screen shows nobody, the driver's polling included;
  part `removal`, over both ways in, by itself. pcscd has to poll there, and we ask the reader (docs/decisions/0017).
  `removal_to_locked_ms.pty` is that of a key on USB.
- `service_killed_to_locked_ms`: the same from pcscd's SIGKILL; `serving_again_s`: from pcscd's return until a key can
  be touched.
- `login_ratio.client`: the same login with python-fido2's own client and server in one process, same key, same run.

Processes are as at a counter: daemon, reader child and verifier child in their sandboxes, ledger and store on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from authd import client
from authd_simulators.day import Watched
from tests.bench import device_peer
from tests.bench.device_stage import SEAT, Events, FingerprintStage, KeyStage, Matches, Wire, empty, now_ms, seated
from tests.bench.report import Report
from tests.real.fprintd import Fprintd
from tests.real.pcscd import Pcscd

LOGIN_MS, REMOVAL_MS, KILLED_MS, AGAIN_S, FPRINTD_MS = 15, 400, 300, 2, 50
ASKS_MS = 10_000
MOST_AGAIN = 5
POLL_S = 0.4
"""pcscd looks at its virtual reader that often: a removal falls anywhere between two looks."""


@dataclass(slots=True)
class Bench:
    """One stage that is being measured."""

    stage: KeyStage
    door: client.Client
    screen: client.Client
    key: Wire
    events: Events = field(default_factory=Events)
    watched: Watched = field(default_factory=Watched)
    again: int = 0
    told: list[float] = field(default_factory=list[float])
    """How long it took until a follower had the row."""

    async def touch(self) -> float:
        """Let the key sign; returns how long it took until the seat was theirs.

        A touch that meets the very moment in which the seat asks anew is lost: the person touches again, which counts.
        """
        while True:
            await self.key.say(f"AWAIT {ASKS_MS}")
            self.events.forget()
            since = len(self.watched.shown)
            sent = await self.key.say("FINGER 2")
            try:
                told = await self.events.until("session.started")
            except TimeoutError:
                self.again += 1
                if self.again > MOST_AGAIN:
                    raise
            else:
                self.told.append(told - sent)
                return await seated(self.watched, since) - sent

    async def log_out(self) -> None:
        since = len(self.watched.shown)
        await self.screen.press(SEAT, "logout")
        await empty(self.watched, since)

    async def logins(self, rounds: int) -> list[float]:
        spans: list[float] = []
        for _ in range(rounds):
            spans.append(await self.touch())
            await self.log_out()
        return spans

    async def removals(self, rounds: int) -> list[float]:
        spans: list[float] = []
        for _ in range(rounds):
            await self.touch()
            await asyncio.sleep(random.uniform(0, POLL_S))
            since = len(self.watched.shown)
            sent = await self.key.say("REMOVE")
            spans.append(await empty(self.watched, since) - sent)
            await self.key.say("INSERT")
        return spans

    async def kills(self, pcscd: Pcscd, rounds: int) -> tuple[list[float], list[float]]:
        locked, again = list[float](), list[float]()
        for _ in range(rounds):
            await self.touch()
            since = len(self.watched.shown)
            sent = now_ms()
            pcscd.kill()
            locked.append(await empty(self.watched, since) - sent)
            await asyncio.sleep(0.5)
            pcscd.start()
            back = now_ms()
            await self.key.say(f"AWAIT {ASKS_MS}")
            again.append((now_ms() - back) / 1000)
        return locked, again


@contextlib.asynccontextmanager
async def bench(stage: KeyStage) -> AsyncGenerator[Bench, None]:
    """Watch and follow the stage, with its key enrolled."""
    async with (
        stage,
        stage.door() as door,
        stage.screen(SEAT) as screen,
        Wire(stage.control) as key,
        asyncio.TaskGroup() as tasks,
    ):
        made = Bench(stage, door, screen, key)
        beside = [tasks.create_task(made.events.follow(door)), tasks.create_task(made.watched.watch(screen, SEAT))]
        try:
            yield made
        except Exception as error:
            raise RuntimeError(f"{error}\n{stage.said()}") from error
        finally:
            for task in beside:
                task.cancel()


def spread(report: Report, name: str, spans: Sequence[float], unit: str = "ms") -> None:
    """Print what stands beside a figure that has a bar."""
    report.figure(f"{name}.n", len(spans), "")
    for word, value in (("min", min(spans)), ("max", max(spans))):
        report.figure(f"{name}.{word}", value, unit)


def at(spans: Sequence[float], share: float) -> float:
    return sorted(spans)[min(len(spans) - 1, int(share * len(spans)))]


def logins(report: Report, name: str, spans: Sequence[float], told: Sequence[float], bar: float) -> None:
    report.at_most(f"login_ms.{name}.p50", at(spans, 0.5), "ms", bar)
    report.figure(f"login_ms.{name}.p99", at(spans, 0.99), "ms")
    spread(report, f"login_ms.{name}", spans)
    report.figure(f"told_ms.{name}.p50", at(told, 0.5), "ms")


async def over_pty(report: Report, rounds: int, removals: int) -> None:
    async with bench(KeyStage()) as made:
        spans = await made.logins(rounds)
        told = made.told[:]
        gone = await made.removals(removals)
    logins(report, "pty", spans, told, LOGIN_MS)
    report.figure("touched_again.pty", made.again, "touches")
    peer = await device_peer.logins(rounds)
    report.figure("login_ms.client.p50", at(peer, 0.5), "ms")
    report.figure("login_ratio.client", at(spans, 0.5) / at(peer, 0.5), "x")
    report.at_most("removal_to_locked_ms.pty.p99", at(gone, 0.99), "ms", REMOVAL_MS)
    spread(report, "removal_to_locked_ms.pty", gone)


async def over_pcscd(report: Report, rounds: int, kills: int) -> None:
    with Pcscd() as pcscd:
        async with bench(KeyStage(pcscd)) as made:
            logins(report, "pcscd", await made.logins(rounds), made.told, LOGIN_MS)
            locked, again = await made.kills(pcscd, kills)
            report.figure("touched_again.pcscd", made.again, "touches")
    report.at_most("service_killed_to_locked_ms.p99", at(locked, 0.99), "ms", KILLED_MS)
    spread(report, "service_killed_to_locked_ms", locked)
    report.at_most("serving_again_s.p99", at(again, 0.99), "s", AGAIN_S)
    spread(report, "serving_again_s", again, "s")


async def removed(report: Report, removals: int) -> None:
    """Pull a key out, over both ways in."""
    async with bench(KeyStage()) as made:
        usb = await made.removals(removals // 2)
    with Pcscd() as pcscd:
        async with bench(KeyStage(pcscd)) as made:
            polled = await made.removals(removals - removals // 2)
    gone = [*usb, *polled]
    report.at_most("removal_to_locked_ms.p99", at(gone, 0.99), "ms", REMOVAL_MS)
    report.figure("removal_to_locked_ms.p50", at(gone, 0.5), "ms")
    report.figure("removal_to_locked_ms.pcscd.p50", at(polled, 0.5), "ms")
    spread(report, "removal_to_locked_ms.pcscd", polled)


async def over_fprintd(report: Report, rounds: int) -> None:
    """From fprintd's own verdict on: what it takes to match is its own."""
    with Fprintd() as service:
        async with FingerprintStage(service) as stage:
            try:
                logins(report, "fprintd", *await _by_finger(stage, rounds), FPRINTD_MS)
            except Exception as error:
                raise RuntimeError(f"{error!r}\n{stage.said()}") from error


async def _by_finger(stage: FingerprintStage, rounds: int) -> tuple[list[float], list[float]]:
    subject, events, matches, watched = await stage.enrol_clerk(), Events(), Matches(), Watched()
    bus = await matches.listen(stage.service.bus)
    spans, told = list[float](), list[float]()
    async with stage.door() as door, stage.screen(SEAT) as screen, asyncio.TaskGroup() as tasks:
        beside = [tasks.create_task(events.follow(door)), tasks.create_task(watched.watch(screen, SEAT))]
        try:
            for _ in range(rounds):
                events.forget()
                await screen.claim(SEAT, subject)
                since = len(watched.shown)
                await stage.lay_down()
                match = await matches.match()
                told.append(await events.until("session.started") - match)
                spans.append(await seated(watched, since) - match)
                since = len(watched.shown)
                await screen.press(SEAT, "logout")
                await empty(watched, since)
        finally:
            bus.disconnect()
            for task in beside:
                task.cancel()
    return spans, told


async def run(what: Sequence[str], rounds: int, removals: int, kills: int) -> Report:
    report = Report()
    if "pty" in what:
        await over_pty(report, rounds, removals // 2)
    if "pcscd" in what:
        await over_pcscd(report, rounds, kills)
    if "fprintd" in what:
        await over_fprintd(report, rounds)
    if "removal" in what:
        await removed(report, removals)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["pty", "pcscd", "fprintd"])
    parser.add_argument("--logins", type=int, default=50)
    parser.add_argument("--removals", type=int, default=104, help="half of them over pcscd, half over the pty")
    parser.add_argument("--kills", type=int, default=15)
    args = parser.parse_args()
    asyncio.run(run(args.what, args.logins, args.removals, args.kills)).exit()


if __name__ == "__main__":
    main()
