from __future__ import annotations

from tests.tools.draw_roster import DOCUMENT, document


def test_the_page_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run python -m tests.tools.draw_roster"


def test_the_shipped_table_decides_for_one_finger_and_for_two() -> None:
    text = document()
    assert "| 20 | <= " in text
    assert text.count("| 2 |\n") >= 1
