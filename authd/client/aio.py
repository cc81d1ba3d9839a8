"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from authd.client import values
from authd.client.administration import AdministrationCalls
from authd.client.asking import TOUCH_WAIT, read
from authd.client.carryout import CarryoutCalls
from authd.client.certificates import CertificateCalls
from authd.client.channel import SILENCE, BackOff, Caller, passing
from authd.client.credentials import CredentialCalls
from authd.client.desktop import DesktopCalls
from authd.client.flags import FlagCalls
from authd.client.link import Gone, dialler
from authd.client.presence import Cache
from authd.client.procedures import ProcedureCalls
from authd.client.questions import Questions, now
from authd.client.screen import ScreenCalls
from authd.client.sign_on import SignOnCalls
from authd.client.supervision import SupervisionCalls
from authd.client.tokens import TokenCalls
from authd.client.unattributed import UnattributedCalls
from authd.client.values import ClientError, DoorError, Event, Frame, Person, Presence, StepUp
from authd.client.verify import verify
from authd.client.views import ViewCalls


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


class Client(
    ScreenCalls,
    AdministrationCalls,
    CertificateCalls,
    TokenCalls,
    ViewCalls,
    FlagCalls,
    CarryoutCalls,
    ProcedureCalls,
    SignOnCalls,
    SupervisionCalls,
    DesktopCalls,
    UnattributedCalls,
    CredentialCalls,
):
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

    async def who(self, seat: str, *, fresh: bool = False) -> Person | None:
        """Return who is at the seat, or None: nobody, or authd has not been heard for 2 s.

        Usually answered from memory, which every lock and event corrects as it happens; fresh: by authd itself, which
        knows of a touch some milliseconds before its event is here. Raises `DoorError` where the seat is none of this
        application's.
        """
        if not fresh and self._cache.knows(seat, now()):
            return self._cache.get(seat)
        left = self._cache.left(now())
        if left == 0:
            return None
        limit = self._timeout if left is None else min(left, self._timeout)
        try:
            raw, turn = await self._questions.ask("who", limit, {"seat": seat}, patient=False)
        except Gone:
            return None
        return self._cache.put(seat, read(raw, Presence).somebody(), turn)

    async def changes(self, seat: str) -> AsyncGenerator[Person | None, None]:
        """Yield who is at the seat, at once and whenever it changes; a lock shows within milliseconds."""
        first, last = True, None
        while True:
            happened = self._questions.happened
            if last is not None and self._cache.over(last.session):
                last = None  # a lock said so: whoever may be there by now is asked for after that has been told
                yield None
            person = await self.who(seat)
            if first or person != last:
                first, last = False, person
                yield person
            left = self._cache.left(now())
            with suppress(TimeoutError):
                async with asyncio.timeout(SILENCE / 4 if left is None else min(SILENCE / 4, left + 0.01)):
                    await happened.wait()

    async def follow(self, after: int | None = None, *, until: int | None = None) -> AsyncGenerator[Event, None]:
        """Yield every event after number `after` (None: from now on) once, in order, its signature checked.

        until: end behind this number (`head`: what there is now); None: go on for ever. Reconnects by itself and goes
        on behind the last event it yielded. Raises `SignatureError`, and `DoorError` where this peer may not follow
        (any more).
        """
        place = _Place(after, until)
        back_off = BackOff()
        while not place.reached:
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

    async def step_up(
        self,
        session: str,
        purpose: str,
        timeout: float = TOUCH_WAIT,  # noqa: ASYNC109 - the person's time, not a cancellation
        *,
        acr_values: Sequence[str] = (),
        max_age: int | None = None,
    ) -> StepUp:
        """Ask the session's owner for a fresh touch and wait for the outcome; the terms are those of RFC 9470.

        acr_values: `authd:one` or `authd:two`, what is good enough; by default the rules say. max_age: seconds within
        which an earlier touch is good enough, and the answer comes at once.
        """
        terms = {"acr_values": list(acr_values) or None, "max_age": max_age}
        return await self._ask(StepUp, "step_up", timeout, session=session, purpose=purpose, **terms)

    async def ping(self) -> None:
        """Return once the daemon has answered."""
        await self._ask(Frame, "ping")

    async def head(self) -> int:
        """Return the number of the ledger's last row: `follow(after=head)` tells of everything that comes after now.

        Raises `DoorError` (`not_permitted`) for screens, which follow nothing.
        """
        head = (await self._ask(Frame, "ping")).head
        if head is None:
            raise DoorError("not_permitted", "a screen follows no ledger")
        return head

    async def _events(self, place: _Place) -> AsyncGenerator[Event, None]:
        async with self._stream("follow", {"after": place.at}) as frames:
            async for frame, _ in frames:
                raw = bytes(frame.event)
                if not raw:
                    place.advance(frame.after if frame.after is not None else frame.beat)
                    if place.reached:
                        return
                    continue
                host = self._caller.host
                verify(raw, host.event_key, host.audience)
                event = values.event(raw)
                if place.advance(event.seq) and event.seq <= (place.until or event.seq):
                    yield event
                if place.reached:
                    return


class _Place:
    """How far a follower has come."""

    def __init__(self, at: int | None, until: int | None = None) -> None:
        self.at = at
        self.until = until

    @property
    def reached(self) -> bool:
        """Whether it is to go no further."""
        return self.until is not None and self.at is not None and self.at >= self.until

    def advance(self, to: int | None) -> bool:
        """Move forward, never back; tells whether it moved."""
        if to is None or (self.at is not None and to <= self.at):
            return False
        self.at = to
        return True
