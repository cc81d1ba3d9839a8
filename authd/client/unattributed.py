"""Questions of whoever compares a wired system's connections, or its log, with the sessions here."""

from __future__ import annotations

from typing import Literal

import msgspec

from authd.client.asking import Asking
from authd.client.waiting import Waiting

Source = Literal["postgresql", "weblog"]
Why = Literal["shared", "nobody", "before", "elsewhere", "session"]
How = Literal["cut", "gone", "past"]


class OpenFinding(msgspec.Struct, frozen=True):
    """A finding that is not over."""

    found: int
    why: Why
    account: str
    address: str
    place: str = ""


class Terms(msgspec.Struct, frozen=True):
    """What the policy says to whoever compares; `pattern`: what the system calls a person."""

    end: bool
    grace_s: float
    pattern: str = ""
    open: list[OpenFinding] = []


class Span(msgspec.Struct, frozen=True):
    """One session at one of the system's seats; times are RFC 3339, `end` None while it is active."""

    session: str
    subject: str
    seat: str
    account: str
    start: str
    end: str | None = None


class Found(msgspec.Struct, frozen=True):
    """The row's number, by which its end is told; `end`: whether the policy ends it."""

    found: int
    end: bool


class _Row(msgspec.Struct, frozen=True):
    seq: int


class UnattributedCalls(Asking):
    """Part of `Client`. `system`: which one; an application compares itself and leaves it out."""

    async def unattributed_look(self, source: Source, *, system: str | None = None, seen: int = 0) -> Terms:
        """Say that the system is compared now; returns what the policy says."""
        return await self._ask(Terms, "unattributed_look", None, source=source, seen=seen, **_of(system))

    async def unattributed_sessions(self, start: str, end: str, *, system: str | None = None) -> list[Span]:
        """Return every session of the system's seats that touched the interval (at most 31 days)."""
        return await self._collect(Span, "unattributed_sessions", {"from": start, "to": end, **_of(system)})

    async def unattributed_found(
        self,
        source: Source,
        why: Why,
        *,
        account: str,
        address: str,
        since: str,
        place: str = "",
        count: int = 1,
        system: str | None = None,
    ) -> Found:
        """Record an access that belongs to no session, once; the same one again is the same row."""
        said: dict[str, object] = {"why": why, "account": account, "address": address, "place": place}
        return await self._ask(
            Found, "unattributed_found", None, source=source, since=since, count=count, **said, **_of(system)
        )

    async def unattributed_ended(self, found: int, how: How, *, count: int = 1, system: str | None = None) -> int:
        """Record that it is there no more; returns the row's number."""
        return (await self._ask(_Row, "unattributed_ended", None, found=found, how=how, count=count, **_of(system))).seq


class SyncUnattributedCalls(Waiting):
    """Part of `SyncClient`."""

    def unattributed_look(self, source: Source, *, system: str | None = None, seen: int = 0) -> Terms:
        """See `Client.unattributed_look`."""
        return self._wait(self._client.unattributed_look(source, system=system, seen=seen))

    def unattributed_sessions(self, start: str, end: str, *, system: str | None = None) -> list[Span]:
        """See `Client.unattributed_sessions`."""
        return self._wait(self._client.unattributed_sessions(start, end, system=system))

    def unattributed_found(
        self,
        source: Source,
        why: Why,
        *,
        account: str,
        address: str,
        since: str,
        place: str = "",
        count: int = 1,
        system: str | None = None,
    ) -> Found:
        """See `Client.unattributed_found`."""
        return self._wait(
            self._client.unattributed_found(
                source, why, account=account, address=address, since=since, place=place, count=count, system=system
            )
        )

    def unattributed_ended(self, found: int, how: How, *, count: int = 1, system: str | None = None) -> int:
        """See `Client.unattributed_ended`."""
        return self._wait(self._client.unattributed_ended(found, how, count=count, system=system))


def _of(system: str | None) -> dict[str, object]:
    return {} if system is None else {"system": system}
