"""Funabashi, 2012: somebody with every right to be there looked people up for a detective."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.incidents.drilling import Drilled, answered

DRILL = "funabashi"


@pytest.mark.real
def test_the_drill_answers_every_question(play: Callable[[str], Drilled]) -> None:
    done = answered(
        play(DRILL),
        {
            "whose_records",
            "who_looked_at_me",
            "statement_for_the_resident",
            "colleague_cleared",
            "colleague_opened_none",
            "bundle_verified_offline",
        },
    )
    assert "with one byte changed it fails" in done.story
