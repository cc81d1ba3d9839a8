"""The reader: one operation at a time, each with a claim of its own, given back at its end.

What goes wrong inside an operation and can pass is waited out inside it, 0.25 s and doubling, with a new claim each
time: a verification that a suspend has ended, a sensor that does not open, a daemon that was started anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress

from authd.driver import Ask, Delete, Denial, DriverError, Enroll, Event, Fault, Op, State, StateChange, Verify, Watch
from authd_drivers.fprintd import prints
from authd_drivers.fprintd.attempt import LAST, Again, Attempt
from authd_drivers.fprintd.claim import Claim
from authd_drivers.fprintd.link import CallError, Ear, Link
from authd_drivers.fprintd.messages import Finger, Gone, Owner, Sleep
from authd_drivers.fprintd.prints import Print
from authd_drivers.fprintd.results import OK, RETRY

SYSTEM_BUS = "/run/dbus/system_bus_socket"
FIRST_S, LAST_S = 0.25, 32.0
"""Of the back-off. The last is longer than the 30 s after which fprintd ends for want of clients, to start afresh: the
cure of a sensor that it can open no more."""
STEADY_S = 5.0
"""What lasted so long was no failure at the start."""
GONE_S = 15.0
"""How long the daemon may be away before the reader is said to be gone."""


class FprintdReader:
    """One fingerprint sensor, as fprintd serves it."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._bus, self._wanted = settings.get("bus", SYSTEM_BUS), settings.get("device", "")
        self._link: Link | None = None
        self._busy = False

    async def open(self) -> None:
        """Connect, and find fprintd and its sensor. Raises `DriverError`."""
        await self.close()
        self._link = Link(self._bus, self._wanted)
        self._claim = Claim(self._link)
        self._link.awoke = self._awoke
        try:
            await self._link.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Release the sensor and hang up; safe to call twice."""
        link, self._link, self._busy = self._link, None, False
        if link is not None:
            with suppress(DriverError):
                await self._claim.leave()
            await link.close()

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        """Carry out one operation. Raises `DriverError`."""
        del ask
        link = self._link
        if link is None:
            raise DriverError(Fault.REMOVED, "not open")
        if self._busy:
            raise DriverError(Fault.BUSY, "one operation at a time")
        self._busy = True
        try:
            async with aclosing(self._events(link, op)) as events:
                async for event in events:
                    yield event
        except CallError as error:
            fault = error.result if isinstance(error.result, Fault) else Fault.CRASHED
            raise DriverError(fault, error.name) from None
        finally:
            self._busy = False
            if link is self._link:
                with suppress(DriverError):
                    await self._claim.leave()

    def _events(self, link: Link, op: Op) -> AsyncGenerator[Event, None]:
        match op:
            case Watch():
                return self._watch(link)
            case Verify():
                return self._tries(link, Attempt(link, op, prints.read_reference(op.reference)))
            case Enroll():
                which = Print(prints.account_named(op.account), prints.finger_named(op.finger))
                return self._tries(link, Attempt(link, op, which))
            case Delete():
                return self._delete(link, prints.read_reference(op.reference))
            case _:
                raise DriverError(Fault.NOT_PERMITTED, f"fprintd knows no {type(op).__name__}")

    async def _watch(self, link: Link) -> AsyncGenerator[Event, None]:
        """Say how the finger is, without a claim: other programs may use the sensor."""
        link.listen(Ear("Watch"))
        present = False
        with suppress(CallError):
            present = bool(link.device) and (await link.about()).present
        yield StateChange(State.FINGER_DOWN if present else State.NEED_TOUCH)
        while True:
            said = await link.hear()
            if isinstance(said, Gone):
                raise DriverError(Fault.REMOVED, "the sensor is gone")
            if isinstance(said, Owner) and said.owner:  # it ends for want of clients, and the next call starts it
                await link.find()
            if isinstance(said, Finger) and said.present is not None:
                yield StateChange(State.FINGER_DOWN if said.present else State.FINGER_UP)

    async def _tries(self, link: Link, attempt: Attempt) -> AsyncGenerator[Event, None]:
        """Try until there is an answer, more and more slowly as long as each try fails at its start."""
        delay = FIRST_S
        while True:
            begun = time.clock_gettime(time.CLOCK_BOOTTIME)
            with suppress(Again):
                async with aclosing(self._try(link, attempt)) as events:
                    async for event in events:
                        yield event
                        if isinstance(event, LAST):
                            return
            with suppress(DriverError):
                await self._claim.leave()
            if time.clock_gettime(time.CLOCK_BOOTTIME) - begun > STEADY_S:
                delay = FIRST_S
            await self._stay_away(link, delay)
            delay = min(2 * delay, LAST_S)

    async def _try(self, link: Link, attempt: Attempt) -> AsyncGenerator[Event, None]:
        """Try once. Raises `Again` where it may go better later, `DriverError`, `CallError`."""
        try:
            await self._ready(link)
            await self._claim.have(attempt.print.account)
            async with aclosing(attempt.events()) as events:
                async for event in events:
                    yield event
        except CallError as error:
            if isinstance(error.result, Denial):
                yield attempt.denied(error.result)
                return
            if error.result == RETRY:
                if error.name.endswith(".ClaimDevice"):
                    self._claim.lost()
                raise Again from None
            raise

    async def _delete(self, link: Link, which: Print) -> AsyncGenerator[Event, None]:
        await self._ready(link)
        await self._claim.have(which.account)
        try:
            if which.finger:
                await link.ask("DeleteEnrolledFinger", which.finger)
            else:
                await link.ask("DeleteEnrolledFingers2")
        except CallError as error:
            if error.result not in (OK, Denial.UNKNOWN):  # what was not there is deleted
                raise
        return
        yield  # a generator without events

    async def _ready(self, link: Link) -> None:
        """Wait until the machine is awake and fprintd there. Raises `DriverError` if it stays away."""
        link.listen(Ear("Ready"))
        while link.asleep:
            await link.hear()
        end = time.clock_gettime(time.CLOCK_BOOTTIME) + GONE_S
        while not link.device:
            self._claim.lost()
            try:
                await link.find()
            except DriverError as error:
                late = time.clock_gettime(time.CLOCK_BOOTTIME) > end
                if link.owner or late or error.fault is not Fault.REMOVED:
                    raise
                await link.hear(FIRST_S)

    async def _stay_away(self, link: Link, delay: float) -> None:
        """Wait, but no longer than until fprintd comes back or the machine wakes up; if it is long, off the bus."""
        if delay >= STEADY_S and not self._claim.account:
            await link.close()
            await asyncio.sleep(delay)
            await link.open()
            return
        link.listen(Ear("Away"))
        end = time.clock_gettime(time.CLOCK_BOOTTIME) + delay
        while (left := end - time.clock_gettime(time.CLOCK_BOOTTIME)) > 0:
            said = await link.hear(left)
            if (isinstance(said, Owner) and said.owner) or said == Sleep(begins=False):
                return

    def _awoke(self) -> None:
        """Give back what was kept while the machine slept, if nobody wants it now."""
        if not self._busy:
            with suppress(DriverError):
                self._claim.let_go()
