"""The stage's patience with its own people."""

from __future__ import annotations

import pytest

from authd import client
from authd_simulators.stage import ENROLMENTS, Ports, Stage

LATE = "the officer's touch did not come"


@pytest.mark.parametrize(
    ("late", "message", "tries"),
    [(1, LATE, 2), (ENROLMENTS, LATE, ENROLMENTS), (1, "no such person, or disabled already", 1)],
    ids=["late", "never", "another"],
)
async def test_only_an_officer_whose_touch_came_too_late_isasked_again(late: int, message: str, tries: int) -> None:
    asked = 0

    async def enrol() -> None:
        nonlocal asked
        asked += 1
        if asked <= late:
            raise client.DoorError("refused", message)

    stage = Stage(Ports(1, 2, 3))
    if late < tries:
        await stage.asked_again(enrol)  # before any process there is nothing else of a stage
    else:
        with pytest.raises(client.DoorError, match=message):
            await stage.asked_again(enrol)
    assert asked == tries
