"""A vein reader and the fingers that people lay on it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from authd_simulators.cable.wire import LAMPS, Ask, Say, Want, pack_answer, pack_image
from authd_simulators.devices.device import CommandError, Device, Trouble, Value, milliseconds
from authd_simulators.people import Staff, by_number, stranger_finger
from authd_simulators.vein_image import HEIGHT, WIDTH, Finger, Presentation, anatomy
from authd_simulators.vein_image.attacks import Injected, Species, on_screen, printed
from authd_simulators.vein_image.capture import Image
from authd_simulators.vein_image.lamps import FRAME_S, Lamp, Presented, living

TOUCH_MS = 700
EXPECTED = ((Lamp.ON, 0), (Lamp.OFF, 0), (Lamp.SIDE, 0), (Lamp.ON, 1))
"""Pictures that every touch is asked for: made when the finger comes down, as a camera has them without computing."""
MOST_PICTURE_TIMES = 32
MOST_LAMPS = 16
"""Pictures of a touch whose lamps are remembered for a replay, and pictures in one burst."""
HOLD_MS = 2_800
"""Longer than the 2 s that mean logout."""


_LAMPS = {b"1": Lamp.ON, b"0": Lamp.OFF, b"s": Lamp.SIDE}
_PRINTS = {
    "laser": Species.PRINT_LASER,
    "inkjet": Species.PRINT_INKJET,
    "film": Species.PRINT_FILM,
    "sleeve": Species.PRINT_SLEEVE,
}
_REPLAYS = {"still": Species.REPLAY_STILL, "order": Species.REPLAY_ORDER, "changed": Species.REPLAY_LAMPS}
Made = Callable[[np.random.Generator], Presented]
"""Makes what is shown from a generator; called again with the same seed it makes the same again."""


@dataclass(slots=True)
class Touch:
    """One finger on the reader, or what somebody shows in its place."""

    serial: int
    make: Made
    pose: int
    """Seed of how it lies; a replayed recording has that of the touch before."""
    shown: Presented | None = None
    ready: dict[tuple[Lamp, int], Image] = field(default_factory=dict[tuple[Lamp, int], Image])
    pictures: dict[Lamp, int] = field(default_factory=dict[Lamp, int])
    lamps: list[Lamp] = field(default_factory=list[Lamp])
    """Those of its first pictures, in order."""
    began: int = 0
    pictured_at: list[int] = field(default_factory=list[int])
    """When its first pictures were taken that a sample can be of: nanoseconds of CLOCK_BOOTTIME."""

    def prepare(self) -> None:
        """Make the pictures that will be asked for first."""
        self.ready = {expected: self._taken(*expected) for expected in EXPECTED}

    def picture(self, lamp: Lamp) -> Image:
        """Take the next picture. The first of each lamp depend on nothing but the seed, later ones also on the time."""
        count = self.pictures[lamp] = self.pictures.get(lamp, -1) + 1
        if len(self.lamps) < MOST_LAMPS:
            self.lamps.append(lamp)
        ready = self.ready.pop((lamp, count), None)
        return self._taken(lamp, count) if ready is None else ready

    def _taken(self, lamp: Lamp, count: int) -> Image:
        if self.shown is None:
            self.shown = self.make(np.random.default_rng(self.pose))
            self.began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        place = list(Lamp).index(lamp)
        moment = FRAME_S * (count + place / 3)
        if count > 1:
            moment = max(moment, (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self.began) / 1e9)
        return self.shown.picture(lamp, moment, np.random.default_rng((self.pose, place, count)))

    def recording(self) -> list[tuple[Lamp, Image]]:
        """Return the first pictures again, as somebody has them who listened at the cable."""
        again = Touch(self.serial, self.make, self.pose)
        return [(lamp, again.picture(lamp)) for lamp in self.lamps or [Lamp.ON]]


class VeinReaderDevice(Device):
    """A reader with three lamps, and every command that lays something on it.

    TOUCH|WET|DRY|SHORT|OFF_CENTRE|FAST <staff number> [finger] [hold|ms]; WRONG [hold|ms]; LIFT; and attacks:
    PRINT <staff number> [finger] [laser|inkjet|film|sleeve] [hold|ms]; SCREEN <staff number> [finger] [hold|ms];
    REPLAY [still|order|changed] [hold|ms].
    """

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
            case Want.BURST:
                return self._burst(ask) if self.touch else pack_answer(Say.GONE, ask.number)
            case Want.LIFTED:
                return None if self.touch else pack_answer(Say.UP, ask.number)
            case _:
                return pack_answer(Say.GONE, ask.number)

    def actions(self) -> Mapping[str, Callable[[Sequence[str]], str]]:
        """A command for each way to lay a finger down, a stranger's, a recording, and lifting it."""
        laid: dict[str, Callable[[Sequence[str]], str]] = {
            "TOUCH" if each is Presentation.GOOD else each.name: self._laying(each) for each in Presentation
        }
        shown = {"WRONG": self._wrong, "PRINT": self._print, "SCREEN": self._screen, "REPLAY": self._replay}
        return laid | shown | {"LIFT": self._lift}

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
            seed, rest = self._whose(words)
            return self._down(lambda rng: living(anatomy(seed), rng, presentation), _span(rest))

        return lay

    def _whose(self, words: Sequence[str]) -> tuple[str, Sequence[str]]:
        """Read `<staff number> [finger]`; returns the finger's seed and the words after it. Raises `CommandError`."""
        person = by_number(self.people, words[0]) if words else None
        if person is None:
            raise CommandError("expected the staff number of somebody of PEOPLE")
        if len(words) > 1 and words[1].lower() in {finger.value for finger in Finger}:
            return person.finger(Finger(words[1].lower())), words[2:]
        return person.finger(Finger.RIGHT_INDEX), words[1:]

    def _wrong(self, words: Sequence[str]) -> str:
        """Lay down the finger of somebody who was never seen before."""
        seed = stranger_finger(self.rng.getrandbits(48))
        return self._down(lambda rng: living(anatomy(seed), rng), _span(words))

    def _print(self, words: Sequence[str]) -> str:
        """Lay down a print of a picture that the reader once took of this person; a sleeve on a stranger's finger."""
        seed, rest = self._whose(words)
        kind = rest[0].lower() if rest and rest[0].lower() in _PRINTS else ""
        wearer = anatomy(stranger_finger(self.rng.getrandbits(48))) if kind == "sleeve" else None

        def make(rng: np.random.Generator) -> Presented:
            return printed(_stolen(seed, rng), _PRINTS[kind or "laser"], rng, wearer)

        return self._down(make, _span(rest[1:] if kind else rest))

    def _screen(self, words: Sequence[str]) -> str:
        """Show such a picture on a display."""
        seed, rest = self._whose(words)
        return self._down(lambda rng: on_screen(_stolen(seed, rng), rng), _span(rest))

    def _replay(self, words: Sequence[str]) -> str:
        """Feed in a recording of the last touch: bit for bit as it answered each lamp, or in another way."""
        last = self._last
        if last is None:
            raise CommandError("nothing was recorded yet")
        kind = words[0].lower() if words and words[0].lower() in _REPLAYS else ""
        if not kind:
            return self._down(last.make, _span(words), last.pose)
        frames, seed = last.recording(), self.rng.getrandbits(32)
        return self._down(lambda rng: Injected(_REPLAYS[kind], frames, seed=seed), _span(words[1:]))

    def _lift(self, words: Sequence[str]) -> str:
        if words:
            raise CommandError("LIFT takes nothing more")
        self._up(self._serial)
        return "lifted"

    def _down(self, make: Made, span_ms: int, pose: int | None = None) -> str:
        if self.touch is not None:
            raise CommandError("a finger is on the reader already")
        self._serial += 1
        touch = Touch(self._serial, make, self.rng.getrandbits(64) if pose is None else pose)
        touch.prepare()
        self.touch = self._last = touch
        asyncio.get_running_loop().call_later(span_ms / 1000, self._up, self._serial)
        return f"touch {self._serial} {'awaited' if self._awaited.is_set() else 'unawaited'}"

    def _up(self, serial: int) -> None:
        if self.touch is not None and self.touch.serial == serial:
            self.touch = None
            self.changed()

    def _picture(self, number: int) -> bytes:
        assert self.touch is not None
        data = self._packed(self.touch, number, b"1")
        if len(self.touch.pictured_at) < MOST_PICTURE_TIMES:
            self.touch.pictured_at.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        return data

    def _burst(self, ask: Ask) -> bytes:
        """Answer with a picture under each lamp that was asked for."""
        assert self.touch is not None
        letters = [bytes([letter]) for letter in ask.body[:MOST_LAMPS] if letter in LAMPS]
        return b"".join(self._packed(self.touch, ask.number, letter) for letter in letters)

    def _packed(self, touch: Touch, number: int, letter: bytes) -> bytes:
        garbage = self.trouble is Trouble.GARBAGE_IMAGE
        pixels = self.rng.randbytes(WIDTH * HEIGHT) if garbage else touch.picture(_LAMPS[letter]).tobytes()
        if self.trouble is Trouble.GARBAGE_SIZE:
            pixels += b"\0"
        return pack_image(number, WIDTH, HEIGHT, pixels, letter)


def _stolen(seed: str, rng: np.random.Generator) -> Image:
    """Take the picture from which an attack is made, as good as the reader's own."""
    return living(anatomy(seed), rng).picture(Lamp.ON, 0.0, rng)


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
