"""What is wrong with a card: scripted words, garbage, slowness, being torn out in mid-command."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

COMMANDS = {"select": 0xA4, "verify": 0x20, "sign": 0x87, "data": 0xCB, "uid": 0xCA}
"""Names of the commands that trouble can wait for."""
SLOWEST_S = 60.0


class Torn(OSError):
    """The card was taken out before it answered."""


@dataclass(slots=True)
class _Struck:
    answer: bytes | None
    """None: torn out."""
    command: int | None
    times: int


class Trouble:
    """Strikes at coming commands, one after the other."""

    def __init__(self, seed: int = 0) -> None:
        self._coming = list[_Struck]()
        self._random = random.Random(seed)
        self._delay_s = 0.0
        self._go_on = threading.Event()
        self._go_on.set()
        self.tear: Callable[[], None] = lambda: None
        """Takes the card out of its slot."""

    def error(self, word: int, command: str = "", times: int = 1) -> None:
        """Answer this word instead. command: only to this one of `COMMANDS`. Raises `KeyError`."""
        self._add(word.to_bytes(2, "big"), command, times)

    def answer(self, raw: bytes, command: str = "", times: int = 1) -> None:
        """Answer these bytes instead."""
        self._add(raw, command, times)

    def garbage(self, command: str = "", times: int = 1) -> None:
        """Answer random bytes instead."""
        self._add(self._random.randbytes(self._random.randint(2, 300)), command, times)

    def torn(self, command: str = "") -> None:
        """Be taken out at the next command, which is never answered."""
        self._add(None, command, 1)

    def slow(self, milliseconds: int) -> None:
        """Answer so much later, until told otherwise."""
        self._delay_s = min(milliseconds / 1000, SLOWEST_S)

    def hang(self) -> None:
        """Answer nothing until `resume`."""
        self._go_on.clear()

    def let_go(self) -> None:
        """End the hanging."""
        self._go_on.set()

    def resume(self) -> None:
        """Be well again."""
        self._coming.clear()
        self._delay_s = 0.0
        self.let_go()

    @property
    def waiting(self) -> int:
        """How many commands are still to go wrong."""
        return sum(each.times for each in self._coming)

    def strikes(self, apdu: bytes) -> bytes | None:
        """Return what is answered instead of the right thing; None: nothing is wrong. Raises `Torn`."""
        if self._delay_s:
            threading.Event().wait(self._delay_s)
        self._go_on.wait(SLOWEST_S)
        for each in self._coming:
            if each.command in (None, apdu[1] if len(apdu) > 1 else None):
                return self._strike(each)
        return None

    def _strike(self, struck: _Struck) -> bytes:
        struck.times -= 1
        if struck.times <= 0:
            self._coming.remove(struck)
        if struck.answer is None:
            self.tear()
            raise Torn("torn out")
        return struck.answer

    def _add(self, answer: bytes | None, command: str, times: int) -> None:
        self._coming.append(_Struck(answer, COMMANDS[command] if command else None, times))
