"""The desktop: how soon a lock hides it, and what becomes of it when agent and locker are killed, stopped or crash.

Hidden is what pixels say: no spot of a grid over the screen shows the old application any more. The peer is
xsecurelock alone, on the same X server, from its start to the same pixels: nobody asked, nothing told.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time

from tests.bench.report import Report
from tests.tools.desktop_stage import PATIENCE_S, Desktop, until

LOCKS, LOCKS_FULL = 10, 300
ROUNDS, ROUNDS_FULL = 1, 40
PEER_LOCKS = 3
SIGNALS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV)
KEYS = [f"0x{code:x}" for code in (*range(0x20, 0x7F), *range(0xFF50, 0xFF5F), *range(0xFFBE, 0xFFCA))]
NAMED = ["Escape", "Return", "Tab", "BackSpace", "Delete", "Menu", "Pause", "Print", "Break", "XF86Sleep", "XF86LogOff"]
CHORDS = [
    "alt+F4",
    "ctrl+alt+Delete",
    "ctrl+alt+BackSpace",
    "super+l",
    "alt+Tab",
    "ctrl+c",
    "ctrl+d",
    "ctrl+b",
    "ctrl+v",
]


def run(report: Report, *, full: bool) -> None:
    """Print the figures."""
    with Desktop() as seat:
        taken = [_covered_ms(seat) for _ in range(LOCKS_FULL if full else LOCKS)]
        report.figure("covered_ms.x11.p50", statistics.median(taken), "ms")
        report.at_most("covered_ms.x11.p99", _p99(taken), "ms", 300)
        report.at_most("x11_unlocked_by_events", _unlocked_by_events(seat), "", 0)
        rounds = ROUNDS_FULL if full else ROUNDS
        lockers = [_locker_ms(seat, number) for _ in range(rounds) for number in SIGNALS]
        report.at_most("locker_killed_seen", sum(seen for _, seen in lockers), "", 0)
        report.at_most("locker_killed_covered_ms.max", max(ms for ms, _ in lockers), "ms", 1_000)
        agents = [_agent_ms(seat, number) for _ in range(rounds) for number in SIGNALS]
        report.at_most("agent_killed_ended_ms.max", max(agents), "ms", 1_000)
        report.figure("covered_ms.xsecurelock_alone.p50", _peer_ms(seat), "ms")


def _covered_ms(seat: Desktop) -> float:
    seat.log_in()
    began = seat.lock()
    until(lambda: seat.hidden, "a hidden desktop")
    taken = (time.perf_counter() - began) * 1_000
    seat.wait_covered()
    return taken


def _unlocked_by_events(seat: Desktop) -> int:
    """Every key and chord, every button, and what other programs may do to windows; returns how often it was seen."""
    seat.wait_covered()
    seen = 0
    for words in (["key", *KEYS, *NAMED], ["key", *CHORDS], *(["click", str(button)] for button in range(1, 8))):
        seat.tool(*words)
        seen += (not seat.hidden) + (seat.who() is not None)
    for deed in ("windowmap", "windowraise", "windowfocus", "windowunmap", "windowclose"):
        for window in seat.windows():
            seat.tool(deed, window)
            seen += (not seat.hidden) + (seat.who() is not None)
    seat.eye.lower()
    until(lambda: seat.cover == "covered", "the cover")
    _covered_ms(seat)  # the next lock finds everything in its place
    return seen


def _locker_ms(seat: Desktop, number: int) -> tuple[float, int]:
    """Until another locker holds the screen, and how often anything was seen meanwhile."""
    seat.wait_covered()
    before, seen, began = seat.locker, 0, time.perf_counter()
    os.kill(before, number)
    while seat.locker in (0, before) or seat.cover != "covered":
        seen += not seat.hidden
        assert time.perf_counter() - began < PATIENCE_S, seat.said()
    return (time.perf_counter() - began) * 1_000, seen


def _agent_ms(seat: Desktop, number: int) -> float:
    """Until the session of the seat whose agent is killed has ended."""
    seat.log_in()
    agent = seat.agent
    assert agent is not None
    began = time.perf_counter()
    agent.send_signal(number)
    until(lambda: seat.who() is None, "the end of the session")
    taken = (time.perf_counter() - began) * 1_000
    if number == signal.SIGSTOP:
        agent.send_signal(signal.SIGCONT)
        until(lambda: seat.hidden and seat.cover == "covered", "the cover")
    else:
        agent.wait()
        seat.start_agent()
    return taken


def _peer_ms(seat: Desktop) -> float:
    """Of xsecurelock alone."""
    assert seat.agent is not None
    seat.agent.kill()
    seat.agent.wait()
    seat.kill_locker()
    taken: list[float] = []
    environment = {**seat.environment, "XSECURELOCK_SAVER": "saver_blank"}
    for _ in range(PEER_LOCKS):
        until(lambda: not seat.hidden, "the open desktop")
        began = time.perf_counter()
        locker = subprocess.Popen(["xsecurelock"], env=environment, stderr=subprocess.DEVNULL)
        until(lambda: seat.hidden, "a hidden desktop")
        taken.append((time.perf_counter() - began) * 1_000)
        locker.terminate()
        locker.wait()
    return statistics.median(taken)


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
