"""One operation of a key's reader, from its first word to its answer: who is asked for what, and how often.

A key is asked once for each act of a person: software never sends a PIN twice, and a key that said no without anybody's
act (it is blocked, it is of no use here) is left alone until it is put in again.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeVar

from fido2.ctap import CtapError

from authd.driver import (
    Ask,
    Capture,
    Confirm,
    Denial,
    Denied,
    DriverError,
    Enroll,
    Enrolled,
    Event,
    Fault,
    Feedback,
    Hint,
    Prompt,
    PromptId,
    Proof,
    State,
    StateChange,
)
from authd_drivers.fido2 import dialogue, status
from authd_drivers.fido2.ctap import Ctap, one_error
from authd_drivers.fido2.dialogue import MAX_PIN_BYTES, Blink, Key
from authd_drivers.fido2.errand import Answered, Errand, Gone, Say, Stop
from authd_drivers.fido2.office import Office
from authd_drivers.fido2.plug import Plug

PAUSE_SECONDS: Final = 0.2
"""Before a key is asked again that had no better answer."""
MOST_RETRIES: Final = 20
T = TypeVar("T")


@dataclass(slots=True)
class Port:
    """What outlives one operation."""

    plug: Plug
    office: Office
    stays: bool = True
    """Keys are left in the reader; else they are tapped, and no stay is told of."""
    useless: str | None = None
    """The stay of a key that is not asked again: it said no without anybody's act, or is to be put in again first."""
    stranger: str | None = None
    """The stay of a key that only an enrolment asks again: it said no to a login, without anybody's act."""


