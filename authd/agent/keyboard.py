"""What keys mean at the locked screen: text for the reader that asks, a way to ask for help, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

MOST: Final = 63
"""Bytes: a PIN has no more."""
SEND, DROP = b"\r\n", b"\x1b\x15\x03"
BACK = b"\x7f\x08"
BUTTONS: Final[dict[int, Literal["vouch", "break_glass"]]] = {0x16: "vouch", 0x02: "break_glass"}
"""Ctrl-V and Ctrl-B."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to tell authd."""

    typed: str | None = None
    button: Literal["vouch", "break_glass"] | None = None


class Typing:
    """What has been typed so far; kept only while something asks for it."""

    def __init__(self) -> None:
        self.wanted = False
        """Whether something asks."""
        self._buffer = bytearray()

    @property
    def length(self) -> int:
        """Characters typed."""
        return sum(1 for byte in self._buffer if byte & 0xC0 != 0x80)

    def asked(self, wanted: bool) -> None:
        """Something asks now, or nothing does any more: what was typed for another question is forgotten."""
        if wanted is not self.wanted:
            self.wanted = wanted
            self._forget()

    def take(self, data: bytes) -> Iterator[Action]:
        """Take keys as xsecurelock passes them on."""
        for byte in data:
            if byte in BUTTONS:
                if not self.wanted:
                    yield Action(button=BUTTONS[byte])
            elif self.wanted:
                yield from self._typed(byte)

    def _typed(self, byte: int) -> Iterator[Action]:
        if byte in SEND:
            typed = self._buffer.decode("utf-8", "ignore")
            self._forget()
            if typed:
                yield Action(typed=typed)
        elif byte in DROP:
            self._forget()
        elif byte in BACK:
            while self._buffer and self._buffer.pop() & 0xC0 == 0x80:
                pass
        elif byte >= 0x20 and len(self._buffer) < MOST:
            self._buffer.append(byte)

    def _forget(self) -> None:
        for place in range(len(self._buffer)):
            self._buffer[place] = 0
        self._buffer.clear()
