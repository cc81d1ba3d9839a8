"""An enrolment of a key, a card or a finger that a service keeps: one operation of the seat's reader, and its proof."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Final, Protocol

from authd.core.model import Denial, Entry, Kind, Nonce, Prompt, ReaderId, SeatId, SubjectId, Value
from authd.core.ports import Unavailable
from authd.driver import Delete, Denied, Enroll, Enrolled, Event, Feedback, NoMatch, Progress, State, StateChange
from authd.service.anchored import Held
from authd.service.bus.house import EnrolStep, Error, Means, Refused
from authd.service.seal import WrappedKey
from authd.service.sitting import Desk, Officer, officer_is_there
from authd.service.verifier import NotAdmittedError, Sealed

WITHIN_S: Final = 120.0
BACK_WITHIN_S: Final = 5.0
"""A key that is put in takes its reader away for a moment: the node is new, and only a new child may open it."""
LOOK_S: Final = 0.1
MODALITIES: Final[Mapping[Means, str]] = {Means.KEY: "fido2", Means.CARD: "card", Means.FINGERPRINT: "fprintd"}
_STATES: Final[Mapping[State, str]] = {
    State.CREDENTIAL_REMOVED: "insert",
    State.NEED_TOUCH: "key_touch",
    State.PROCESSING: "working",
}


class Enrolling(Protocol):
    """The readers, as far as enrolments of what they make themselves go."""

    def enrolling(self, seat: SeatId, modality: str) -> Sequence[ReaderId]:
        """Return the seat's readers of that modality that can enrol, those that are up first."""
        ...

    def carry_out(
        self, seat: SeatId, reader: ReaderId, op: Enroll | Delete
    ) -> AsyncGenerator[Event | Prompt | None, None]:
        """Have a reader enrol or forget something; None: nothing for half a second. Raises `Unavailable`."""
        ...

    def is_up(self, reader: ReaderId) -> bool:
        """Whether this reader can be used now."""
        ...

    def answer(self, seat: SeatId, reader: ReaderId, typed: str) -> None:
        """Hand on what was typed."""
        ...