class Exchange:
    """One operation."""

    def __init__(self, port: Port, ask: Ask) -> None:
        self._port, self._plug, self._ask = port, port.plug, ask
        self._blink = Blink()
        self._told: str | None = ""
        """The stay that was last told of; empty: nothing yet."""
        self._wrong = False
        self._no_sensor = False
        self._acted = False
        """Somebody typed, or the key blinked for a touch, since it was last asked anew."""
        self._retries = 0
        self._late = False
        """Nobody came, and it was said: the key goes on blinking, and nobody is told each half minute."""

    async def watch(self) -> AsyncGenerator[Event, None]:
        """Say what comes and goes."""
        stay = await self._plug.look()
        while True:
            for change in self._changes(stay):
                yield change
            stay = await self._plug.after(stay)

    async def until_answered(self, op: Capture | Enroll) -> AsyncGenerator[Event, None]:
        """Wait for a key, and ask it until there is an answer."""
        yield StateChange(State.NEED_TOUCH)
        while True:
            stay = await self._plug.look()
            for change in self._changes(stay):
                yield change
            if stay is None or self._left_alone(stay, op):
                await self._plug.after(stay)
                continue
            async with aclosing(self._attempt(op, stay)) as events:
                async for event in events:
                    if isinstance(event, Enrolled):
                        self._port.stranger = None
                    yield event
                    if isinstance(event, Proof | Enrolled | Denied):
                        return

    async def confirm(self, op: Confirm) -> AsyncGenerator[Event, None]:
        """Ask the key that is in, and nobody else."""
        stay = await self._plug.look()
        for change in self._changes(stay):
            yield change
        try:
            if stay is None:
                raise Gone
            work = self._with_key(lambda ctap, _: dialogue.confirm(ctap, self._port.office, op.nonce, op.credential))
            yield Proof(await _quietly(work), op.nonce, self._name(stay), silent=True)
        except Gone:
            yield Denied(Denial.UNKNOWN, op.nonce)
        except CtapError as error:
            outcome = status.outcome(int(error.code))
            if isinstance(outcome, Fault):
                raise DriverError(outcome, status.name(int(error.code))) from None
            yield Denied(outcome if isinstance(outcome, Denial) else Denial.UNVERIFIED, op.nonce)

    def _left_alone(self, stay: str, op: Capture | Enroll) -> bool:
        return stay == self._port.useless or (stay == self._port.stranger and isinstance(op, Capture))

    def _changes(self, stay: str | None) -> list[StateChange]:
        before, self._told = self._told, stay
        if before == stay or not self._port.stays:
            return []
        gone = [StateChange(State.CREDENTIAL_REMOVED, before)] if before else []
        here = [StateChange(State.CREDENTIAL_INSERTED, stay)] if stay else []
        return [*gone, *here] or [StateChange(State.CREDENTIAL_REMOVED)]

    def _name(self, stay: str) -> str:
        return stay if self._port.stays else ""

    async def _attempt(self, op: Capture | Enroll, stay: str) -> AsyncGenerator[Event, None]:
        """Ask the key once. Ends without an answer where it is to be asked anew."""
        self._acted, key = False, None
        try:
            key = await _quietly(self._with_key(lambda ctap, _: dialogue.survey(ctap)))
            way = self._way(key, op)
            if isinstance(way, Denial | Hint):
                yield self._deny(way, op, stay) if isinstance(way, Denial) else self._put_aside(way, stay)
                return
            pin = None
            if way is not None:
                pin = await self._typed(Prompt(way, key.left, self._wrong), stay)
                if pin is None:
                    return
                self._wrong, self._acted = False, True
                if not key.shortest <= len(pin) or len(pin.encode()) > MAX_PIN_BYTES:
                    yield Feedback(Hint.PIN_INVALID)
                    return
            async with aclosing(self._act(op, pin, stay, new=way is PromptId.NEW_PIN)) as events:
                async for event in events:
                    yield event
        except Gone as gone:
            if gone.hint is not None:
                yield Feedback(gone.hint)
            await self._pause(Fault.REMOVED, "the key comes and goes")
        except CtapError as error:
            for event in await self._turned_down(int(error.code), key, op, stay):
                yield event

    async def _act(self, op: Capture | Enroll, pin: str | None, stay: str, *, new: bool) -> AsyncGenerator[Event, None]:
        """Let the key do it; the last event is its answer. Raises what the key says instead."""
        errand = Errand(self._with_key(self._command(op, pin, new=new)))
        async with aclosing(errand.events()) as events:
            async for event in events:
                if isinstance(event, Answered):
                    yield self._answer(op, event.data, stay)
                    return
                self._acted = True  # it blinked
                yield event
        _ = errand.result  # there was no answer: this raises why

    def _way(self, key: Key, op: Capture | Enroll) -> PromptId | Denial | Hint | None:
        """Return what is to be typed, nothing where the key's own sensor verifies, or why it is of no use (now)."""
        if key.sensor and not self._no_sensor:
            return None
        if not key.pin:
            new = isinstance(op, Enroll) and key.can_pin
            return PromptId.NEW_PIN if new else Denial.UNVERIFIED
        if key.left == 0:
            return Denial.BLOCKED
        return Hint.REMOVE_AND_RETRY if key.replug else PromptId.PIN

    def _command(self, op: Capture | Enroll, pin: str | None, *, new: bool) -> Callable[[Ctap, Say], None]:
        office, blink = self._port.office, self._blink

        def command(ctap: Ctap, say: Say) -> None:
            if isinstance(op, Capture):
                say(Answered(dialogue.sign(ctap, office, op.nonce, pin, blink.of(say))))
                return
            if new and pin is not None:
                dialogue.set_pin(ctap, pin)
                ctap = Ctap(ctap.device)  # now it says that it has one
            say(Answered(dialogue.make(ctap, office, op, pin, blink.of(say))))

        return command

    def _answer(self, op: Capture | Enroll, data: bytes, stay: str) -> Proof | Enrolled:
        if isinstance(op, Capture):
            return Proof(data, op.nonce, self._name(stay))
        return Enrolled(data, op.nonce)

    async def _turned_down(self, code: int, key: Key | None, op: Capture | Enroll, stay: str) -> list[Event]:
        """Return what is said of the key's no. Raises `DriverError` where it is its trouble."""
        outcome = status.outcome(code)
        if code == CtapError.ERR.UV_BLOCKED and key is not None and key.pin and not self._no_sensor:
            self._no_sensor = True  # its sensor has given up; the PIN, typed by the person, sets that right
            return []
        if isinstance(outcome, Denial):
            return [self._deny(outcome, op, stay)]
        if isinstance(outcome, Fault) and outcome is not Fault.BUSY:  # busy: with what was cancelled, or with another's
            raise DriverError(outcome, status.name(code))
        self._wrong = outcome is Hint.PIN_WRONG
        if outcome is Hint.REMOVE_AND_RETRY:
            return [self._put_aside(outcome, stay)]
        if isinstance(outcome, Hint) and self._acted:
            self._retries = 0
        await self._pause(Fault.BUSY, status.name(code))
        silent, self._late = self._late and outcome is Hint.TOO_SLOW, outcome is Hint.TOO_SLOW
        return [Feedback(outcome)] if isinstance(outcome, Hint) and not silent else []

    async def _pause(self, fault: Fault, detail: str) -> None:
        """Wait before the key is asked anew; give up where it is asked in vain and nobody does anything."""
        self._retries += 1
        if self._retries > MOST_RETRIES:
            raise DriverError(fault, detail)
        await asyncio.sleep(PAUSE_SECONDS)

    def _put_aside(self, hint: Hint, stay: str) -> Feedback:
        """Nothing helps before the key is put in again."""
        self._port.useless = stay
        return Feedback(hint)

    def _deny(self, why: Denial, op: Capture | Enroll, stay: str) -> Denied:
        if why is Denial.BLOCKED or (isinstance(op, Enroll) and not self._acted):
            self._port.useless = stay
        elif not self._acted:
            self._port.stranger = stay
        return Denied(why, op.nonce)

    async def _typed(self, prompt: Prompt, stay: str) -> str | None:
        """Return what the person typed, None if the key was pulled out instead."""

        async def ask() -> str:
            return await self._ask(prompt)

        try:
            async with asyncio.TaskGroup() as group:
                typed, pulled = group.create_task(ask()), group.create_task(self._plug.after(stay))
                await asyncio.wait({typed, pulled}, return_when=asyncio.FIRST_COMPLETED)
                typed.cancel()
                pulled.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        if typed.cancelled() or not pulled.cancelled():
            return None
        return unicodedata.normalize("NFC", typed.result())

    def _with_key(self, command: Callable[[Ctap, Say], T]) -> Callable[[Stop, Say], T]:
        def work(stop: Stop, say: Say) -> T:
            with one_error(), self._plug.connect(stop) as device:
                return command(Ctap(device), say)

        return work


async def _quietly(work: Callable[[Stop, Say], T]) -> T:
    errand = Errand(work)
    async with aclosing(errand.events()) as events:
        async for _ in events:
            pass
    return errand.result
