"""The text commands of a key's process: one line in, one line back."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from authd_simulators.control import error, ok
from authd_simulators.fido_key.device import UV
from authd_simulators.fido_key.key import Key
from authd_simulators.fido_key.memory import PIN_RETRIES, UV_RETRIES, Finger
from authd_simulators.fido_key.presence import TOUCH, WRONG, Gesture
from authd_simulators.fido_key.slots import Place

MOST_MS = 60_000
HELP = (
    "INSERT | REMOVE (or UNPLUG) | TOUCH [ms] | FINGER <1-10> [feedback] | WRONG | AUTO on|off [finger] | AWAIT <ms>; "
    "SLEEP <ms> | HANG | RESUME | ERROR 0xNN [times] | GARBAGE [wire] [times] | NOUV on|off; "
    "PIN <digits>|off | LEARN <1-10> | FORGET | COUNTER <n> | CLONE <file>; STATUS | HELP"
)


class CommandError(Exception):
    """The command is not understood, or cannot be carried out now; the text says why."""


class Commands:
    """Obeys the lines that come over the control socket."""

    def __init__(self, key: Key, place: Place, state: Path | None = None) -> None:
        """Hold a key and its place; `state` is written whenever the key comes out."""
        self.key = key
        self.place = place
        self.state = state
        self._verbs: Mapping[str, Callable[[Sequence[str]], str]] = {
            "TOUCH": self._touch,
            "FINGER": self._finger,
            "WRONG": lambda words: self._give(WRONG, words),
            "AUTO": self._auto,
            "SLEEP": self._sleep,
            "HANG": self._hang,
            "RESUME": self._resume,
            "ERROR": self._error,
            "GARBAGE": self._garbage,
            "NOUV": self._nouv,
            "PIN": self._pin,
            "LEARN": self._learn,
            "FORGET": self._forget,
            "COUNTER": self._counter,
            "CLONE": self._clone,
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
                case ["INSERT"]:
                    return ok(await self.insert())
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

    async def insert(self) -> str:
        """Put the key in. Raises `OSError`."""
        await asyncio.to_thread(self.place.insert)
        return "inserted"

    async def remove(self) -> str:
        """Take the key out, and write its memory to the state file."""
        await asyncio.to_thread(self.place.remove)
        if self.state is not None:
            _write(self.state, self.key.memory.pack())
        return "removed"

    def status(self) -> dict[str, object]:
        """Return what is known of the key."""
        key, memory = self.key, self.key.memory
        asking = key.presence.hand.asking
        return {
            "kind": "bio key" if key.profile.bio else "key",
            "inserted": self.place.inserted,
            "asking": asking.value if asking is not None else None,
            "auto": key.presence.hand.auto,
            "aaguid": key.profile.aaguid.hex(),
            "pin": memory.pin is not None,
            "pin_retries": memory.pin_retries,
            "uv_retries": memory.uv_retries,
            "fingers": [each.finger for each in memory.fingers],
            "credentials": [each.rp_id for each in memory.residents],
            "counter": memory.counter,
            "trouble": self._trouble(),
        }

    def _trouble(self) -> str:
        trouble = self.key.trouble
        words = [
            "hangs" if trouble.hangs else "",
            f"{trouble.sleep_ms} ms late" if trouble.sleep_ms else "",
            f"{len(trouble.errors)} errors" if trouble.errors else "",
            "garbage" if trouble.garbage or trouble.wire else "",
            "no uv" if self.key.hidden_flags else "",
        ]
        return ", ".join(word for word in words if word) or "none"

    async def _await(self, limit: str) -> str:
        """Wait until the key blinks; scripts use it instead of sleeping."""
        hand, limit_s = self.key.presence.hand, _milliseconds(limit) / 1000
        if not await asyncio.to_thread(hand.wait_asked, limit_s):
            raise CommandError(f"the key did not ask within {limit} ms")
        return "asked"

    def _touch(self, words: Sequence[str]) -> str:
        return self._give(TOUCH, words)

    def _finger(self, words: Sequence[str]) -> str:
        finger = _number(words[:1], 1, 10)
        return self._give(Gesture(finger, _number(words[1:2], 0, 14, 0)), words[2:])

    def _give(self, gesture: Gesture, words: Sequence[str]) -> str:
        hand = self.key.presence.hand
        asked = hand.asking is not None
        hand.give(gesture, *([_milliseconds(words[0]) / 1000] if words else []))
        return "touched" if asked else "touched, unasked"

    def _auto(self, words: Sequence[str]) -> str:
        hand = self.key.presence.hand
        hand.auto_finger = _number(words[1:2], 0, 10, hand.auto_finger)
        hand.auto = _on(words)
        hand.wake()
        return "by itself" if hand.auto else "by hand"

    def _sleep(self, words: Sequence[str]) -> str:
        self.key.trouble.sleep_ms = _milliseconds(words[0] if words else "")
        return self._trouble()

    def _hang(self, _: Sequence[str]) -> str:
        self.key.trouble.hang()
        return self._trouble()

    def _resume(self, _: Sequence[str]) -> str:
        self.key.trouble.resume()
        self.key.hidden_flags = 0
        return self._trouble()

    def _error(self, words: Sequence[str]) -> str:
        try:
            status = int(words[0], 16)
        except (ValueError, IndexError):
            raise CommandError("expected a status, 0x01 to 0xff") from None
        if not 0 < status < 256:
            raise CommandError("expected a status, 0x01 to 0xff")
        self.key.trouble.errors.extend([status] * _number(words[1:2], 1, 1_000, 1))
        return self._trouble()

    def _garbage(self, words: Sequence[str]) -> str:
        trouble = self.key.trouble
        if words and words[0].upper() == "WIRE":
            trouble.wire = _number(words[1:2], 1, 1_000_000, 1)
        else:
            trouble.garbage = _number(words[:1], 1, 1_000_000, 1)
        return self._trouble()

    def _nouv(self, words: Sequence[str]) -> str:
        self.key.hidden_flags = UV if _on(words) else 0
        return self._trouble()

    def _pin(self, words: Sequence[str]) -> str:
        """Set the PIN without the protocol, as somebody did before; or take it away."""
        memory, pin = self.key.memory, words[0] if len(words) == 1 else ""
        if not 4 <= len(pin.encode()) <= 63 and pin.upper() != "OFF":
            raise CommandError("expected a PIN of 4 to 63 bytes, or off")
        off = pin.upper() == "OFF"
        memory.pin, memory.pin_length = None if off else hashlib.sha256(pin.encode()).digest()[:16], len(pin)
        memory.pin_retries = PIN_RETRIES
        return "no pin" if off else "pin set"

    def _learn(self, words: Sequence[str]) -> str:
        """Know a finger without enrolling it, as somebody did before."""
        if not self.key.profile.bio:
            raise CommandError("this key has no sensor")
        finger, fingers = _number(words, 1, 10), self.key.memory.fingers
        if len(fingers) >= self.key.profile.max_fingers or any(each.finger == finger for each in fingers):
            raise CommandError("the sensor knows this finger, or as many as it can")
        fingers.append(Finger(self.key.random(4), finger))
        return f"knows {[each.finger for each in fingers]}"

    def _forget(self, _: Sequence[str]) -> str:
        self.key.memory.fingers.clear()
        self.key.memory.uv_retries = UV_RETRIES
        return "knows no finger"

    def _counter(self, words: Sequence[str]) -> str:
        self.key.memory.counter = _number(words, 0, 0xFFFFFFFF)
        return f"counter {self.key.memory.counter}"

    def _clone(self, words: Sequence[str]) -> str:
        """Write the key's memory to a file: `--state` of another process makes it a clone."""
        if len(words) != 1:
            raise CommandError("expected a file")
        _write(Path(words[0]), self.key.memory.pack())
        return "cloned"


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _on(words: Sequence[str]) -> bool:
    word = words[0].upper() if words else ""
    if word not in ("ON", "OFF"):
        raise CommandError("expected on or off")
    return word == "ON"


def _number(words: Sequence[str], least: int, most: int, default: int | None = None) -> int:
    """Read one bounded number. Raises `CommandError`."""
    if not words and default is not None:
        return default
    word = words[0] if len(words) == 1 else ""
    if not (word.isascii() and word.isdigit() and len(word) <= 10 and least <= int(word) <= most):
        raise CommandError(f"expected a number from {least} to {most}")
    return int(word)


def _milliseconds(word: str) -> int:
    return _number([word], 0, MOST_MS)
