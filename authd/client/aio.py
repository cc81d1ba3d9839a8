"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from authd.client import values
from authd.client.channel import SILENCE, BackOff, Caller, Frames, passing, raise_error, stream
from authd.client.link import Gone, dialler
from authd.client.presence import Cache
from authd.client.questions import Questions, now
from authd.client.values import (
    ClientError,
    DoorError,
    EnrolStep,
    Event,
    Frame,
    OpenTicket,
    Person,
    Presence,
    Shown,
    Staff,
    Status,
    Stay,
    StepUp,
    decode,
)
from authd.client.verify import verify

STEP_UP_WAIT = 60.0
"""Seconds a person has to answer a step-up, at most; the seat's own limit is shorter."""

T = TypeVar("T")


def connect(
    address: str,
    *,
    key: str | Path | None = None,
    server_key: str | Path | None = None,
    event_key: bytes | None = None,
    timeout: float = SILENCE,
) -> Client:
    """Return a client of the door at `address`, to be used with `async with`.

    address: `unix:<path>` (the local socket), `ipc://<path>` or `tcp://<host>:<port>` (the router, with CURVE).
    key, server_key: this peer's secret key and the door's public one, z85, or files of authd's that hold them.
    event_key: public key (32 bytes) that must have signed the events; by default the one that the door first tells.
    timeout: seconds after which a question that nobody answers raises `Gone`.
    """
    return Client(Caller(dialler(address, key, server_key), event_key), timeout)


