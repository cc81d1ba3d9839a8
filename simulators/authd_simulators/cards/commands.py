"""The text commands of a card's process: one line in, one line back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from authd_simulators.cards.card import SimulatedCard
from authd_simulators.cards.piv import TRIES
from authd_simulators.cards.trouble import COMMANDS
from authd_simulators.control import error, ok
from authd_simulators.vpcd import Slot

MOST_MS = 60_000
MOST_TIMES = 1_000
POLL_S = 0.005
OUT_S = 0.5
"""A hand takes longer, and pcscd looks at its virtual reader every 0.4 s: it would not see a shorter absence."""
HELP = (
    "INSERT [piv|uid|multi|blank] | REMOVE (or UNPLUG) | AWAIT <ms>; "
    "ERROR <word> [command] [times] | GARBAGE [command] [times] | TEAR [command] | SLOW <ms> | HANG | RESUME, "
    f"commands: {', '.join(COMMANDS)}; PIN <6-8 digits> | PIN left <0-{TRIES}> | PIN block; STATUS | HELP"
)


class CommandError(Exception):
    """The command is not understood, or cannot be carried out now; the text says why."""


class Commands:
    """Obeys the lines that come over the control socket: several cards, at most one of them in the slot."""

    def __init__(self, cards: Mapping[str, SimulatedCard], host: str, port: int) -> None:
        self.cards = cards
        self._slots = {kind: Slot(card, host, port) for kind, card in cards.items()}
        self._card = next(iter(cards.values()))
        self._out_until = 0.0
        for kind, card in cards.items():
            card.trouble.tear = partial(self._tear_out, self._slots[kind])
        self._verbs: Mapping[str, Callable[[Sequence[str]], str]] = {
            "ERROR": self._error,
            "GARBAGE": self._garbage,
            "TEAR": self._tear,
            "SLOW": self._slow,
            "HANG": self._hang,
            "RESUME": self._resume,
            "PIN": self._pin,
        }

    async def obey(self, line: str) -> str:
        """Carry out one line and return its answer; no input whatever raises."""
        words = line.split()
        try:
            match [word.upper() for word in words]:
                case ["HELP"]:
                    return ok(HELP)
                case ["STATUS"]:
                    return ok(self.status())
                case ["INSERT", *_]:
                    return ok(await self.insert(words[1].lower() if len(words) > 1 else ""))
                case ["REMOVE" | "UNPLUG"]:
                    return ok(await self.remove())
                case ["AWAIT", _]:
                    return ok(await self._await(words[1]))
                case [verb, *_] if verb in self._verbs:
                    return ok(self._verbs[verb](words[1:]))
                case _:
                    return error("expected a command; HELP lists them")
        except CommandError as refusal:
            return error(str(refusal))
        except OSError as failure:
            return error(failure.strerror or str(failure))

    async def insert(self, kind: str = "") -> str:
        """Put a card in, in place of another one. Raises `OSError`, `CommandError`."""
        if kind and kind not in self.cards:
            raise CommandError(f"there are {', '.join(self.cards)}")
        if kind and kind != self._card.kind:
            await self.remove()
            self._card = self.cards[kind]
        if not self._slot.inserted:
            await asyncio.sleep(max(0.0, self._out_until - _now()))
            self._card.heard.clear()
        await asyncio.to_thread(self._slot.insert)
        return f"{self._card.kind} inserted"

    async def remove(self) -> str:
        """Take the card out, at once."""
        self._card.trouble.let_go()
        if self._slot.inserted:
            self._out_until = _now() + OUT_S
        await asyncio.to_thread(self._slot.remove)
        return "removed"

    def _tear_out(self, slot: Slot) -> None:
        self._out_until = _now() + OUT_S
        slot.remove()

    def status(self) -> dict[str, object]:
        """Return what is known of the card that was in last."""
        piv = self._card.piv
        return {
            "kind": "card",
            "card": self._card.kind,
            "inserted": self._slot.inserted,
            "connected": self._slot.connected,
            "heard": len(self._card.heard),
            "pin_left": piv.left if piv is not None else None,
            "pin_open": piv.verified if piv is not None else None,
            "trouble": self._card.trouble.waiting,
        }

    @property
    def _slot(self) -> Slot:
        return self._slots[self._card.kind]

    async def _await(self, limit: str) -> str:
        """Wait until somebody has talked to the card; scripts use it instead of sleeping."""
        end = _now() + _number(limit, 0, MOST_MS) / 1000
        while not self._card.heard:
            if _now() > end:
                raise CommandError(f"nobody talked to the card within {limit} ms")
            await asyncio.sleep(POLL_S)
        return "heard"

    def _error(self, words: Sequence[str]) -> str:
        try:
            word = int(words[0], 16)
        except (ValueError, IndexError):
            word = -1
        if not 0 <= word <= 0xFFFF:
            raise CommandError("expected a status word, 6A82")
        self._card.trouble.error(word, *_when(words[1:]))
        return self._said()

    def _garbage(self, words: Sequence[str]) -> str:
        self._card.trouble.garbage(*_when(words))
        return self._said()

    def _tear(self, words: Sequence[str]) -> str:
        command, _ = _when(words)
        self._card.trouble.torn(command)
        return self._said()

    def _slow(self, words: Sequence[str]) -> str:
        self._card.trouble.slow(_number(" ".join(words), 0, MOST_MS))
        return self._said()

    def _hang(self, _: Sequence[str]) -> str:
        self._card.trouble.hang()
        return "hangs"

    def _resume(self, _: Sequence[str]) -> str:
        self._card.trouble.resume()
        return self._said()

    def _said(self) -> str:
        return f"{self._card.trouble.waiting} to go wrong"

    def _pin(self, words: Sequence[str]) -> str:
        piv = next((card.piv for card in (self._card, *self.cards.values()) if card.piv is not None), None)
        if piv is None:
            raise CommandError("no card here has a PIN")
        match [word.lower() for word in words]:
            case ["block"]:
                piv.left, piv.verified = 0, False
            case ["left", left]:
                piv.left = _number(left, 0, TRIES)
            case [pin] if pin.isascii() and pin.isdigit() and 6 <= len(pin) <= 8:
                piv.pin, piv.left, piv.verified = pin, TRIES, False
            case _:
                raise CommandError(f"expected 6 to 8 digits, left <0-{TRIES}> or block")
        return f"{piv.left} left"


def _when(words: Sequence[str]) -> tuple[str, int]:
    """Return which command, or any, and how often."""
    rest = [word.lower() for word in words]
    command = rest.pop(0) if rest and rest[0] in COMMANDS else ""
    times = _number(rest.pop(0), 1, MOST_TIMES) if rest else 1
    if rest:
        raise CommandError(f"expected one of {', '.join(COMMANDS)} and how often")
    return command, times


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _number(word: str, least: int, most: int) -> int:
    with suppress(ValueError):
        if word.isascii() and word.isdigit() and len(word) <= 10 and least <= int(word) <= most:
            return int(word)
    raise CommandError(f"expected a number from {least} to {most}")