class KeySitting:
    """One person, one key. `key`: the person's own sealing key, None for a new person; `held`: what they have."""

    def __init__(
        self, desk: Desk, seat: SeatId, officer: Officer | None, key: WrappedKey | None, held: Sequence[Held]
    ) -> None:
        assert desk.readers is not None
        self._desk, self._readers, self._seat, self._officer = desk, desk.readers, seat, officer
        self._key, self._held = key, held
        self.asking: ReaderId | None = None
        """The reader that waits for something typed."""
        self.sealed = Sealed([], ())

    async def collect(self, subject: SubjectId, means: Means, finger: str) -> AsyncGenerator[EnrolStep, None]:
        """Have the reader make it, and seal it. Raises `Refused` where it does not come to that."""
        modality, label = MODALITIES[means], self._label(means, finger)
        reader = next(iter(self._readers.enrolling(self._seat, modality)), None)
        if reader is None:
            raise Refused(Error.NOT_FOUND, f"no reader of this seat enrols a {means.value}")
        nonce = self._desk.pipeline.ports.random.nonce()
        kept_by_it = means is Means.FINGERPRINT
        op = Enroll(nonce, subject, finger if kept_by_it else "", await self._exclude(modality))
        made: Enrolled | None = None
        yield EnrolStep(means.value)
        async with aclosing(self._said(reader, op)) as said:
            async for event in said:
                if isinstance(event, Denied | NoMatch):
                    raise self._refusal(subject, Denial.DUPLICATE if isinstance(event, NoMatch) else event.why)
                if isinstance(event, Enrolled):
                    made = event
                elif (step := self._step(event, reader)) is not None:
                    yield step
        if made is None:
            raise Refused(Error.REFUSED, "the reader has made nothing; try again")
        await self._seal(subject, modality, label, made, nonce)

    def answer(self, typed: str) -> bool:
        """Hand on what was typed; False: nothing asks for it."""
        reader, self.asking = self.asking, None
        if reader is not None:
            self._readers.answer(self._seat, reader, typed)
        return reader is not None

    def _label(self, means: Means, finger: str) -> str:
        """A name that none of theirs ever had: `key-1`, or the finger."""
        if means is Means.FINGERPRINT:
            return finger
        return f"{means.value}-{sum(each.modality == MODALITIES[means] for each in self._held) + 1}"

    async def _exclude(self, modality: str) -> tuple[bytes, ...]:
        theirs = [each.reference for each in self._held if each.modality == modality and not each.revoked]
        described = [await self._desk.verifier.describe(modality, reference) for reference in theirs]
        return tuple(each.credential for each in described if each.credential)

    async def _said(self, reader: ReaderId, op: Enroll) -> AsyncGenerator[Event | Prompt, None]:
        """What the reader says, for as long as the officer is there and the time is not over."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    try:
                        async with aclosing(self._readers.carry_out(self._seat, reader, op)) as said:
                            async for event in said:
                                officer_is_there(self._desk, self._seat, self._officer)
                                if event is not None:
                                    yield event
                        return
                    except Unavailable as gone:
                        await self._back(reader, gone)
        except TimeoutError:
            raise Refused(Error.EXPIRED, "nothing came of it within two minutes") from None

    async def _back(self, reader: ReaderId, gone: Unavailable) -> None:
        """Wait for a reader that went away in the middle. Raises `Refused`."""
        for _ in range(round(BACK_WITHIN_S / LOOK_S)):
            await asyncio.sleep(LOOK_S)
            officer_is_there(self._desk, self._seat, self._officer)
            if self._readers.is_up(reader):
                return
        raise Refused(Error.REFUSED, f"the reader has gone: {gone}")

    def _step(self, event: Event | Prompt, reader: ReaderId) -> EnrolStep | None:
        match event:
            case Prompt(id_, left, again):
                self.asking = reader
                return EnrolStep(id_.value, left=left, again=again)
            case StateChange(state) if state in _STATES:
                return EnrolStep(_STATES[state])
            case Feedback(hint):
                return EnrolStep("hint", hint=hint)
            case Progress(done):
                return EnrolStep("working", min(max(done, 0.0), 1.0))
            case _:
                return None

    async def _seal(self, subject: SubjectId, modality: str, label: str, made: Enrolled, nonce: Nonce) -> None:
        try:
            self.sealed = await self._desk.verifier.admit(subject, modality, label, made.data, nonce, self._key)
        except NotAdmittedError as bad:
            raise self._refusal(subject, bad.why) from None

    def _refusal(self, subject: SubjectId, why: Denial) -> Refused:
        ports = self._desk.pipeline.ports
        data: dict[str, Value] = {"why": why.value, "enrolling": True}
        ports.ledger.write(Entry(Kind.ATTEMPT_REFUSED, self._seat, subject=subject, at=ports.clock.now(), data=data))
        return Refused(Error.REFUSED, f"{why.value}: {WHY[why]}")


WHY: Final[Mapping[Denial, str]] = {
    Denial.UNKNOWN: "nothing on it that this office could use",
    Denial.REVOKED: "it was revoked",
    Denial.CLONED: "its signature counter went back: there is a copy of it",
    Denial.FOREIGN: "it was made for another office",
    Denial.UNVERIFIED: "it did not verify who touched it; a key with a PIN or a fingerprint is needed",
    Denial.ABSENT: "nobody touched it",
    Denial.REPLAYED: "it answered another question than was asked",
    Denial.SIGNATURE: "its signature does not verify",
    Denial.NOT_ALLOWED: "this model is not on the office's list, or does not prove which model it is",
    Denial.SYNCED: "it can be copied to other devices, which this office does not take",
    Denial.BLOCKED: "it has locked itself after wrong PINs",
    Denial.DUPLICATE: "it is enrolled already",
}
"""Why it is not taken, for logs; a terminal has the words of `authd/locale` for the first one."""
