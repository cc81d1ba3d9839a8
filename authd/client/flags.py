"""Questions about protected records, and the values that come back; the same words with and without `await`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from authd.client.asking import TOUCH_WAIT, Asking
from authd.client.channel import BackOff, Frames, passing
from authd.client.values import ClientError, Frame, Person, SignatureError, decode
from authd.client.verify import verify
from authd.client.views import RESIDENT, Receipt, check_receipt
from authd.client.waiting import Waiting

HELD_EVERY_S = 1.0
"""How often a linked system says that it is there; authd takes it for silent after 4 s."""
By = Literal["counter", "phone", "letter"]
FlagChange = Literal["set", "renew", "release"]


class AskedAnswer(msgspec.Struct, frozen=True):
    """One answer of a step, by language."""

    id: str
    words: dict[str, str]


class AskedStep(msgspec.Struct, frozen=True):
    """One step of a checklist: to be asked with none of its answers chosen beforehand."""

    id: str
    words: dict[str, str]
    answers: list[AskedAnswer]


class Asked(msgspec.Struct, frozen=True):
    """The checklist of a masked record."""

    id: str
    version: str
    steps: list[AskedStep]


@dataclass(frozen=True, slots=True)
class Look:
    """What may be shown of a record. The view is recorded, whatever it is."""

    masked: bool
    """Show neither address nor anything that leads to it, but the notice and the checklist."""
    id: str
    """Names this look when it is unmasked; good for ten minutes, in this session."""
    receipt: Receipt
    notice: dict[str, str]
    """By language: to be shown word for word."""
    checklist: Asked | None


class Unmasked(msgspec.Struct, frozen=True):
    """The acknowledgement is durable: show what was masked, to this session, now."""

    seq: int
    session: str
    record: str


@dataclass(frozen=True, slots=True)
class Protection:
    """One record as the registry has it. `mark`: as `flag_match` named the system's own records."""

    version: int
    mark: str
    protected: bool
    until: str
    """Day by which it is to be renewed. It does not lapse by itself."""


class FlagRequested(msgspec.Struct, frozen=True):
    """A request that waits for a second person."""

    request: str
    record: str


class FlagChanged(msgspec.Struct, frozen=True):
    """What became of it; version 0: nothing."""

    change: FlagChange
    record: str
    version: int


class FlagListed(msgspec.Struct, frozen=True):
    """What waits (`waits`), or is protected."""

    waits: bool
    request: str
    change: FlagChange
    record: str
    version: int
    until: str
    case: str
    asked: str
    by: str


class FlagFound(msgspec.Struct, frozen=True):
    """The answer to one look-up, which is a view itself."""

    record: str
    protected: bool
    version: int
    until: str


class Covered(msgspec.Struct, frozen=True):
    """How far one system has come."""

    system: str
    name_ja: str
    name_en: str
    linked: bool
    version: int
    wanted: int
    silent: bool
    silent_s: int | None
    covered: bool


