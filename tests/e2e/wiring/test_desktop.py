"""A Linux desktop with its real parts: Xvfb, xsecurelock, xss-lock and a mock of logind. Pixels say what is seen."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from authd.agent.logind import Logind
from authd_simulators.stage import vein
from tests.tools.desktop_stage import PATIENCE_S, SEAT, SESSION, Desktop, until

pytestmark = pytest.mark.real
KEYS = ("Escape", "Return", "Tab", "BackSpace", "Delete", "space", "a", "1", "F1", "F4", "F12", "Up", "Print", "Pause")
CHORDS = ("alt+F4", "ctrl+alt+BackSpace", "ctrl+alt+Delete", "ctrl+c", "ctrl+d", "super+l", "alt+Tab", "ctrl+alt+F1")
SESSION_PATH = f"/org/freedesktop/login1/session/{SESSION}"
MANAGER = "org.freedesktop.login1.Manager"


@pytest.fixture(scope="module")
def seat() -> Iterator[Desktop]:
    with Desktop(logind=True) as there:
        yield there
        until(lambda: not there.left(), "the end of all that any locker had started")


@pytest.fixture
def locked(seat: Desktop) -> Desktop:
    """Nobody's, and covered."""
    if seat.who() is not None:
        seat.lock()
    seat.wait_covered()
    until(lambda: seat.hidden, "a hidden desktop")
    return seat


def inhibited(seat: Desktop) -> bool:
    held = seat.logind("/org/freedesktop/login1", MANAGER, "ListInhibitors")
    return any(each[0] == "sleep" and each[1] == "authd-seat" and each[3] == "delay" for each in held)


def sleep(seat: Desktop, asleep: bool) -> None:
    words = ("EmitSignal", "sssav", MANAGER, "PrepareForSleep", "b", [_variant(asleep)])
    seat.logind("/org/freedesktop/login1", "org.freedesktop.DBus.Mock", *words)


def _variant(value: bool) -> object:
    from dbus_fast import Variant

    return Variant("b", value)


def test_a_touch_opens_the_desktop_and_a_lock_covers_it(locked: Desktop) -> None:
    told = {SEAT: {"attended": True, "cover": "covered"}}
    until(lambda: locked.status()["evidence"]["covers"] == told, "what authd was told")
    person = locked.log_in()
    assert person.name
    locked.lock()
    until(lambda: locked.hidden, "a hidden desktop")
    assert locked.who() is None
    locked.wait_covered()


def test_the_locked_screen_says_what_it_waits_for(locked: Desktop) -> None:
    until(lambda: len(locked.eye.colours()) > 2, "something drawn on the locked screen")
    assert locked.hidden


def test_no_key_and_no_window_event_opens_it(locked: Desktop) -> None:
    until(lambda: len(locked.eye.colours()) > 2, "something drawn on the locked screen")
    before = locked.locker
    locked.tool("key", *KEYS, *CHORDS)
    locked.tool("type", "--delay", "1", "password\n\x1b\n")
    locked.tool("click", "1", "click", "2", "click", "3", "click", "4")
    locked.tool("windowraise", str(locked.eye.window), "windowmap", str(locked.eye.window))
    for window in locked.windows():
        locked.tool("windowunmap", window, "windowclose", window)
    assert locked.who() is None
    until(lambda: locked.hidden and locked.cover == "covered", "the cover")
    locked.eye.lower()  # what raised itself lies above the shield, beneath the locker, until the shield is raised again
    assert locked.locker == before  # the very same one: nothing has moved it
    locked.log_in()  # and the next lock finds everything in its place


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGUSR2, signal.SIGTERM])
def test_a_locker_that_is_killed_stopped_or_crashed_shows_nothing(locked: Desktop, number: int) -> None:
    before = locked.locker
    seen = 0
    os.kill(before, number)
    deadline = time.monotonic() + PATIENCE_S
    while locked.locker in (0, before) or locked.cover != "covered":
        seen += not locked.hidden
        assert time.monotonic() < deadline, locked.said()
    assert locked.who() is None
    assert locked.hidden
    until(lambda: not locked.left(), "the end of all that it had started")
    assert seen == 0  # not for a moment: the shield is beneath


def test_an_agent_that_is_killed_ends_the_session_and_the_next_one_covers(locked: Desktop) -> None:
    locked.log_in()
    assert locked.agent is not None
    locked.agent.kill()
    locked.agent.wait()
    until(lambda: locked.who() is None, "the end of the session")
    assert locked.status()["seats"][SEAT]["message"] == "unattended"
    locked.start_agent()
    until(lambda: locked.hidden, "a hidden desktop")
    until(lambda: locked.status()["seats"][SEAT]["message"] == "waiting", "a seat that waits for a touch")


def test_an_agent_that_is_stopped_ends_the_session_and_covers_once_it_runs(locked: Desktop) -> None:
    locked.log_in()
    assert locked.agent is not None
    locked.agent.send_signal(signal.SIGSTOP)
    until(lambda: locked.who() is None, "the end of the session")
    locked.agent.send_signal(signal.SIGCONT)
    until(lambda: locked.hidden and locked.cover == "covered", "the cover")
    assert "silent" in locked.losses()


