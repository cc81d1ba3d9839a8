from __future__ import annotations

import pytest

from authd.core.model import EndReason, Entry, Epoch, Face, Instant, Kind, Message, SeatState, SessionId
from authd.service.bus.outlet import FACES_AHEAD, Lock, Outlet
from tests.service.bus.fakes import ONE, TWO

ENDED = Entry(Kind.SESSION_ENDED, ONE, session=SessionId("ses_1"), reason=EndReason.IDLE)


def face(at: int) -> Face:
    return Face(ONE, Epoch(1), SeatState.LOCKED, Message.LOCKED, Instant(at))


def test_a_lock_is_told_at_once_and_nothing_else_is() -> None:
    outlet, heard = Outlet(), list[Lock]()
    with outlet.locks(heard.append):
        outlet.event(Entry(Kind.SESSION_STARTED, ONE, session=SessionId("ses_1")))
        outlet.event(ENDED)
    outlet.event(ENDED)
    assert heard == [Lock(SessionId("ses_1"), ONE, EndReason.IDLE)]


def test_a_listener_that_fails_disturbs_neither_the_lock_nor_the_others(caplog: pytest.LogCaptureFixture) -> None:
    outlet, heard = Outlet(), list[Lock]()

    def fail(lock: Lock) -> None:
        raise RuntimeError("a bug")

    with outlet.locks(fail), outlet.locks(heard.append), outlet.locks(fail):
        outlet.event(ENDED)
    assert len(heard) == 1
    assert "a lock could not be told" in caplog.text


async def test_a_screen_that_comes_late_sees_what_is_shown_now() -> None:
    outlet = Outlet()
    outlet.face(face(1))
    outlet.face(face(2))
    faces = outlet.faces(ONE)
    assert (await anext(faces)).at == 2
    outlet.face(face(3))
    assert (await anext(faces)).at == 3


async def test_a_slow_screen_loses_the_oldest_and_never_the_last() -> None:
    outlet = Outlet()
    outlet.face(face(0))
    faces = outlet.faces(ONE)
    await anext(faces)
    for number in range(1, FACES_AHEAD + 11):
        outlet.face(face(number))
    seen = [(await anext(faces)).at for _ in range(FACES_AHEAD)]
    assert seen == list(range(11, FACES_AHEAD + 11))


async def test_seats_are_apart() -> None:
    outlet = Outlet()
    outlet.face(face(1))
    faces = outlet.faces(TWO)
    other = Face(TWO, Epoch(1), SeatState.ACTIVE, Message.START, Instant(5))
    outlet.face(other)
    assert await anext(outlet.faces(TWO)) == other
    await faces.aclose()  # type: ignore[attr-defined]  # an async generator, whose port says iterator
