"""A vein reader and the fingers that people lay on it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from authd_simulators.cable.wire import Ask, Say, Want, pack_answer, pack_image
from authd_simulators.devices.device import CommandError, Device, Trouble, Value, milliseconds
from authd_simulators.people import Staff, by_number, stranger_finger
from authd_simulators.vein_image import HEIGHT, WIDTH, Finger, Presentation, anatomy, capture

TOUCH_MS = 700
MOST_PICTURE_TIMES = 32
HOLD_MS = 2_800
"""Longer than the 2 s that mean logout."""


@dataclass(slots=True)
class Touch:
    """One finger on the reader."""

    serial: int
    seed: str
    presentation: Presentation
    pose: int
    """Seed of how it lies; a replayed recording has that of the touch before."""
    pictures: int = 0
    pictured_at: list[int] = field(default_factory=list[int])
    """When its first pictures were taken: nanoseconds of CLOCK_BOOTTIME."""


class VeinReaderDevice(Device):
    """TOUCH|WET|DRY|SHORT|OFF_CENTRE|FAST <staff number> [finger] [hold|ms]; WRONG|REPLAY [hold|ms]; LIFT."""

    serves = Want.FINGER

    def __init__(self, name: str, cable: Path, rng: random.Random, people: Sequence[Staff]) -> None:
        super().__init__(name, cable, rng)
        self.people = people
        self.touch: Touch | None = None
        self._last: Touch | None = None
        self._serial = 0
        self._asked_at = 0

    def asked(self, ask: Ask) -> None:
        """Remember which finger was there before: only the next one counts."""
        if ask.want is Want.FINGER:
            self._asked_at = self._serial

    def respond(self, ask: Ask) -> bytes | None:
        """Answer with a picture, that the finger is gone, or that nothing lies on the reader."""
        match ask.want:
            case Want.FINGER:
                fresh = self.touch is not None and self.touch.serial > self._asked_at
                return self._picture(ask.number) if fresh else None
            case Want.FRAME:
                return self._picture(ask.number) if self.touch else pack_answer(Say.GONE, ask.number)
            case Want.LIFTED:
                return None if self.touch else pack_answer(Say.UP, ask.number)
            case _:
                return pack_answer(Say.GONE, ask.number)

    def actions(self) -> Mapping[str, Callable[[Sequence[str]], str]]:
        """A command for each way to lay a finger down, a stranger's, a recording, and lifting it."""
        laid: dict[str, Callable[[Sequence[str]], str]] = {
            "TOUCH" if each is Presentation.GOOD else each.name: self._laying(each) for each in Presentation
        }
        return laid | {"WRONG": self._wrong, "REPLAY": self._replay, "LIFT": self._lift}

    def status(self) -> dict[str, Value]:
        """Add whether a finger lies there, and when the last one was pictured."""
        pictured = " ".join(map(str, self._last.pictured_at)) if self._last else ""
        return {
            "kind": "vein",
            **super().status(),
            "touches": self._serial,
            "finger": self.touch is not None,
            "pictured_at": pictured,
        }

    def _laying(self, presentation: Presentation) -> Callable[[Sequence[str]], str]:
        def lay(words: Sequence[str]) -> str:
            person = by_number(self.people, words[0]) if words else None
            if person is None:
                raise CommandError("expected the staff number of somebody of PEOPLE")
            finger, span = _finger_and_span(words[1:])
            return self._down(person.finger(finger), presentation, self.rng.getrandbits(64), span)

        return lay

    def _wrong(self, words: Sequence[str]) -> str:
        """Lay down the finger of somebody who was never seen before."""
        seed = stranger_finger(self.rng.getrandbits(48))
        return self._down(seed, Presentation.GOOD, self.rng.getrandbits(64), _span(words))

    def _replay(self, words: Sequence[str]) -> str:
        """Show a recording of the last touch again, bit for bit."""
        if self._last is None:
            raise CommandError("nothing was recorded yet")
        return self._down(self._last.seed, self._last.presentation, self._last.pose, _span(words))

    def _lift(self, words: Sequence[str]) -> str:
        if words:
            raise CommandError("LIFT takes nothing more")
        self._up(self._serial)
        return "lifted"

    def _down(self, seed: str, presentation: Presentation, pose: int, span_ms: int) -> str:
        if self.touch is not None:
            raise CommandError("a finger is on the reader already")
        self._serial += 1
        self.touch = self._last = Touch(self._serial, seed, presentation, pose)
        asyncio.get_running_loop().call_later(span_ms / 1000, self._up, self._serial)
        return f"touch {self._serial} {'awaited' if self._awaited.is_set() else 'unawaited'}"

    def _up(self, serial: int) -> None:
        if self.touch is not None and self.touch.serial == serial:
            self.touch = None
            self.changed()

    def _picture(self, number: int) -> bytes:
        assert self.touch is not None
        self.touch.pictures += 1
        pixels = self._pixels(self.touch)
        if len(self.touch.pictured_at) < MOST_PICTURE_TIMES:
            self.touch.pictured_at.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        if self.trouble is Trouble.GARBAGE_SIZE:
            pixels += b"\0"
        return pack_image(number, WIDTH, HEIGHT, pixels)

    def _pixels(self, touch: Touch) -> bytes:
        if self.trouble is Trouble.GARBAGE_IMAGE:
            return self.rng.randbytes(WIDTH * HEIGHT)
        grain = np.random.default_rng((touch.pose, touch.pictures))
        return capture(anatomy(touch.seed), np.random.default_rng(touch.pose), touch.presentation, grain).tobytes()


def _finger_and_span(words: Sequence[str]) -> tuple[Finger, int]:
    """Read `[finger] [hold|ms]`. Raises `CommandError`."""
    if not words or words[0].lower() not in {finger.value for finger in Finger}:
        return Finger.RIGHT_INDEX, _span(words)
    return Finger(words[0].lower()), _span(words[1:])


def _span(words: Sequence[str]) -> int:
    """Read `[hold|ms]`: how long the finger stays. Raises `CommandError`."""
    match words:
        case []:
            return TOUCH_MS
        case [word] if word.lower() == "hold":
            return HOLD_MS
        case [word] if word.isdigit():
            return milliseconds(word)
        case _:
            fingers = ", ".join(Finger)
            raise CommandError(f"expected [finger] [hold|milliseconds]; fingers are {fingers}")
