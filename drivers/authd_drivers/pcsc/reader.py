"""The reader of cards: follows what lies in it, and makes one `Attempt` at each card that an operation is for.

What the person does is the act: typing the PIN where the reader asks for one, else putting the card in. So without a
PIN each stay answers once, and a card that lay there before says nothing: a lock with the card left in stays a lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from authd.driver import (
    Ask,
    Capture,
    Confirm,
    DriverError,
    Enroll,
    Event,
    Fault,
    Feedback,
    Hint,
    NoMatch,
    Op,
    Proof,
    State,
    StateChange,
    Watch,
)
from authd_drivers.pcsc.api import EXCLUSIVE, Service, service
from authd_drivers.pcsc.attempt import LAST, Attempt, Wanted, confirm
from authd_drivers.pcsc.watcher import Watcher
from authd_drivers.pcsc.words import scard

OPEN_S = 8.0
"""How long opening waits for pcscd and the reader."""
BEFORE_NS = 2_000_000_000
"""A card that was put in so shortly before a capture is put in for it: captures follow one another."""
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """What `[reader.*]` says; see docs/how-to/cards.md."""

    reader: str
    """The beginning of the names of its readers; empty: all."""
    tap: bool
    """Whether cards are tapped and taken away, so that no session ends with their stay."""
    pin: bool
    """Whether a PIN is asked for, and 9A signs."""
    socket: str

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Settings:
        """Read the reader's table. Raises `DriverError`."""
        tap, pin = texts.get("tap", "no"), texts.get("pin", "no")
        if tap not in ("yes", "no") or pin not in ("9a", "no"):
            raise DriverError(Fault.NOT_PERMITTED, 'tap = "yes" or "no" and pin = "9a" or "no" are expected')
        return cls(texts.get("reader", ""), tap == "yes", pin == "9a", texts.get("socket", ""))


@dataclass(slots=True)
class _Open:
    """What there is between `open` and `close`."""

    service: Service
    watcher: Watcher
    told: list[str] = field(default_factory=list[str])
    """Stays that were said to be in, by their names."""
    spent: set[str] = field(default_factory=set[str])
    """Stays that have answered, or whose card is not for us."""


class CardReader:
    """The cards in all readers whose names begin with the setting `reader`."""

    def __init__(
        self, settings: Mapping[str, str], find: Callable[[str], Service] = service, open_s: float = OPEN_S
    ) -> None:
        self._texts, self._find, self._open_s = settings, find, open_s
        self._open: _Open | None = None

    async def open(self) -> None:
        """Follow the readers; waits a while for pcscd. Raises `DriverError`."""
        await self.close()
        self._settings = Settings.parse(self._texts)
        found = self._find(self._settings.socket)
        self._open = _Open(found, Watcher(found, self._settings.reader, looks=not self._settings.tap))
        self._open.watcher.start()
        try:
            async with asyncio.timeout(self._open_s):
                while not self._ready(self._open.watcher):
                    await _pause(self._open.watcher)
        except TimeoutError:
            trouble = _why_not(self._open.watcher, self._settings.reader)
            await self.close()
            raise trouble from None

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        """Carry out one operation. Raises `DriverError`."""
        now = self._open
        if now is None:
            raise DriverError(Fault.REMOVED, "not open")
        for event in self._begin(now):
            yield event
        if isinstance(op, Confirm):
            yield await self._confirm(now, op)
        elif isinstance(op, Capture | Enroll | Watch):
            work = _Work(self._settings, now, op, ask)
            try:
                async for event in work.events():
                    yield event
            finally:
                await work.end()
        else:
            raise DriverError(Fault.NOT_PERMITTED, f"a card knows no {type(op).__name__}")

    async def close(self) -> None:
        """Release everything; safe to call twice."""
        old, self._open = self._open, None
        if old is not None:
            await old.watcher.close()

    def _ready(self, watcher: Watcher) -> bool:
        """Whether pcscd and a reader are there, nobody has it for themselves, and an insertion can be believed."""
        free = not any(seen.flags & EXCLUSIVE for seen in watcher.seen.values())
        return bool(watcher.seen) and free and (self._settings.pin or watcher.settled)

    def _begin(self, now: _Open) -> list[Event]:
        """Say how things are: what went since the operation before, and what is in."""
        changes, here = _changes(now), [stay.insertion for stay in now.watcher.stays]
        if self._settings.tap:
            return [StateChange(State.NEED_TOUCH)]
        gone = [change for change in changes if change.state is State.CREDENTIAL_REMOVED]
        if not here:
            return [*gone, StateChange(State.CREDENTIAL_REMOVED)]
        return [*gone, *(StateChange(State.CREDENTIAL_INSERTED, name) for name in here)]

    async def _confirm(self, now: _Open, op: Confirm) -> Event:
        for stay in () if self._settings.tap else now.watcher.stays:
            data = await confirm(now.service, stay, op)
            if data is not None:
                return Proof(data, op.nonce, stay.insertion, silent=True)
        return NoMatch(op.nonce)