class FlagCalls(Asking):
    """Part of `Client`."""

    async def look(
        self,
        person: Person,
        record: str,
        *,
        screen: str,
        purpose: str = "",
        call: str = "",
        namespace: str = RESIDENT,
        by: By = "counter",
    ) -> Look:
        """Ask before a record is shown. It takes the place of `view`, and is as durable.

        by: how the person comes who wants to know. Raises `DoorError` (its message is the same for every resident),
        `Gone` and `SignatureError`: in each case nothing may be shown.
        """
        nonce = secrets.token_hex(16)
        fields = {"session": person.session, "subject": person.subject, "record": record, "namespace": namespace}
        words = {"screen": screen, "purpose": purpose, "call": call, "by": by, "nonce": nonce, "at": _now()}
        answer = await self._ask(_Look, "look", None, **fields, **words)
        host = self._caller.host
        receipt = check_receipt(bytes(answer.receipt), host.event_key, host.audience)
        if (receipt.session, receipt.nonce) != (person.session, nonce):
            raise SignatureError("the receipt is of another view")
        return Look(answer.answer != "open", answer.look, receipt, answer.notice, answer.checklist)

    async def unmask(
        self,
        look: str,
        *,
        purpose: str,
        shown: str,
        answers: dict[str, str],
        timeout: float = TOUCH_WAIT,  # noqa: ASYNC109 - the person's time, not a cancellation
    ) -> Unmasked:
        """Ask the person for a fresh touch, and return once what was shown to them is durable.

        shown: the notice as it stood on the screen, word for word; it is what the ledger keeps. answers: by step id.
        """
        fields = {"look": look, "purpose": purpose, "shown": shown, "answers": answers}
        return await self._ask(Unmasked, "unmask", timeout, **fields)

    # Linked systems.

    async def flag_match(self, records: Sequence[str], namespace: str = RESIDENT) -> list[str]:
        """Return the marks of a system's own records (at most 200 numbers), to be kept beside them."""
        return (await self._ask(_Marks, "flag_match", records=list(records), namespace=namespace)).marks

    async def hold(self, apply: Callable[[Sequence[Protection]], Awaitable[None]], after: int) -> None:
        """Hold a copy of the protections for as long as this runs, and say so every second.

        apply: makes the changes of one version true, and durable if the copy is to outlive the program; what it raises
        ends this, and the system falls silent. after: the version that the copy has, 0 for an empty one. Raises
        `DoorError`: `not_permitted` where the system is not linked, `refused` where the registry is another one.
        """
        place, failure = _Held(after), None
        async with asyncio.TaskGroup() as group:
            saying = group.create_task(self._say_held(place))
            try:
                await self._follow_flags(place, apply)
            except Exception as error:  # raised below as it is: the group would wrap it
                failure = error
            finally:
                saying.cancel()
        if failure is not None:
            raise failure

    # Administration, on the local socket.

    async def flag_request(
        self,
        seat: str,
        change: FlagChange,
        record: str,
        *,
        namespace: str = RESIDENT,
        also: Sequence[tuple[str, str]] = (),
        until: str | None = None,
        case: str = "",
        timeout: float = TOUCH_WAIT,  # noqa: ASYNC109 - the person's time, not a cancellation
    ) -> FlagRequested:
        """The person at the seat asks for a change, with a touch. also: namespace and number of the same resident."""
        fields = {"seat": seat, "change": change, "record": record, "namespace": namespace}
        more = {"also": [list(each) for each in also], "until": until, "case": case}
        return await self._ask(FlagRequested, "flag_request", timeout, **fields, **more)

    async def flag_approve(
        self,
        request: str,
        seat: str,
        *,
        refuse: bool = False,
        timeout: float = TOUCH_WAIT,  # noqa: ASYNC109 - the person's time, not a cancellation
    ) -> FlagChanged:
        """Another person approves it, or refuses, with a touch at any seat."""
        return await self._ask(FlagChanged, "flag_approve", timeout, request=request, seat=seat, refuse=refuse)

    async def flags(self) -> list[FlagListed]:
        """Return what waits for a second person, then what is protected: by pseudonym."""
        return await self._collect(FlagListed, "flags", {})

    async def flag_ask(self, seat: str, record: str, purpose: str, namespace: str = RESIDENT) -> FlagFound:
        """Look one flag up, with a touch at the seat: recorded as that person's view."""
        fields = {"seat": seat, "record": record, "purpose": purpose, "namespace": namespace}
        return await self._ask(FlagFound, "flag_ask", TOUCH_WAIT, **fields)

    async def flag_coverage(self) -> tuple[int, list[Covered]]:
        """Return the registry's version, and how far each system has come. Seat screens may ask this too."""
        answer = await self._ask(_Coverage, "flag_coverage")
        return answer.version, answer.systems

    async def _say_held(self, place: _Held) -> None:
        """Say it every second, and at once when it is news. What is in the way, the stream finds out too."""
        while True:
            with suppress(ClientError):
                await self._ask(Frame, "flag_held", version=place.version)
            with suppress(TimeoutError):
                async with asyncio.timeout(HELD_EVERY_S):
                    await place.news.wait()
            place.news.clear()

    async def _follow_flags(self, place: _Held, apply: Callable[[Sequence[Protection]], Awaitable[None]]) -> None:
        back_off = BackOff()
        while True:
            try:
                async with self._stream("flag_follow", {"after": place.version}) as frames:
                    await self._apply(frames, place, apply, back_off)
            except ClientError as error:
                if not passing(error):
                    raise
            await back_off.sleep()

    async def _apply(
        self,
        frames: Frames,
        place: _Held,
        apply: Callable[[Sequence[Protection]], Awaitable[None]],
        back_off: BackOff,
    ) -> None:
        together: list[Protection] = []
        async for frame, _ in frames:
            back_off.reset()
            raw = bytes(frame.event)
            if not raw:
                continue
            host = self._caller.host
            verify(raw, host.event_key, host.audience)
            data = decode(raw, _Cloud).data
            detail = data.detail
            together.append(Protection(data.seq, detail.mark, detail.protected, detail.until))
            if detail.last:
                await apply(together)
                place.reached(data.seq)
                together = []


