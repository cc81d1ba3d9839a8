"""The board: systems, versions and silence, and nothing else."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from authd.locale import text
from authd.web.board import STATES, Board
from authd.web.door import DoorError, System
from tests.web.fakes import FakeDoor

FINE = System("住民記録", "Residents", True, 41, 41, False, 0, True)
LATE = System("税務", "Tax", True, 40, 41, False, 1, False)
SILENT = System("国保", "Insurance", True, 41, 41, True, 17, False)
NEVER = System("介護", "Care", True, 0, 41, True, None, False)
UNLINKED = System("郵便", "Mail", False, 0, 41, False, None, False)


def board(*systems: System | None, language: str = "ja") -> str:
    given = None if systems == (None,) else [each for each in systems if each is not None]
    return Board(FakeDoor()).filled(given, language)


@pytest.mark.parametrize(
    ("systems", "verdict"),
    [
        ((FINE, UNLINKED), "all"),
        ((FINE, LATE), "lag"),
        ((FINE, LATE, SILENT), "silence"),
        ((NEVER,), "silence"),
        ((UNLINKED,), "none"),
        ((), "none"),
        ((None,), "away"),
    ],
)
def test_the_verdict_is_a_sentence(systems: tuple[System | None, ...], verdict: str) -> None:
    page = board(*systems)
    assert text(f"board.{verdict}", "ja") in page
    assert text(f"board.{verdict}", "en") in page


def test_colour_is_never_the_only_sign() -> None:
    page = board(FINE, LATE, SILENT, UNLINKED)
    assert len({sign for sign, _ in STATES.values()}) == len(STATES)
    for state, (sign, _) in STATES.items():
        (row,) = re.findall(rf'<tr data-state="{state}".*?</tr>', page)
        assert sign in row
        assert text(f"flags.{state}", "ja") in row
        assert text(f"flags.{state}", "en") in row


def test_who_is_silent_comes_first_with_how_long() -> None:
    page = board(FINE, SILENT, NEVER)
    assert "17 秒前" in page
    assert text("flags.never", "ja") in page
    assert page.index("国保") < page.index("住民記録")


def test_names_are_escaped() -> None:
    evil = System("<script>", "<img>", True, 1, 1, False, 0, True)
    assert "<script>" not in board(evil)
    assert "<img>" not in board(evil)


async def test_a_core_that_does_not_answer_is_never_shown_as_fine() -> None:
    door = FakeDoor()
    door.refuse = DoorError("gone")
    door.systems = [FINE]

    request: Any = SimpleNamespace(query_params={"lang": "en"})
    answer = await Board(door).page(request)
    assert answer.status_code == 503
    assert text("board.away", "en") in bytes(answer.body).decode()
    assert text("board.all", "en") not in bytes(answer.body).decode()
