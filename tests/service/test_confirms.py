"""Whatever authd itself asks a touch for, the screen has a sentence for it."""

from __future__ import annotations

import pytest

from authd.core.seat.state import CONFIRMS
from authd.service import officers
from authd.service.evidence.carryout import asking
from authd.service.evidence.flags import registry
from authd.service.evidence.supervision import desk, roll
from authd.service.evidence.views import views

PURPOSES = (asking.PURPOSE, desk.PURPOSE, officers.PURPOSE, registry.PURPOSE, roll.PURPOSE, views.LOOKED_UP)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_screen_says_what_is_confirmed(purpose: str) -> None:
    assert purpose in CONFIRMS


def test_no_sentence_is_for_nothing() -> None:
    assert set(CONFIRMS) == set(PURPOSES)