class SyncFlagCalls(Waiting):
    """Part of `SyncClient`."""

    def hold(self, apply: Callable[[Sequence[Protection]], None], after: int) -> None:
        """As `Client.hold`, for as long as this runs; `apply` is called in a thread of its own."""

        async def carry_out(changes: Sequence[Protection]) -> None:
            await asyncio.to_thread(apply, changes)

        self._wait(self._client.hold(carry_out, after))

    def look(
        self,
        person: Person,
        record: str,
        *,
        screen: str,
        purpose: str = "",
        call: str = "",
        namespace: str = RESIDENT,
        by: By = "counter",
    ) -> Look:
        """As `Client.look`."""
        words = {"screen": screen, "purpose": purpose, "call": call, "namespace": namespace}
        return self._wait(self._client.look(person, record, by=by, **words))

    def unmask(
        self, look: str, *, purpose: str, shown: str, answers: dict[str, str], timeout: float = TOUCH_WAIT
    ) -> Unmasked:
        """As `Client.unmask`."""
        asked = self._client.unmask(look, purpose=purpose, shown=shown, answers=answers, timeout=timeout)
        return self._wait(asked)

    def flag_match(self, records: Sequence[str], namespace: str = RESIDENT) -> list[str]:
        """As `Client.flag_match`."""
        return self._wait(self._client.flag_match(records, namespace))

    def flag_request(
        self,
        seat: str,
        change: FlagChange,
        record: str,
        *,
        namespace: str = RESIDENT,
        also: Sequence[tuple[str, str]] = (),
        until: str | None = None,
        case: str = "",
        timeout: float = TOUCH_WAIT,
    ) -> FlagRequested:
        """As `Client.flag_request`."""
        more = {"namespace": namespace, "case": case}
        asked = self._client.flag_request(seat, change, record, also=also, until=until, timeout=timeout, **more)
        return self._wait(asked)

    def flag_approve(
        self, request: str, seat: str, *, refuse: bool = False, timeout: float = TOUCH_WAIT
    ) -> FlagChanged:
        """As `Client.flag_approve`."""
        return self._wait(self._client.flag_approve(request, seat, refuse=refuse, timeout=timeout))

    def flags(self) -> list[FlagListed]:
        """As `Client.flags`."""
        return self._wait(self._client.flags())

    def flag_ask(self, seat: str, record: str, purpose: str, namespace: str = RESIDENT) -> FlagFound:
        """As `Client.flag_ask`."""
        return self._wait(self._client.flag_ask(seat, record, purpose, namespace))

    def flag_coverage(self) -> tuple[int, list[Covered]]:
        """As `Client.flag_coverage`."""
        return self._wait(self._client.flag_coverage())


class _Held:
    """How far a copy has come."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.news = asyncio.Event()

    def reached(self, version: int) -> None:
        self.version = max(self.version, version)
        self.news.set()


def _now() -> str:
    """Wall clock, RFC 3339."""
    now = datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC)
    return now.isoformat(timespec="milliseconds")


class _Look(msgspec.Struct, frozen=True):
    answer: str
    look: str
    receipt: msgspec.Raw
    notice: dict[str, str] = {}
    checklist: Asked | None = None


class _Marks(msgspec.Struct, frozen=True):
    marks: list[str]


class _Coverage(msgspec.Struct, frozen=True):
    version: int
    systems: list[Covered]


class _Detail(msgspec.Struct, frozen=True):
    mark: str
    protected: bool
    until: str
    last: bool


class _Data(msgspec.Struct, frozen=True):
    seq: int
    detail: _Detail


class _Cloud(msgspec.Struct, frozen=True):
    type: Literal["jp.authd.flag.set", "jp.authd.flag.released"]
    data: _Data
