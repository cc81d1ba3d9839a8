"""Meguro, 2025: a protection had been lifted, so that a paper with the address could be issued at the counter."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.incidents.drilling import Drilled, answered

DRILL = "meguro"


@pytest.mark.real
def test_the_drill_answers_every_question(play: Callable[[str], Drilled]) -> None:
    done = answered(
        play(DRILL),
        {
            "who_released_it",
            "warning_shown",
            "address_never_shown",
            "who_knew_which_version",
        },
    )
    assert "flag.dropped" in done.story
