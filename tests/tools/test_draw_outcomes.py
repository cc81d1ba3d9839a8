"""The page of outcomes is what the drivers' tables say, and every outcome has words in both languages."""

import pytest

from authd.driver import Denial, Fault, Hint
from authd.locale import LANGUAGES
from tests.tools import draw_outcomes
from tests.tools.draw_outcomes import DOCUMENT, document


def test_the_page_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run python -m tests.tools.draw_outcomes"


@pytest.mark.parametrize("outcome", [*Hint, *Fault, *Denial])
def test_every_outcome_has_words(outcome: Hint | Fault | Denial) -> None:
    kind, *words = draw_outcomes.said(outcome)
    assert outcome.value in kind
    assert len(set(words)) == len(LANGUAGES)
    assert all(words)