def test_a_program_that_holds_the_screen_keeps_nobody_logged_in_and_shows_nothing(locked: Desktop) -> None:
    before = locked.ends()
    locked.log_in()
    holder = locked.start([sys.executable, "-c", HOLD])
    assert holder.stdout is None
    until(lambda: _grabbed(locked), "a held pointer")
    locked.lock()
    until(lambda: locked.hidden, "the shield")
    until(lambda: locked.cover == "failed", "a locker that could not have the screen")
    failed = {SEAT: {"attended": True, "cover": "failed"}}
    until(lambda: locked.status()["evidence"]["covers"] == failed, "what authd was told")
    finger = f"{vein(SEAT)} TOUCH {locked.stage.clerks[0].staff_number} right_index 300"
    locked.do(lambda: locked.stage.send(finger))
    locked.do(lambda: locked.stage.lifted(SEAT))
    assert locked.who() is None
    assert locked.hidden
    assert len(locked.ends()) == len(before) + 1
    holder.kill()
    locked.wait_covered()
    assert "refused" in locked.losses()
    locked.log_in(locked.stage.clerks[0])


def test_logind_locks_and_does_not_unlock(locked: Desktop) -> None:
    locked.log_in()
    locked.logind(SESSION_PATH, "org.freedesktop.login1.Session", "Lock")
    until(lambda: locked.hidden and locked.who() is None, "the lock")
    locked.wait_covered()
    locked.logind(SESSION_PATH, "org.freedesktop.login1.Session", "Unlock")
    until(lambda: "only a touch" in locked.said(), "what the agent says of it")
    assert locked.hidden
    assert locked.cover == "covered"


def test_the_machine_sleeps_only_once_the_lock_is_acknowledged(locked: Desktop) -> None:
    until(lambda: inhibited(locked), "the inhibitor")
    locked.log_in()
    sleep(locked, True)
    until(lambda: not inhibited(locked), "the inhibitor's end")
    assert locked.who() is None
    assert locked.hidden
    assert locked.cover == "covered"
    sleep(locked, False)
    until(lambda: inhibited(locked), "the next inhibitor")


def test_xss_lock_locks_through_the_agent(locked: Desktop) -> None:
    locker = locked.start(["xss-lock", "-l", "--session", SESSION, "--", *locked.words("lock")])
    locked.log_in()
    until(lambda: _saver(locked, "activate"), "xss-lock's lock")
    until(lambda: locked.hidden and locked.who() is None, "the lock")
    locked.wait_covered()
    said = (locked.stage.folder / "beside.log").read_text(encoding="utf-8", errors="replace")
    assert locker.poll() in (None, 0), said
    subprocess.run(["xset", "s", "reset"], env=locked.environment, check=False)
    locker.kill()


def test_an_idle_hint_that_nobody_sets_is_not_believed(locked: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked where the screen itself cannot say for how long nobody has used it."""
    assert locked.bus is not None
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", locked.bus.address)
    bus, hints = locked.bus, list[bool | None]()

    async def ask() -> None:
        logind = Logind(lambda event: None, SESSION)
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            serving = group.create_task(logind.run())
            await asyncio.to_thread(until, lambda: logind.found, "logind's session")
            for hint in (False, True, False):
                words = ("UpdateProperties", "sa{sv}", "org.freedesktop.login1.Session", {"IdleHint": _variant(hint)})
                await bus.say(SESSION_PATH, "org.freedesktop.DBus.Mock", *words)
                hints.append(await logind.idle())
            serving.cancel()

    locked.do(ask)
    assert hints == [None, True, False]


HOLD = """
import ctypes, os, time
x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = ctypes.c_void_p
x.XDefaultRootWindow.argtypes = [ctypes.c_void_p]
x.XDefaultRootWindow.restype = ctypes.c_ulong
d = ctypes.c_void_p(x.XOpenDisplay(None))
root = ctypes.c_ulong(x.XDefaultRootWindow(d))
while x.XGrabPointer(d, root, 0, 4, 1, 1, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
    time.sleep(0.01)
x.XGrabKeyboard(d, root, 0, 1, 1, ctypes.c_ulong(0))
x.XSync(d, 0)
time.sleep(600)
"""


def _grabbed(seat: Desktop) -> bool:
    """Whether another program holds the pointer; lets go at once where none does."""
    import ctypes

    x, display = seat.eye.display.x, seat.eye.display
    x.XGrabPointer.argtypes = [ctypes.c_void_p, ctypes.c_ulong, *[ctypes.c_int] * 4, *[ctypes.c_ulong] * 3]
    x.XUngrabPointer.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
    taken = x.XGrabPointer(display.display, display.root, 0, 4, 1, 1, 0, 0, 0) == 0
    x.XUngrabPointer(display.display, 0)
    x.XSync(display.display, 0)
    return not taken


def _saver(seat: Desktop, word: str) -> bool:
    subprocess.run(["xset", "s", word], env=seat.environment, check=False)
    time.sleep(0.05)
    return seat.who() is None
