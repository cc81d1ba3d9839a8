"""What passes at the reader during an enrolment: one person's touches, finger by finger, until three fit together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authd.core.host import Finger
from authd.core.model import Entry, Hint, Kind, Miss, Nonce, ReaderId, SeatId, SessionId, SubjectId, Value
from authd.core.pipeline import Pipeline
from authd.core.ports import SUSPECT, Given, Hinted, Sample
from authd.service.anchored import Anchored
from authd.service.bus.house import EnrolStep, Error, Refused
from authd.service.pdp import Pdp
from authd.service.seal import WrappedKey
from authd.service.store import Store
from authd.service.verifier import ChildVerifier, NoTemplate, Resembling, Sealed

if TYPE_CHECKING:
    from authd.service.key_sitting import Enrolling

SAMPLES: Final = 3
MOST_TRIES: Final = 8
TOUCH_WITHIN_S: Final = 60.0
LOOK_S: Final = 0.5
"""How soon an enrolment ends when the officer has gone."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What an enrolment works with."""

    pipeline: Pipeline
    anchored: Anchored
    pdp: Pdp
    store: Store
    verifier: ChildVerifier
    modality: Callable[[ReaderId], str]
    """Modality of a reader's samples."""
    readers: Enrolling | None = None
    """Those that enrol by themselves."""
    most_keys: int = 2
    """Keys that one person may have, and cards."""


@dataclass(frozen=True, slots=True)
class Officer:
    """Whose touch allowed it."""

    subject: SubjectId
    session: SessionId


class Sitting:
    """One person's touches at one seat, until three of each finger fit together. `key`: None for a new person."""

    def __init__(
        self,
        desk: Desk,
        seat: SeatId,
        officer: Officer | None,
        touches: asyncio.Queue[Finger],
        key: WrappedKey | None,
    ) -> None:
        self._desk, self._seat, self._officer, self._touches = desk, seat, officer, touches
        self._samples: list[Sample] = []
        self._earlier: list[Sample] = []
        """Of the fingers before, in this sitting."""
        self._finger = ""
        self.sealed = Sealed([key] if key is not None else [], ())

    async def collect(self, subject: SubjectId, finger: str) -> AsyncGenerator[EnrolStep, None]:
        """Ask for touches of one finger, and seal what they make. Raises `Refused` where it does not come to that."""
        self._earlier += self._samples
        self._samples, self._finger = [], finger
        for _ in range(MOST_TRIES):
            nonce = self._desk.pipeline.ports.random.nonce()
            # Before the person is asked: they may be quick. Calm: no key or card beside the reader is meant.
            self._desk.pipeline.ports.readers.arm(self._seat, nonce, calm=True)
            yield self._step("touch")
            heard = await self._next(nonce)
            if isinstance(heard, Hinted):
                yield self._step("hint", heard.hint)
                continue
            if heard.given is not Given.PROBE:  # of a key or card beside the reader: the nonce went with it
                continue
            if heard.pad is not None and heard.pad < SUSPECT:
                self._refuse_attack()
                yield self._step("hint", Hint.REMOVE_AND_RETRY)
                continue
            self._samples.append(heard)
            if len(self._samples) < SAMPLES:
                continue
            try:
                made = await self._seal(subject, finger)
            except NoTemplate as none:
                del self._samples[0]  # the three do not fit together: the oldest goes
                yield self._step("hint", none.hint)
            else:
                self.sealed = Sealed(made.keys, [*self.sealed.templates, *made.templates])
                return
        raise Refused(Error.REFUSED, "too many unusable touches; try another finger")

    def _refuse_attack(self) -> None:
        ports = self._desk.pipeline.ports
        why: dict[str, Value] = {"why": Miss.ATTACK.value}
        ports.ledger.write(Entry(Kind.ATTEMPT_REFUSED, self._seat, at=ports.clock.now(), data=why))

    def _step(self, name: str, hint: Hint | None = None) -> EnrolStep:
        return EnrolStep(name, len(self._samples) / SAMPLES, hint, finger=self._finger)

    async def _seal(self, subject: SubjectId, finger: str) -> Sealed:
        key = next(iter(self.sealed.keys), None)
        return await self._desk.verifier.enrol(subject, self._modality(), finger, _probes(self._samples), key)

    async def known(self) -> Resembling:
        """Whom of everybody enrolled this finger resembles, by any of its samples."""
        return await self._desk.verifier.known(self._modality(), _probes(self._samples), _probes(self._earlier))

    def _modality(self) -> str:
        return self._desk.modality(self._samples[0].reader)

    async def _next(self, nonce: Nonce) -> Sample | Hinted:
        """Wait for a good sample, or a hint."""
        try:
            async with asyncio.timeout(TOUCH_WITHIN_S):
                while True:
                    heard = await self._heard()
                    self.still_there()
                    if isinstance(heard, Hinted) or (isinstance(heard, Sample) and heard.nonce == nonce):
                        return heard
        except TimeoutError:
            raise Refused(Error.EXPIRED, "no touch within a minute") from None

    async def _heard(self) -> Finger | None:
        """What a finger does next; None after a moment, to look whether the officer is still there."""
        try:
            async with asyncio.timeout(LOOK_S):
                return await self._touches.get()
        except TimeoutError:
            return None

    def still_there(self) -> None:
        """Raise `Refused` once the officer's session has ended."""
        officer_is_there(self._desk, self._seat, self._officer)


def officer_is_there(desk: Desk, seat: SeatId, officer: Officer | None) -> None:
    """Raise `Refused` once the session of the officer who allowed it has ended."""
    owner = desk.pipeline.seats[seat].owner
    if officer is not None and (owner is None or owner.id != officer.session):
        raise Refused(Error.REFUSED, "the officer's session has ended")


def _probes(samples: Sequence[Sample]) -> Sequence[bytes]:
    return [sample.probe for sample in samples]
