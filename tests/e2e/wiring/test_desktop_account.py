"""A desktop whose own account is its seat's screen at the local door: a PIN at its locked screen, and its idle time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from authd_simulators.keyring import PIN, key
from tests.tools.desktop_stage import SEAT, Desktop, until

pytestmark = pytest.mark.real
ACCOUNT = "games"
"""Of every Debian, and nobody uses it."""
IDLE_S = 5
"""As the stage's policy says."""


@pytest.fixture(scope="module")
def seat() -> Iterator[Desktop]:
    with Desktop(account=ACCOUNT) as there:
        yield there
        until(lambda: not there.left(), "the end of all that any locker had started")


def test_a_pin_that_is_typed_at_the_locked_screen_opens_it(seat: Desktop) -> None:
    name = key(SEAT)
    until(lambda: len(seat.eye.colours()) > 2, "something drawn on the locked screen")
    seat.do(lambda: seat.stage.send(f"{name} INSERT"))
    until(lambda: seat.status()["seats"][SEAT]["message"] == "pin", "a key that asks for its PIN")
    seat.tool("key", "9", "Escape")  # forgotten
    seat.tool("type", PIN)
    assert seat.who() is None
    seat.tool("key", "Return")
    seat.do(lambda: seat.stage.send(f"{name} AWAIT 20000"))
    seat.do(lambda: seat.stage.send(f"{name} TOUCH"))
    until(lambda: seat.who() is not None, "the session")
    until(lambda: seat.cover == "open" and not seat.hidden, f"the open desktop\n{seat.said()}")
    assert PIN not in seat.said()
    seat.do(lambda: seat.stage.send(f"{name} REMOVE"))
    until(lambda: seat.hidden and seat.who() is None, "the lock")
    seat.wait_covered()


def test_keyboard_and_mouse_keep_a_session_and_their_rest_ends_it(seat: Desktop) -> None:
    session = seat.log_in().session
    until_s = time.monotonic() + IDLE_S + 2
    while time.monotonic() < until_s:
        seat.tool(
            "mousemove_relative", "3", "1", "sleep", "0.2", "mousemove_relative", "--", "-3", "-1", "sleep", "0.2"
        )
    there = seat.who()
    assert there is not None
    assert there.session == session
    until(lambda: seat.who() is None, "the end of a session that nobody uses")
    until(lambda: seat.hidden, "the cover")
    until(lambda: session in seat.ends(), "its row: a seat locks first")
    assert seat.ends()[session] == "idle"
