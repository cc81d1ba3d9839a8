"""From what authd tells the seat's screen to the locked screen's picture: words and a tone, and nobody's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authd.agent.paint import Picture
from authd.client import Shown
from authd.core.model import Message, PromptId, SeatState
from authd.locale import text

TONES: Final[Mapping[Message, str]] = {
    **dict.fromkeys((Message.START, Message.KEPT, Message.MOVED_HERE, Message.VOUCHED), "good"),
    **dict.fromkeys((Message.ONCE_MORE, Message.WAIT, Message.FADING, Message.ANOTHER_FINGER), "retry"),
    **dict.fromkeys((Message.OTHER_WAY, Message.ANOTHER_FACTOR, Message.REFUSED_FACTORS, Message.CARD_ALONE), "retry"),
    **dict.fromkeys((Message.REFUSED, Message.REFUSED_HOURS, Message.KEY_REFUSED, Message.KEY_BLOCKED), "stop"),
    **dict.fromkeys((Message.KEY_UNKNOWN, Message.BREAK_GLASS, Message.SECOND_PERSON), "stop"),
    **dict.fromkeys((Message.READER_LOST, Message.LEDGER_DOWN, Message.FAULT, Message.UNATTENDED), "trouble"),
}
"""What is not here is calm."""
CLOSED: Final = (SeatState.LOCKED, SeatState.OUT_OF_SERVICE, SeatState.VERIFYING, SeatState.GRANTING)


def picture(shown: Shown | None, typed: int | None, languages: tuple[str, ...]) -> Picture:
    """Return what to draw; `shown` None: authd is not heard."""
    if shown is None:
        return Picture("trouble", tuple(text("agent.silent", each) for each in languages))
    face = shown.face
    message = face.message if face.state in CLOSED else Message.LOCKED
    lines = [_sentence(message, each) for each in languages]
    if face.hint is not None:
        lines = [text(face.hint, each) for each in languages]
    elif face.prompt is not None and face.prompt.id is PromptId.NEW_PIN:
        lines = [text("screen.new_pin", each) for each in languages]
    foot = tuple(text("agent.ways", each) for each in languages) if _waits(shown) else ()
    return Picture(TONES.get(message, "calm"), tuple(lines), foot, typed)


def _sentence(message: Message, language: str) -> str:
    """`start` greets by name elsewhere; here nobody's name is shown."""
    return text("agent.start", language) if message is Message.START else text(message, language, name="")


def _waits(shown: Shown) -> bool:
    return shown.face.state is SeatState.LOCKED and shown.face.prompt is None
