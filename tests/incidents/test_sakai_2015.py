"""Sakai, 2015: voters' data was carried out and put on a server, and nobody knew which file was of which carry-out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.incidents.drilling import Drilled, answered

DRILL = "sakai"


@pytest.mark.real
def test_the_drill_answers_every_question(play: Callable[[str], Drilled]) -> None:
    done = answered(play(DRILL), {"which_files", "through_whom", "whose_records", "what_is_still_out"})
    assert "16 of 151 files" in done.story
