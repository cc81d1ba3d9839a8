"""Asking for the person behind a login; the same words with and without `await`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Literal

import msgspec

from authd.client.asking import Asking
from authd.client.values import DoorError, decode
from authd.client.waiting import Waiting

Outcome = Literal["yes", "other", "nobody", "late", "refused", "ended", "no_account", "unavailable", "withdrawn"]


class SignOn(msgspec.Struct, frozen=True):
    """What became of it; the rest is there where `outcome` is `yes`, and good for as long as that session is."""

    outcome: Outcome
    account: str = ""
    session: str = ""
    subject: str = ""


class _Item(msgspec.Struct, frozen=True):
    outcome: str = ""
    say: str = ""


class _Withdrawn(msgspec.Struct, frozen=True):
    withdrawn: int


class SignOnCalls(Asking):
    """Part of `Client`."""

    async def authenticate(
        self,
        seat: str | None = None,
        *,
        application: str | None = None,
        user: str | None = None,
        service: str = "",
        login: bool = False,
        present: bool = False,
        within: int = 30,
        max_age: int | None = None,
        acr: str | None = None,
        say: Callable[[str], None] = lambda message: None,
    ) -> SignOn:
        """Ask who is at the seat for a fresh touch, and what the application calls them.

        application: whose accounts these are, where the caller is no application itself; user: only this account will
        do; login: wait, within so many seconds, for whoever logs in at a seat that is locked; present: answer what is
        known now and ask nobody; max_age: seconds that an earlier touch may be old. `say` is given the id of each
        thing that the seat says meanwhile. Cancelled: nobody is charged. Raises `DoorError`, `Gone`.
        """
        wanted: dict[str, object] = {
            "seat": seat,
            "application": application,
            "user": user,
            "service": service,
            "login": login,
            "present": present,
            "within": within,
            "max_age": max_age,
            "acr": acr,
        }
        async with self._stream("authenticate", wanted) as frames, aclosing(frames):
            async for frame, _ in frames:
                item = decode(frame.item, _Item) if frame.item else _Item()
                if item.outcome:
                    return decode(frame.item, SignOn)
                if item.say:
                    say(item.say)
        raise DoorError("fault", "the door said no outcome")

    async def withdraw(self, seat: str | None = None) -> int:
        """Give up what this account or key asks for at the seat; returns how many there were. Raises `DoorError`."""
        return (await self._ask(_Withdrawn, "withdraw", seat=seat)).withdrawn


class SyncSignOnCalls(Waiting):
    """Part of `SyncClient`."""

    def authenticate(
        self,
        seat: str | None = None,
        *,
        application: str | None = None,
        user: str | None = None,
        service: str = "",
        login: bool = False,
        present: bool = False,
        within: int = 30,
        max_age: int | None = None,
        acr: str | None = None,
        say: Callable[[str], None] = lambda message: None,
    ) -> SignOn:
        """As `Client.authenticate`; `say` is called by the client's own thread."""
        asked = self._client.authenticate(
            seat,
            application=application,
            user=user,
            service=service,
            login=login,
            present=present,
            within=within,
            max_age=max_age,
            acr=acr,
            say=say,
        )
        return self._wait(asked)

    def withdraw(self, seat: str | None = None) -> int:
        """As `Client.withdraw`."""
        return self._wait(self._client.withdraw(seat))