class _Work:
    """One capture, enrolment or watch."""

    def __init__(self, settings: Settings, now: _Open, op: Capture | Enroll | Watch, ask: Ask) -> None:
        self._settings, self._now, self._op, self._ask = settings, now, op, ask
        self._since = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - BEFORE_NS
        self._attempt: Attempt | None = None
        self._tried = set[str]()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield what happens until one event ends it. Raises `DriverError`."""
        watcher = self._now.watcher
        while True:
            for event in self._said():  # before who went is said: a proof is of a card that was in
                yield event
                if isinstance(event, LAST):
                    return
            for change in _changes(self._now):
                if not self._settings.tap:
                    yield change
            if not watcher.seen:
                raise _why_not(watcher, self._settings.reader)
            if await self._gone():
                yield Feedback(Hint.HOLD_LONGER)
            if self._attempt is None:
                self._begin()
            elif self._attempt.over:
                self._now.spent.add(self._attempt.stay.insertion)
                self._attempt = None
                continue
            await watcher.change()

    async def end(self) -> None:
        """Leave the card alone."""
        old, self._attempt = self._attempt, None
        if old is not None:
            await old.end()

    async def _gone(self) -> bool:
        """Give up a card that is gone; says whether that was in the middle of something."""
        attempt = self._attempt
        if attempt is None or attempt.stay.insertion in self._now.told:
            return False
        await self.end()
        return attempt.visiting

    def _begin(self) -> None:
        """Turn to the next card that this operation is for."""
        if isinstance(self._op, Watch):
            return
        for stay in self._now.watcher.stays:
            wanted = self._wanted(self._op, stay.began)
            if stay.insertion in self._tried or (stay.insertion in self._now.spent and isinstance(self._op, Capture)):
                continue
            if wanted.fresh or wanted.pin:
                self._tried.add(stay.insertion)
                self._attempt = Attempt(self._now.service, stay, wanted, self._ask, self._now.watcher.wake)
                return

    def _wanted(self, op: Capture | Enroll, began: int | None) -> Wanted:
        fresh = isinstance(op, Enroll) or (began is not None and began >= self._since)
        return Wanted(op, self._settings.pin, fresh, bound=not self._settings.tap)

    def _said(self) -> Iterator[Event]:
        attempt = self._attempt
        while attempt is not None and attempt.events:
            event = attempt.events.popleft()
            if isinstance(event, LAST) and not attempt.by_pin:
                self._now.spent.add(attempt.stay.insertion)
            yield event


async def _pause(watcher: Watcher) -> None:
    """Wait for a change, or a little: that a reader has settled is no change of it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_S):
            await watcher.change()


def _changes(now: _Open) -> list[StateChange]:
    """Say who went and who came since this was last called."""
    here = [stay.insertion for stay in now.watcher.stays]
    gone = [StateChange(State.CREDENTIAL_REMOVED, name) for name in now.told if name not in here]
    come = [StateChange(State.CREDENTIAL_INSERTED, name) for name in here if name not in now.told]
    now.told = here
    now.spent.intersection_update(here)
    return [*gone, *come]


def _why_not(watcher: Watcher, prefix: str) -> DriverError:
    if not watcher.serving:
        trouble = watcher.trouble
        if trouble is not None and scard(trouble.code) is Fault.NOT_PERMITTED:
            return DriverError(Fault.NOT_PERMITTED, f"pcscd does not let this user in (polkit): {trouble}")
        return DriverError(Fault.REMOVED, f"pcscd is gone: {trouble}" if trouble else "pcscd is gone")
    if not watcher.seen:
        return DriverError(Fault.REMOVED, f"no reader whose name begins with {prefix!r}" if prefix else "no reader")
    return DriverError(Fault.BUSY, f"another program holds {', '.join(watcher.readers)} for itself alone")
