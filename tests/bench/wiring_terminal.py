"""A terminal host behind a seat: what a sign-on takes, and how soon a lock signs off, by a real s3270.

The host is mainframe-mocker, by TN3270E. Injected: from the sign-on screen, typed and sent, to the screen behind it, on
an emulator that is connected already. Signed on: from the session at the seat to the host's word, with the emulator's
start and the connection. Signed off: from the button to the host's word that the terminal has gone.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from authd.broker.secret import Secret
from authd.broker.settings import load
from authd.broker.terminal import signon
from authd.broker.terminal.settings import TerminalSettings, terminals
from tests.bench.report import Report
from tests.tools.terminal_stage import World, world

ROUNDS, FULL_ROUNDS = 8, 200
INJECTED_MS, SIGNED_OFF_MS = 16.0, 500.0


def run(report: Report, *, full: bool) -> None:
    """Measure all three."""
    asyncio.run(_run(report, FULL_ROUNDS if full else ROUNDS))


async def _run(report: Report, rounds: int) -> None:
    async with world() as stands:
        seats = [await at_the_seat(stands) for _ in range(rounds)]
        terms = terminals(load(stands.stage.folder / "broker.toml"))["counter-1"]
        injected = [await inject(stands, terms) for _ in range(rounds)]
    on, off = (sorted(each) for each in zip(*seats, strict=True))
    report.at_most("terminal_injected_ms.p50", statistics.median(injected), "ms", INJECTED_MS)
    report.at_most("terminal_signed_off_ms.p99", off[-1], "ms", SIGNED_OFF_MS)
    report.figure("terminal_signed_on_ms.p50", statistics.median(on), "ms")
    report.figure("terminal_signed_off_ms.p50", statistics.median(off), "ms")


async def at_the_seat(stands: World) -> tuple[float, float]:
    """Log somebody in and lock; returns ms to the host's word of either."""
    at = stands.host.mark()
    await stands.log_in(stands.people[0])
    there = time.perf_counter()
    at = await stands.heard("event=signon", at)
    on = stands.host.read_at[at - 1] - there
    pressed = time.perf_counter()
    await stands.lock()
    at = await stands.heard("event=disconnect", at)
    off = stands.host.read_at[at - 1] - pressed
    await stands.emulator_gone()
    return 1_000 * on, 1_000 * off


async def inject(stands: World, terms: TerminalSettings) -> float:
    """Sign somebody on in an emulator of the bench's own, as the broker does; returns ms."""
    number = stands.people[0].staff_number
    process = await asyncio.create_subprocess_exec(*terms.command, stdin=asyncio.subprocess.PIPE)
    try:
        emulator = await stands.dialled()
        await signon.connect(emulator, terms)
        began = time.perf_counter()
        await signon.sign_on(emulator, terms, f"S{number}", Secret(f"PASS{number}"))
        took = time.perf_counter() - began
        emulator.close()
    finally:
        process.kill()
        await process.wait()
    return 1_000 * took
