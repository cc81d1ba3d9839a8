"""Keeps one child alive: starts it, tells its handler what it says, and replaces it when it is gone, with back-off."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, replace
from os import getpid
from typing import Protocol

from authd.core.model import Fault
from authd.service.host.frames import Frame, Message, Opened
from authd.service.host.nodes import granted
from authd.service.host.process import Gone, Plan, Process

FIRST_DELAY = 0.25
LAST_DELAY = 30.0
LAST_DELAY_OF_DEVICE = 2.0
"""A device that says it is removed, suspended or busy is asked again soon: the person stands before it."""
GOOD_SERVICE = 10.0
_DEVICE_FAULTS = frozenset({Fault.REMOVED, Fault.SUSPENDED, Fault.BUSY, Fault.HOT})

log = logging.getLogger("authd.host")


class Handler(Protocol):
    """Who is told what a child says. Called from the event loop, never blocking."""

    def up(self, keeper: Keeper) -> None:
        """The child serves: operations are welcome."""
        ...

    def frame(self, frame: Frame) -> None:
        """The child says something of an operation."""
        ...

    def down(self, fault: Fault, detail: str) -> None:
        """The child is gone, or could not start; another one follows."""
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delay before the next start: doubled with each failure, begun anew after good service. Seconds."""

    delay: float = 0.0

    def after(self, fault: Fault, served: float) -> Backoff:
        """Return the next delay; `served`: for how long the child was up."""
        if served >= GOOD_SERVICE or self.delay == 0.0:
            return Backoff(FIRST_DELAY)
        return Backoff(min(self.delay * 2, LAST_DELAY_OF_DEVICE if fault in _DEVICE_FAULTS else LAST_DELAY))


class Keeper:
    """One supervised child. `run` belongs into the daemon's TaskGroup and ends only when it is cancelled."""

    def __init__(self, plan: Plan, handler: Handler) -> None:
        self.plan, self._handler = plan, handler
        self._process: Process | None = None
        self._nudged = asyncio.Event()
        self._up_since: float | None = None
        self.gone: Counter[Fault] = Counter()
        """How often the child was replaced, by reason."""

    @property
    def pid(self) -> int | None:
        """Process id of the child that runs now."""
        return self._process.pid if self._process else None

    def send(self, op: int, message: Message) -> bool:
        """Send a frame; False while the child is not up."""
        if self._process is None or self._up_since is None:
            return False
        return self._process.channel.send(Frame(op, message))

    async def drained(self) -> None:
        """Wait until what was sent is in the kernel."""
        if self._process is not None:
            await self._process.channel.drained()

    def nudge(self) -> None:
        """Start the next child at once (after a resume, or when something was plugged in)."""
        self._nudged.set()

    def recycle(self, fault: Fault, detail: str) -> None:
        """Give this child up and start another: it answered too late, or what it must not."""
        if self._process is not None and not self._process.gone.done():
            self._process.gone.set_result(Gone(fault, detail))

    async def run(self) -> None:
        """Keep the child alive until cancelled; then end it politely."""
        backoff = Backoff()
        while True:
            gone, served = await self._live()
            backoff = backoff.after(gone.fault, served)
            try:
                async with asyncio.timeout(backoff.delay):
                    await self._nudged.wait()
                    backoff = Backoff()
            except TimeoutError:
                continue

    async def _live(self) -> tuple[Gone, float]:
        loop = asyncio.get_running_loop()
        start = self.plan.start
        plan = replace(self.plan, start=replace(start, parent=getpid(), grants=granted(start.grants)))
        try:
            process = self._process = Process(plan, self._take)
        except OSError as error:  # no descriptor, no process, no memory: as temporary as any other trouble
            return self._tell(Gone(Fault.CRASHED, f"cannot be started: {error.strerror}")), 0.0
        try:
            await process.begin()
            gone = await asyncio.shield(
                process.gone
            )  # to be cancelled is not to be gone: the child is still to be ended
            served = loop.time() - self._up_since if self._up_since is not None else 0.0
            self._up_since = None
            self._tell(gone)
        except asyncio.CancelledError:
            await process.end(politely=True)
            raise
        finally:
            self._process = self._up_since = None
        await process.end()
        return gone, served

    def _take(self, frame: Frame) -> None:
        if isinstance(frame.message, Opened):
            self._up_since = asyncio.get_running_loop().time()
            log.info("%s: up, process %s", self.plan.name, self.pid)
            self._handler.up(self)
        else:
            self._handler.frame(frame)

    def _tell(self, gone: Gone) -> Gone:
        self._nudged.clear()  # a nudge of an earlier day; one from now on counts, though the child is not yet reaped
        self.gone[gone.fault] += 1
        log.warning("%s: %s: %s", self.plan.name, gone.fault.value, gone.detail)
        self._handler.down(gone.fault, gone.detail)
        return gone
