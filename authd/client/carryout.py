"""Questions about carry-out, and the values that come back; the same words with and without `await`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from authd.client.asking import TOUCH_WAIT, Asking
from authd.client.waiting import Waiting

Kind = Literal["export", "print", "file", "usb"]
"""The ways out."""
How = Literal["returned", "erased"]


class Carryout(msgspec.Struct, frozen=True):
    """One request and what became of it. `stage`: requested, granted, used (it is out), closed."""

    carryout: str
    """By this people speak of it; it opens nothing."""
    stage: str
    kind: str
    system: str
    rows: int
    purpose: str
    destination: str
    requester: str
    expires: str
    due: str
    title: str = ""
    approver: str | None = None
    used: str | None = None
    overdue: bool = False
    capability: str = ""
    """Told once, to who asks: by it, it is used."""


@dataclass(frozen=True, slots=True)
class CarryoutOrder:
    """What is asked for. Spans None: what the settings allow at most. `title`: of the one document to be printed."""

    kind: Kind
    rows: int
    purpose: str
    destination: str
    expires_h: float | None = None
    return_days: int | None = None
    title: str = ""


class _Nothing(msgspec.Struct, frozen=True):
    pass


class CarryoutCalls(Asking):
    """Part of `Client`."""

    async def request_carryout(
        self, order: CarryoutOrder, *, session: str | None = None, seat: str | None = None, system: str | None = None
    ) -> Carryout:
        """Ask to carry something out; the person whose session it is, or who sits at the seat, is asked for a touch.

        Keep the `capability` that comes back. Raises `DoorError`: `message` says why not, and what to do.
        """
        fields: dict[str, object] = {name: getattr(order, name) for name in CarryoutOrder.__slots__}
        fields |= {"session": session, "seat": seat, "system": system}
        given = {name: value for name, value in fields.items() if value is not None}
        return await self._ask(Carryout, "carryout_request", TOUCH_WAIT, **given)

    async def approve_carryout(self, carryout: str, *, session: str | None = None, seat: str | None = None) -> Carryout:
        """Allow it; another person than who asked is asked for a touch. Raises `DoorError`."""
        return await self._ask(Carryout, "carryout_approve", TOUCH_WAIT, carryout=carryout, **_who(session, seat))

    async def carryouts(self) -> list[Carryout]:
        """Return what waits, may be used, or is out, the oldest first (administrators)."""
        return await self._collect(Carryout, "carryouts", {})

    async def use_carryout(
        self,
        kind: Kind,
        destination: str,
        *,
        capability: str = "",
        title: str = "",
        rows: int | None = None,
        copies: int = 1,
        session: str | None = None,
        user: str = "",
    ) -> Carryout:
        """Spend a capability: let the data out when this returns, and only then. Raises `DoorError`.

        An application names the person's session and how many rows leave; `user`: who printed, as the print server
        says. Without an answer (`Gone`) nothing may leave, and the capability is spent all the same, or not: ask for
        another one.
        """
        fields: dict[str, object] = {"kind": kind, "destination": destination, "capability": capability}
        fields |= {"title": title, "copies": copies}
        fields |= {} if rows is None else {"rows": rows}
        fields |= {"user": user} if user else {}
        return await self._ask(Carryout, "carryout_use", None, **fields, **_who(session, None))

    async def carryout_exported(self, carryout: str, *, rows: int, canaries: int, file: str, prints: str) -> None:
        """Say what an export was; digests are SHA-256, hex (administrators)."""
        await self._ask(
            _Nothing, "carryout_exported", carryout=carryout, rows=rows, canaries=canaries, file=file, prints=prints
        )

    async def carryout_baseline(self, carryout: str, *, name: str, rows: int, file: str, prints: str) -> None:
        """Say what a data set that was there before is (administrators)."""
        await self._ask(
            _Nothing, "carryout_baseline", carryout=carryout, name=name, rows=rows, file=file, prints=prints
        )

    async def close_carryout(
        self, carryout: str, how: How, *, session: str | None = None, seat: str | None = None
    ) -> Carryout:
        """Say that it came back or was erased; another person than who took it is asked for a touch."""
        return await self._ask(
            Carryout, "carryout_close", TOUCH_WAIT, carryout=carryout, how=how, **_who(session, seat)
        )


class SyncCarryoutCalls(Waiting):
    """Part of `SyncClient`."""

    def request_carryout(
        self, order: CarryoutOrder, *, session: str | None = None, seat: str | None = None, system: str | None = None
    ) -> Carryout:
        """See `Client.request_carryout`."""
        return self._wait(self._client.request_carryout(order, session=session, seat=seat, system=system))

    def approve_carryout(self, carryout: str, *, session: str | None = None, seat: str | None = None) -> Carryout:
        """See `Client.approve_carryout`."""
        return self._wait(self._client.approve_carryout(carryout, session=session, seat=seat))

    def carryouts(self) -> list[Carryout]:
        """See `Client.carryouts`."""
        return self._wait(self._client.carryouts())

    def use_carryout(
        self,
        kind: Kind,
        destination: str,
        *,
        capability: str = "",
        title: str = "",
        rows: int | None = None,
        copies: int = 1,
        session: str | None = None,
        user: str = "",
    ) -> Carryout:
        """See `Client.use_carryout`."""
        return self._wait(
            self._client.use_carryout(
                kind,
                destination,
                capability=capability,
                title=title,
                rows=rows,
                copies=copies,
                session=session,
                user=user,
            )
        )

    def carryout_exported(self, carryout: str, *, rows: int, canaries: int, file: str, prints: str) -> None:
        """See `Client.carryout_exported`."""
        self._wait(self._client.carryout_exported(carryout, rows=rows, canaries=canaries, file=file, prints=prints))

    def carryout_baseline(self, carryout: str, *, name: str, rows: int, file: str, prints: str) -> None:
        """See `Client.carryout_baseline`."""
        self._wait(self._client.carryout_baseline(carryout, name=name, rows=rows, file=file, prints=prints))

    def close_carryout(
        self, carryout: str, how: How, *, session: str | None = None, seat: str | None = None
    ) -> Carryout:
        """See `Client.close_carryout`."""
        return self._wait(self._client.close_carryout(carryout, how, session=session, seat=seat))


def _who(session: str | None, seat: str | None) -> dict[str, object]:
    return {name: value for name, value in (("session", session), ("seat", seat)) if value is not None}
