"""The locked screen's picture: words in both languages, a shape and a tone, and nobody's name."""

from __future__ import annotations

import pytest

from authd.agent.paint import TONES
from authd.agent.view import picture
from authd.client import Shown
from authd.core.model import Epoch, Face, Hint, Instant, Message, Prompt, PromptId, SeatId, SeatState
from authd.locale import LANGUAGES, text


def shown(message: Message, state: SeatState = SeatState.LOCKED, **more: object) -> Shown:
    face = Face(SeatId("counter-1"), Epoch(1), state, message, Instant(1), **more)  # type: ignore[arg-type]  # of a test
    return Shown(face, name="佐藤 花子", kana="さとう はなこ", section="resident")


@pytest.mark.parametrize("message", list(Message))
@pytest.mark.parametrize("state", list(SeatState))
def test_every_sentence_has_a_picture_without_a_name(message: Message, state: SeatState) -> None:
    found = picture(shown(message, state), None, LANGUAGES)
    assert found.tone in TONES
    assert len(found.lines) == 2
    for line in (*found.lines, *found.foot):
        assert line
        assert "佐藤" not in line
        assert "さとう" not in line


def test_a_silent_daemon_is_said() -> None:
    assert picture(None, None, ("en",)).lines == ("Please wait",)


def test_a_hint_and_a_pin_are_said_in_place_of_the_sentence() -> None:
    assert picture(shown(Message.ONCE_MORE, hint=Hint.DRY), None, ("en",)).lines == (text(Hint.DRY, "en"),)
    asked = picture(shown(Message.PIN, prompt=Prompt(PromptId.PIN)), 3, ("ja",))
    assert (asked.typed, asked.foot) == (3, ())
