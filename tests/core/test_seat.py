"""The seat machine as scripts: what happens, and what follows from it, in order."""

from __future__ import annotations

from authd.core.model import SeatState
from authd.core.seat import Activity, FingerDown, Pressed
from tests.core.playbook import (
    AOKI,
    Playbook,
    capture,
    in_state,
    leap,
    opened,
    pass_time,
    recorded,
    verdict,
)

S = SeatState


# The path in.


def test_a_touch_opens_a_session_once_the_ledger_has_it() -> None:
    book = Playbook()
    assert (
        book
        >> FingerDown()
        << "show locked reading"
        >> capture()
        << "show verifying reading"
        >> verdict(AOKI)
        << "append grant aoki"
        << "show granting reading"
        >> recorded()
        << "end elsewhere aoki"
        << "begin shift aoki"
        << "write session.started aoki"
        << "show active start aoki"
        << "arm n2"
    )
    assert in_state(book, S.ACTIVE)


def test_what_changes_nothing_to_see_shows_nothing() -> None:
    assert opened() >> Activity() >> Activity() >> pass_time(1)


def test_arming_comes_last_so_that_no_older_picture_is_painted_over_its_own() -> None:
    assert opened() >> leap(61) >> Pressed() << "write session.ended aoki idle" << "show locked locked" << "arm n3"
