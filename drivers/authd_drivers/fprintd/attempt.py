"""One verification or enrolment under a claim, from its start to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress

from authd.driver import (
    Claimed,
    Denial,
    Denied,
    DriverError,
    Enroll,
    Enrolled,
    Event,
    Fault,
    Feedback,
    Hint,
    NoMatch,
    Progress,
    State,
    StateChange,
    Verify,
)
from authd_drivers.fprintd import messages, prints
from authd_drivers.fprintd.link import CallError, Ear, Link
from authd_drivers.fprintd.messages import Finger, Gone, Owner, Status
from authd_drivers.fprintd.prints import ANY, FINGERS, Match, Print
from authd_drivers.fprintd.results import ENROLL, GO_ON, NO_MATCH, OK, VERIFY, outcome

LAST = (Claimed, NoMatch, Denied, Enrolled)
STOP_S = 0.17
"""How long the end waits for the service to have stopped; what it says after that is not heard."""


class Again(Exception):
    """It came to nothing, and may go better later."""


class Attempt:
    """What is to be done, as often as it takes. print: whose finger; of a verification, "" is any of theirs."""

    def __init__(self, link: Link, op: Verify | Enroll, which: Print) -> None:
        self.print = which
        self._link, self._op = link, op
        self._kind = "Verify" if isinstance(op, Verify) else "Enroll"
        self._table = VERIFY if isinstance(op, Verify) else ENROLL
        self._fingers: tuple[str, ...] = ()
        self._meant, self._ear = "", Ear(self._kind)
        self._stages = self._passed = 0

    def denied(self, why: Denial) -> Denied:
        """Return the service's no."""
        return Denied(why, self._op.nonce)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Do it once; the sensor is claimed. Raises `Again`, `DriverError`, `CallError`."""
        await self._look()
        self._ear = Ear(self._kind)
        self._link.listen(self._ear)
        try:
            await self._link.reply(self._link.begin(f"{self._kind}Start", self._meant or ANY, then=self._ear.arm))
            yield StateChange(State.NEED_TOUCH)
            event = None
            while not isinstance(event, LAST):
                event = self._event(await self._link.hear())
                if event is not None:
                    yield event
        finally:
            self._link.listen(None)
            with suppress(DriverError, CallError):
                await self._link.reply(self._link.begin(f"{self._kind}Stop"), STOP_S)

    async def _look(self) -> None:
        """Ask which fingers the service keeps; under the claim, so that nobody enrols another before the match."""
        self._fingers, self._meant, self._passed = (), self.print.finger, 0
        enrolling = self._kind == "Enroll"
        try:
            self._fingers = messages.fingers(await self._link.ask("ListEnrolledFingers", self.print.account))
        except CallError as error:
            if not enrolling or error.result is not Denial.UNKNOWN:
                raise
        if enrolling:
            if self.print.finger in self._fingers:  # fprintd would put the new one in its place
                raise CallError("this finger is enrolled", Denial.DUPLICATE)
            self._stages = (await self._link.about()).stages
        elif self.print.finger and self.print.finger not in self._fingers:
            raise CallError("no such finger", Denial.UNKNOWN)
        elif len(self._fingers) == 1:
            self._meant = self._fingers[0]

    def _event(self, said: messages.Said | None) -> Event | None:
        match said:
            case Finger(present=present) if present is not None:
                return StateChange(State.FINGER_DOWN if present else State.FINGER_UP)
            case Gone():
                raise DriverError(Fault.REMOVED, "the sensor is gone")
            case Owner():
                raise Again
            case Status():
                return self._status(said)
            case _:
                return None

    def _status(self, said: Status) -> Event:
        result = outcome(self._table, said.result)
        if isinstance(result, Hint):
            return Feedback(result)
        if isinstance(result, Denial):
            return self.denied(result)
        if isinstance(result, Fault):
            raise DriverError(result, said.result)
        if result == GO_ON:
            self._passed += 1
            return Progress(min(self._passed / self._stages, 1.0))
        if result == NO_MATCH:
            return NoMatch(self._op.nonce)
        if result != OK:
            raise Again
        return self._enrolled(self._op) if isinstance(self._op, Enroll) else self._claimed(self._op)

    def _enrolled(self, op: Enroll) -> Enrolled:
        return Enrolled(prints.enrolled(self.print, op.nonce), op.nonce)

    def _claimed(self, op: Verify) -> Claimed:
        """Return the match. Raises `DriverError` where it is another finger than the one that was asked for."""
        selected = self._ear.selected if self._ear.selected in FINGERS else ""
        if selected and (selected not in self._fingers or self._meant not in ("", selected)):
            raise DriverError(Fault.PROTOCOL, "another finger than the one that was asked for")
        match = Match(Print(self.print.account, self._meant or selected), self._fingers, op.nonce)
        return Claimed(op.reference, op.nonce, prints.claimed(match))
