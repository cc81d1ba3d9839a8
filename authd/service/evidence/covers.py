"""Whether something would cover each seat's desktop: its agent attends with beats, and its silence closes the seat.

A session ends in authd's own state first, and covering the screen is presentation. But where nothing would cover what
the owner leaves on the screen, nobody may sit, nor sit down: `on_cover_failure` of the seat says so (`end-session`), or
says that it is only recorded (`record`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from authd.core import seat as machine
from authd.core.model import MILLISECOND, SECOND, Entry, Grade, Instant, Kind, SeatId, Value
from authd.service.evidence.ground import Ground, Part

SILENT: Final = 700 * MILLISECOND
"""Without a word of the agent for so long, nothing would cover the desktop. It speaks every 0.2 s."""
BETWEEN_ROWS: Final = SECOND
"""Of one seat; what is lost more often is counted in the next row."""


class Cover(StrEnum):
    """What the agent says of the desktop."""

    OPEN = "open"
    """Nothing covers it, and its agent is there."""
    COVERED = "covered"
    FAILED = "failed"
    """It should be covered, and is not, or not so that nothing can be typed behind it."""


class Loss(StrEnum):
    """Why a cover was lost."""

    DIED = "died"
    HUNG = "hung"
    REFUSED = "refused"
    """The screen could not be taken: another program holds keyboard or mouse, or there is no protocol for it."""
    SILENT = "silent"
    """Of the agent itself; only said by us."""


@dataclass(frozen=True, slots=True)
class _Desktop:
    ends: bool
    """Whether the session ends where the cover fails."""
    heard_at: Instant | None = None
    """None: nobody attends."""
    cover: Cover = Cover.OPEN
    row_at: Instant | None = None
    unwritten: int = 0

    @property
    def fails(self) -> bool:
        """Whether nobody may sit here."""
        return self.ends and (self.heard_at is None or self.cover is Cover.FAILED)


class Covers(Part):
    """The desktops of the seats that are configured to have one."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        seats = ground.config.seats.values()
        self._desktops = {each.id: _Desktop(each.on_cover_failure != "record") for each in seats if each.desktop}
        self._changed = asyncio.Event()

    def jobs(self) -> Sequence[Coroutine[Any, Any, None]]:
        """The watch over the agents."""
        return (self._watch(),) if self._desktops else ()

    def state(self) -> Mapping[str, object]:
        """What `authd status` shows."""
        return {
            seat: {"attended": each.heard_at is not None, "cover": each.cover.value}
            for seat, each in self._desktops.items()
        }

    def known(self, seat: SeatId) -> bool:
        """Whether the seat is configured to have a desktop."""
        return seat in self._desktops

    def attend(self, seat: SeatId, cover: Cover, lost: Loss | None = None) -> machine.Seat:
        """Hear the seat's agent; returns what the seat is doing. `lost`: what has happened since it last spoke."""
        before = self._desktops[seat]
        self._desktops[seat] = replace(before, heard_at=self.ground.clock.now(), cover=cover)
        if before.heard_at is None:
            self._changed.set()
        session = self._session(seat)
        self._follow(seat)
        if lost is not None:
            self._record(seat, lost, session)
        return self.ground.pipeline.seats[seat]

    async def _watch(self) -> None:
        await self.ground.pipeline.ready.wait()
        for seat in self._desktops:
            self._follow(seat)
        while True:
            self._changed.clear()
            await self.ground.clock.sleep_until(self._let_time_pass(), self._changed)

    def _let_time_pass(self) -> Instant | None:
        """Close every seat whose agent is silent; returns when to look again."""
        now, dues = self.ground.clock.now(), list[Instant]()
        for seat, each in list(self._desktops.items()):
            if each.heard_at is None:
                continue
            due = Instant(each.heard_at + SILENT)
            if now < due:
                dues.append(due)
            else:
                self._leave(seat)
        return min(dues, default=None)

    def _leave(self, seat: SeatId) -> None:
        """First the lock, then its row."""
        self._desktops[seat] = replace(self._desktops[seat], heard_at=None)
        session = self._session(seat)
        self._follow(seat)
        self._record(seat, Loss.SILENT, session)

    def _follow(self, seat: SeatId) -> None:
        """The seat is closed while its desktop fails: whatever is open or under way there ends with that word."""
        fails = self._desktops[seat].fails
        if fails != self.ground.pipeline.seats[seat].left:
            self.ground.pipeline.feed(seat, machine.Unattended() if fails else machine.Attended())

    def _record(self, seat: SeatId, why: Loss, session: Mapping[str, Any]) -> None:
        desktop, now = self._desktops[seat], self.ground.clock.now()
        if desktop.row_at is not None and now < desktop.row_at + BETWEEN_ROWS:
            self._desktops[seat] = replace(desktop, unwritten=desktop.unwritten + 1)
            return
        data: dict[str, Value] = {"why": why.value, "cover": desktop.cover.value, "unwritten": desktop.unwritten}
        entry = Entry(Kind.COVER_LOST, seat, at=now, grade=Grade.DEVICE, data=data, **session)
        self._desktops[seat] = replace(desktop, row_at=now, unwritten=0)
        self.ground.pipeline.write(entry)

    def _session(self, seat: SeatId) -> Mapping[str, Any]:
        """Whose screen it is now."""
        owner = self.ground.pipeline.seats[seat].owner
        if owner is None:
            return {"epoch": self.ground.pipeline.seats[seat].epoch}
        return {"epoch": owner.epoch, "subject": owner.subject, "session": owner.id}
