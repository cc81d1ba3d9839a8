"""Kyoto, 2025: a protection had to be entered in two systems, was entered in one, and nobody could see it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.incidents.drilling import Drilled, answered

DRILL = "kyoto"


@pytest.mark.real
def test_the_drill_answers_every_question(play: Callable[[str], Drilled]) -> None:
    done = answered(
        play(DRILL),
        {
            "every_system_showed_the_warning",
            "address_never_shown",
            "who_knew_which_version",
            "silence_is_seen",
        },
    )
    assert "refused: silent" in done.story
    assert "Family register supplement: silent for" in done.story
