"""Hirakata, 2019: the resident register knew of a protection, and the tax system issued the address."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.incidents.drilling import Drilled, answered

DRILL = "hirakata"


@pytest.mark.real
def test_the_drill_answers_every_question(play: Callable[[str], Drilled]) -> None:
    done = answered(
        play(DRILL),
        {
            "both_systems_warned",
            "address_never_shown",
            "who_dealt_with_it",
            "who_entered_it",
        },
    )
    assert "flag.set" in done.story