class Client:
    """One application's, seat screen's or administrator's view of one host.

    It connects, and connects again, by itself. Questions raise `Gone` when nobody answers within the timeout, and
    `DoorError` when the door refuses; `who` and `changes` say None (nobody) instead.
    """

    def __init__(self, caller: Caller, timeout: float) -> None:
        self._caller = caller
        self._timeout = timeout
        self._cache = Cache()
        self._questions = Questions(caller, self._cache)
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._keeper = self._group.create_task(self._questions.keep_connected())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._keeper.cancel()
        # What the body raised leaves as it is: the task group would wrap it. It must see a cancellation of its own.
        own = kind is not None and issubclass(kind, asyncio.CancelledError)
        try:
            await self._group.__aexit__(kind if own else None, error if own else None, traceback if own else None)
        finally:
            self._caller.close()

    # Who is there.

    async def who(self, seat: str) -> Person | None:
        """Return who is at the seat, or None: nobody, or authd has not been heard for 2 s.

        Usually answered from memory, which every lock and event corrects as it happens. Raises `DoorError` where the
        seat is none of this application's.
        """
        if self._cache.knows(seat, now()):
            return self._cache.get(seat)
        left = self._cache.left(now())
        if left == 0:
            return None
        limit = self._timeout if left is None else min(left, self._timeout)
        try:
            raw, turn = await self._questions.ask("who", limit, {"seat": seat}, patient=False)
        except Gone:
            return None
        return self._cache.put(seat, _read(raw, Presence).somebody(), turn)

    async def changes(self, seat: str) -> AsyncGenerator[Person | None, None]:
        """Yield who is at the seat, at once and whenever it changes; a lock shows within milliseconds."""
        first, last = True, None
        while True:
            happened = self._questions.happened
            person = await self.who(seat)
            if first or person != last:
                first, last = False, person
                yield person
            left = self._cache.left(now())
            with suppress(TimeoutError):
                async with asyncio.timeout(SILENCE / 4 if left is None else min(SILENCE / 4, left + 0.01)):
                    await happened.wait()

    async def follow(self, after: int | None = None) -> AsyncGenerator[Event, None]:
        """Yield every event after number `after` (None: from now on) once, in order, its signature checked.

        Reconnects by itself and goes on behind the last event it yielded. Raises `SignatureError`, and `DoorError`
        where this peer may not follow (any more).
        """
        place = _Place(after)
        back_off = BackOff()
        while True:
            try:
                async with aclosing(self._events(place)) as events:
                    async for event in events:
                        back_off.reset()
                        yield event
            except ClientError as error:
                if not passing(error):
                    raise
            await back_off.sleep()

    async def exchange(self, ticket: str) -> Person:
        """Spend the ticket a browser brought; returns whose session, at which seat, opened the application.

        Raises `DoorError` (`not_found`, `expired`): show the page that says to start from the seat's screen.
        """
        person = (await self._ask(Presence, "exchange", ticket=ticket)).somebody()
        if person is None:
            raise DoorError("not_found")
        return person

    async def step_up(self, session: str, purpose: str, timeout: float = STEP_UP_WAIT) -> StepUp:  # noqa: ASYNC109 - the person's time, not a cancellation
        """Ask the session's owner for a fresh touch and wait for the outcome."""
        return await self._ask(StepUp, "step_up", timeout, session=session, purpose=purpose)

    # The seat's own screen.

    async def watch(self, seat: str) -> AsyncGenerator[Shown | None, None]:
        """Yield what the seat's screen is to show, now and at each change; None: authd is silent, show the lock."""
        back_off = BackOff()
        while True:
            try:
                async with self._stream("watch", {"seat": seat}) as frames:
                    async for _, raw in frames:
                        back_off.reset()
                        if (shown := values.shown(raw)) is not None:
                            yield shown
            except ClientError as error:
                if not passing(error):
                    raise
            yield None
            await back_off.sleep()

    async def activity(self, seat: str) -> None:
        """Report that keyboard or mouse was used at the seat; at most once a second is useful."""
        await self._ask(Frame, "activity", seat=seat)

    async def press(self, seat: str, button: Literal["lock", "logout"]) -> None:
        """Press one of the screen's buttons."""
        await self._ask(Frame, "press", seat=seat, button=button)

    async def ticket(self, seat: str, application: str) -> OpenTicket:
        """Open one of the seat's applications for the session that is active there."""
        return await self._ask(OpenTicket, "ticket", seat=seat, application=application)

    # Administration, on the local socket.

    async def history(self, seat: str, start: str, end: str) -> list[Stay]:
        """Return who was at the seat between two RFC 3339 times (with their offset from UTC)."""
        return await self._collect(Stay, "history", {"seat": seat, "from": start, "to": end})

    async def people(self) -> list[Staff]:
        """Return everyone ever enrolled, the disabled too."""
        return await self._collect(Staff, "people", {})

    async def enrol(
        self,
        seat: str,
        *,
        staff_number: str,
        finger: str,
        name: str = "",
        kana: str = "",
        section: str = "",
        officer: bool = False,
        found: bool = False,
        more: Sequence[str] = (),
        add: bool = False,
    ) -> AsyncGenerator[EnrolStep, None]:
        """Enrol a finger of somebody (and `more`) at the seat's reader; `add`: of one who is enrolled already.

        Yields what is asked for next. Closing the iterator abandons it.
        """
        person = {"staff_number": staff_number, "name": name, "kana": kana, "section": section, "officer": officer}
        fields = {"seat": seat, **person, "finger": finger, "more": list(more), "found": found, "add": add}
        async with self._stream("enrol", fields) as frames:
            async for frame, _ in frames:
                if bytes(frame.item):
                    yield decode(frame.item, EnrolStep)

    async def disable(self, subject: str, seat: str, timeout: float = STEP_UP_WAIT) -> None:  # noqa: ASYNC109 - the officer's time, not a cancellation
        """Disable a person; an officer confirms with a touch at the seat."""
        await self._ask(Frame, "disable", timeout, subject=subject, seat=seat)

    async def status(self) -> dict[str, object]:
        """Return what the daemon says of itself."""
        return (await self._ask(Status, "status")).status

    async def stop(self) -> None:
        """Ask the daemon to end."""
        await self._ask(Frame, "stop")

    async def ping(self) -> None:
        """Return once the daemon has answered."""
        await self._ask(Frame, "ping")

    async def _ask(self, answer: type[T], verb: str, limit: float | None = None, **fields: object) -> T:
        raw, _ = await self._questions.ask(verb, limit or self._timeout, fields)
        return _read(raw, answer)

    async def _collect(self, item: type[T], verb: str, fields: dict[str, object]) -> list[T]:
        async with self._stream(verb, fields) as frames:
            return [decode(frame.item, item) async for frame, _ in frames]

    async def _events(self, place: _Place) -> AsyncGenerator[Event, None]:
        async with self._stream("follow", {"after": place.at}) as frames:
            async for frame, _ in frames:
                raw = bytes(frame.event)
                if not raw:
                    place.advance(frame.after if frame.after is not None else frame.beat)
                    continue
                host = self._caller.host
                verify(raw, host.event_key, host.audience)
                event = values.event(raw)
                if place.advance(event.seq):
                    yield event

    @asynccontextmanager
    async def _stream(self, verb: str, fields: Mapping[str, object]) -> AsyncGenerator[Frames, None]:
        async with self._caller.connected() as channel, aclosing(stream(channel, verb, fields)) as frames:
            yield frames


class _Place:
    """How far a follower has come."""

    def __init__(self, at: int | None) -> None:
        self.at = at

    def advance(self, to: int | None) -> bool:
        """Move forward, never back; tells whether it moved."""
        if to is None or (self.at is not None and to <= self.at):
            return False
        self.at = to
        return True


def _read(raw: bytes, answer: type[T]) -> T:
    raise_error(decode(raw, Frame))
    return decode(raw, answer)
