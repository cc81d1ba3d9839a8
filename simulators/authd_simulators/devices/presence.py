"""A sensor that sees whether somebody sits at the seat, and never who."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from authd_simulators.cable.wire import Ask, Say, Want, pack_answer
from authd_simulators.devices.device import CommandError, Device, Value


class PresenceSensor(Device):
    """LEAVE and COME; somebody is there at first."""

    serves = Want.PRESENCE

    def __init__(self, name: str, cable: Path, rng: random.Random) -> None:
        super().__init__(name, cable, rng)
        self.present = True

    def respond(self, ask: Ask) -> bytes | None:
        """Answer once the truth differs from what the driver believes."""
        if ask.want is not Want.PRESENCE:
            return pack_answer(Say.GONE, ask.number)
        truth = b"1" if self.present else b"0"
        return pack_answer(Say.PRESENT, ask.number, truth) if ask.body != truth else None

    def actions(self) -> Mapping[str, Callable[[Sequence[str]], str]]:
        """LEAVE and COME."""
        return {"LEAVE": lambda words: self._move(words, False), "COME": lambda words: self._move(words, True)}

    def status(self) -> dict[str, Value]:
        """Add whether somebody is there."""
        return {"kind": "presence", **super().status(), "present": self.present}

    def _move(self, words: Sequence[str], present: bool) -> str:
        if words:
            raise CommandError("LEAVE and COME take nothing more")
        self.present = present
        return "present" if present else "absent"
