"""What a seat's desktop agent says, with and without `await`."""

from __future__ import annotations

from typing import Literal

import msgspec

from authd.client.asking import Asking
from authd.client.waiting import Waiting
from authd.core.model import SeatState

Cover = Literal["open", "covered", "failed"]
Lost = Literal["died", "hung", "refused"]


class Attended(msgspec.Struct, frozen=True):
    """What the seat is doing. `session`: the one that is open; None: nobody's, and the desktop must be covered."""

    state: SeatState
    session: str | None = None


class DesktopCalls(Asking):
    """Part of `Client`; for the agent of the seat's desktop."""

    async def attend(self, seat: str, cover: Cover, lost: Lost | None = None) -> Attended:
        """Say that the agent is there and whether the desktop is covered; due every 0.2 s, and 0.7 s is silence.

        lost: what became of the cover since it last spoke. Raises `Gone`, and `DoorError` (`refused`) where the seat is
        configured to have no desktop.
        """
        return await self._ask(Attended, "attend", seat=seat, cover=cover, lost=lost)


class SyncDesktopCalls(Waiting):
    """Part of `SyncClient`."""

    def attend(self, seat: str, cover: Cover, lost: Lost | None = None) -> Attended:
        """As `Client.attend`."""
        return self._wait(self._client.attend(seat, cover, lost))
