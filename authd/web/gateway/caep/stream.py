"""One stream of security events: what the ledger says, in order, until the receiver has acknowledged it.

The events are the ledger's rows: authd makes each anew whenever it is asked for, with the same `jti`. So nothing is
lost when the queue is full: the stream stops reading, and goes on behind what was acknowledged. A receiver that never
listens costs this host a bounded queue, and no session anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from authd.client import ClientError, DoorError
from authd.client.channel import BackOff
from authd.client.values import Event
from authd.core.model import Kind
from authd.web.gateway.caep.receivers import Receiver
from authd.web.gateway.oidc.keys import payload

MOST: Final = 1_000
SAID: Final = frozenset(10**power for power in range(10))
KINDS: Final = frozenset({Kind.SESSION_STARTED, Kind.SESSION_KEPT, Kind.SESSION_STEPPED_UP, Kind.SESSION_ENDED})
log = logging.getLogger("authd.web.gateway")


class Status(StrEnum):
    """OpenID Shared Signals Framework 1.0, 8.1.2."""

    ENABLED = "enabled"
    PAUSED = "paused"
    DISABLED = "disabled"


@dataclass
class Stream:
    """The events of one receiver that it has not acknowledged: `jti` -> (number of the row before it, token)."""

    receiver: Receiver
    status: Status = Status.ENABLED
    reason: str = ""
    waiting: OrderedDict[str, tuple[int | None, str]] = field(default_factory=OrderedDict[str, tuple[int | None, str]])
    seen: int | None = None
    """Number of the last row that was read; None: nothing is known of what was before."""
    refused: Counter[str] = field(default_factory=Counter[str])
    """Events that the receiver has and does not want, by what it has against them."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.seen = self._read_place()

    # What a receiver does.

    def acknowledge(self, jtis: Iterable[str]) -> None:
        """Forget what the receiver has."""
        for jti in jtis:
            self.waiting.pop(jti, None)
        self._write_place()
        self._wake()

    def refuse(self, errors: Mapping[str, str]) -> None:
        """Forget what the receiver does not want, and say so: the first of a kind, the tenth, the hundredth."""
        for jti, error in errors.items():
            if jti not in self.waiting:
                continue
            self.refused[error] += 1
            if (count := self.refused[error]) in SAID:
                log.error(
                    "%s: does not take our events (%s), %d since the start; look at its issuer, audience and keys",
                    *(self.receiver.id, error, count),
                )
        self.acknowledge(errors)

    def first(self, most: int) -> dict[str, str]:
        """Return the oldest tokens, by `jti`."""
        found: dict[str, str] = {}
        for jti, (_, token) in self.waiting.items():
            if len(found) >= most:
                break
            found[jti] = token
        return found

    def set_status(self, status: Status, reason: str) -> None:
        """Change it. What happens while it is paused waits; while it is disabled, nothing is kept."""
        self.status, self.reason = status, reason
        if status is Status.DISABLED:
            self.waiting.clear()
            self._write_place()
        self._wake()

    async def verify(self, state: str | None) -> None:
        """Put a verification event at the end. Raises `ClientError`."""
        token = await self.receiver.book.client.security_check(state)
        self._put(self.seen, token)

    # What fills it.

    async def follow(self) -> None:
        """Read the ledger for ever."""
        back_off = BackOff()
        while True:
            try:
                async with aclosing(self.receiver.book.client.follow(self.seen)) as events:
                    async for event in events:
                        await self._take(event)
                        self.seen = event.seq
                        back_off.reset()
            except DoorError as error:
                if error.code == "refused":  # another ledger than that of the place
                    log.error("%s: begins anew: %s", self.receiver.id, error.message)
                    self.seen = 0
            except ClientError:
                pass
            await back_off.sleep()

    async def _take(self, event: Event) -> None:
        """Wait for room, and for authd's signature."""
        if event.kind not in KINDS or self.status is Status.DISABLED:
            return
        while len(self.waiting) >= MOST:
            await self.wait()
        try:
            self._put(event.seq - 1, await self.receiver.book.client.security_event(event.seq))
        except DoorError as error:
            if error.code != "not_found":
                raise

    async def wait(self) -> None:
        """Return when something has changed."""
        await self.changed.wait()

    def _put(self, behind: int | None, token: str) -> None:
        if len(self.waiting) < MOST:
            self.waiting[jti(token)] = (behind, token)
        if len(self.waiting) == 1:
            self._write_place()
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    # Where it was.

    def _read_place(self) -> int | None:
        place = self.receiver.place
        if place is None:
            return None
        try:
            return max(0, int(place.read_text("ascii")[:20]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            log.error("%s: its place cannot be read; it begins with what happens now", self.receiver.id)
            return None

    def _write_place(self) -> None:
        """Up to where the receiver has everything: told again from there after a restart, and taken once by `jti`."""
        place = self.receiver.place
        behind = next((before for before, _ in self.waiting.values()), self.seen)
        if place is None or behind is None:
            return
        draft = place.with_name(f"{place.name}.new")
        try:
            draft.write_text(f"{behind}\n", "ascii")
            draft.replace(place)
        except OSError as error:
            log.error("%s: its place cannot be written: %s", self.receiver.id, error.strerror)


def jti(token: str) -> str:
    """Return the name of a token that authd has just made for us."""
    return str(payload(token)["jti"])
