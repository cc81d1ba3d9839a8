"""What is done with one card for one operation: looked at, asked for its PIN where that is wanted, made to sign."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

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
    Identifier,
    Prompt,
    PromptId,
    Proof,
    State,
    StateChange,
    challenge_of,
)
from authd_drivers.pcsc.apdu import Better, Refused
from authd_drivers.pcsc.api import Service
from authd_drivers.pcsc.card import Card, Look, pin_block
from authd_drivers.pcsc.record import (
    PIN_SLOT,
    SILENT_SLOT,
    Credential,
    Number,
    Offered,
    Signed,
    key_id,
    named,
    write_enrolled,
    write_given,
)
from authd_drivers.pcsc.tlv import PublicKey
from authd_drivers.pcsc.visit import visit
from authd_drivers.pcsc.watcher import Stay

T = TypeVar("T")
LAST = (Proof, Identifier, Denied, Enrolled)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one operation wants of a card.

    pin: whether the person is asked for one, if the card has the key for it. fresh: whether putting the card in was an
    act for this operation. bound: whether the session is to end with the stay.
    """

    op: Capture | Enroll
    pin: bool
    fresh: bool
    bound: bool

    @property
    def challenge(self) -> bytes:
        """What is signed."""
        return challenge_of(self.op.nonce)


class Attempt:
    """A task that fills `events`; `wake` is called at each, and at its end. End it with `end`."""

    def __init__(self, service: Service, stay: Stay, wanted: Wanted, ask: Ask, wake: Callable[[], None]) -> None:
        self.stay = stay
        self.events: deque[Event] = deque()
        self.visiting = False
        """Whether the card is being talked to."""
        self.by_pin = False
        """Whether what was said is the answer to a PIN: then the same stay may answer again."""
        self._service, self._wanted, self._ask, self._wake = service, wanted, ask, wake
        # No group: the task is this object's, and `end` waits for it.
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(lambda _: wake())

    @property
    def over(self) -> bool:
        """Whether it is, and all of it was heard. Raises what it ended with, `DriverError` or a mistake."""
        if self.events or not self._task.done():
            return False
        self._task.result()
        return True

    async def end(self) -> None:
        """Cancel it; safe to call twice."""
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # seen: who ends it wants no more of it

    def _say(self, event: Event) -> None:
        self.events.append(event)
        self._wake()

    async def _run(self) -> None:
        op = self._wanted.op
        self._say(StateChange(State.PROCESSING))
        try:
            found, signature = await self._visit(self._first)
            last = await self._answer(found, signature)
        except Better as better:
            self._say(Feedback(better.hint))
        except Refused as refused:
            self._say(Denied(refused.why, op.nonce))
        else:
            self._say(last or StateChange(State.NEED_TOUCH))

    def _first(self, card: Card) -> tuple[Look, bytes | None]:
        """Look at the card and, where nothing is to be typed, have it sign; in one transaction."""
        wanted = self._wanted
        found = card.look(pin=wanted.pin)
        key = found.keys.get(SILENT_SLOT)
        if key is None or not wanted.fresh or (self._asks(found) and isinstance(wanted.op, Capture)):
            return found, None
        return found, card.sign(SILENT_SLOT, key, wanted.challenge)

    def _asks(self, found: Look) -> bool:
        return self._wanted.pin and PIN_SLOT in found.keys

    async def _answer(self, found: Look, silent: bytes | None) -> Event | None:
        """Return what ends the operation; None: this card does not."""
        wanted = self._wanted
        if found.fido or not (wanted.fresh or self._asks(found)):
            return None  # for the FIDO2 driver; or nobody's act
        if found.piv and not found.keys:
            raise Refused(Denial.UNKNOWN)
        self._refuse_twice(found)
        signatures = {} if silent is None else {SILENT_SLOT: silent}
        if self._asks(found):
            signatures[PIN_SLOT] = await self._with_pin(found)
            self.by_pin = True
        if not found.uid and not signatures:
            raise Refused(Denial.UNKNOWN)
        return self._enrolled(found, signatures) if isinstance(wanted.op, Enroll) else self._given(found, signatures)

    def _refuse_twice(self, found: Look) -> None:
        op = self._wanted.op
        if isinstance(op, Enroll):
            ids = Credential({slot: key.spki for slot, key in found.keys.items()}, found.uid).ids
            if ids & {each for name in op.exclude for each in named(name)}:
                raise Refused(Denial.DUPLICATE)

    async def _with_pin(self, found: Look) -> bytes:
        """Ask for the PIN until it is right; each try is one that a person typed. The last one is never used."""
        key, left, again = found.keys[PIN_SLOT], found.left, False
        while left is None or left > 1:
            pin = await self._ask(Prompt(PromptId.PIN, left, again))
            again = True
            try:
                pin_block(pin)
            except Better as better:  # the card has not heard of it
                self._say(Feedback(better.hint))
                continue
            self._say(StateChange(State.PROCESSING))
            signed = await self._verify(pin, key)
            if isinstance(signed, bytes):
                return signed
            left = signed
            self._say(Feedback(Hint.PIN_WRONG))
        raise Refused(Denial.BLOCKED)

    async def _verify(self, pin: str, key: PublicKey) -> bytes | int:
        return await self._visit(lambda card: card.sign_with_pin(pin, key, self._wanted.challenge))

    async def _visit(self, work: Callable[[Card], T]) -> T:
        self.visiting = True
        try:
            result = await visit(self._service, self.stay, work)
        except (Better, Refused):
            self.visiting = False
            raise
        self.visiting = False
        return result

    def _given(self, found: Look, signatures: dict[str, bytes]) -> Event:
        nonce, insertion = self._wanted.op.nonce, self.stay.insertion if self._wanted.bound else ""
        if found.uid:
            return Identifier(write_given(Number(found.uid)), nonce, insertion)
        ((slot, signature),) = signatures.items()
        signed = Signed(self._wanted.challenge, slot, key_id(found.keys[slot].spki), signature)
        return Proof(write_given(signed), nonce, insertion)

    def _enrolled(self, found: Look, signatures: dict[str, bytes]) -> Event:
        keys = {slot: (found.keys[slot].spki, signature) for slot, signature in signatures.items()}
        offered = Number(found.uid) if found.uid else Offered(self._wanted.challenge, keys)
        return Enrolled(write_enrolled(offered), self._wanted.op.nonce)


async def confirm(service: Service, stay: Stay, op: Confirm) -> bytes | None:
    """Have this card sign with 9E, if it is the one; None if it is not, or does not. Nobody is asked for anything."""
    challenge, names = challenge_of(op.nonce), named(op.credential)

    def silently(card: Card) -> bytes | None:
        key = card.find(names)
        if key is None:
            return None
        signed = Signed(challenge, SILENT_SLOT, key_id(key.spki), card.sign(SILENT_SLOT, key, challenge))
        return write_given(signed)

    try:
        return await visit(service, stay, silently)
    except (Better, Refused):
        return None
    except DriverError as error:
        if error.fault in (Fault.BUSY, Fault.TIMEOUT):  # the session ends; the reader serves on
            return None
        raise
