"""What the pipeline publishes, on its way to whoever listens now. Nothing here waits for anybody."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from authd.core.model import EndReason, Entry, Face, Kind, SeatId, SessionId

log = logging.getLogger("authd.bus")

FACES_AHEAD = 64
"""Faces kept for a screen that is slow to show them; older ones are dropped, the last one never."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A session is over: told ahead of its durable row."""

    session: SessionId
    seat: SeatId
    reason: EndReason


class Outlet:
    """Implements `ports.Publish`: the pipeline speaks, the doors listen."""

    def __init__(self) -> None:
        self._faces: dict[SeatId, Face] = {}
        self._screens: dict[SeatId, set[_Screen]] = {}
        self._listeners: set[Callable[[Lock], None]] = set()

    def event(self, entry: Entry) -> None:
        """Tell the end of a session at once; followers read everything else from the ledger."""
        if entry.kind is not Kind.SESSION_ENDED or entry.session is None or entry.seat is None:
            return
        lock = Lock(entry.session, entry.seat, entry.reason or EndReason.FAULT)
        for listener in tuple(self._listeners):
            try:
                listener(lock)
            except Exception:  # a door's bug must not reach whoever locks
                log.exception("a lock could not be told to one listener")

    def face(self, face: Face) -> None:
        """Show this on the seat's screens, and on any that comes later."""
        self._faces[face.seat] = face
        for screen in self._screens.get(face.seat, ()):
            screen.show(face)

    @contextmanager
    def locks(self, listener: Callable[[Lock], None]) -> Generator[None, None, None]:
        """Call `listener` at every lock, while the context lasts. It must not raise or wait."""
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    async def faces(self, seat: SeatId) -> AsyncIterator[Face]:
        """Yield what the seat's screen shows now, then each change."""
        screen = _Screen()
        if seat in self._faces:
            screen.show(self._faces[seat])
        self._screens.setdefault(seat, set()).add(screen)
        try:
            while True:
                yield await screen.next()
        finally:
            self._screens[seat].discard(screen)


class _Screen:
    def __init__(self) -> None:
        self._faces: deque[Face] = deque(maxlen=FACES_AHEAD)
        self._more = asyncio.Event()

    def show(self, face: Face) -> None:
        self._faces.append(face)
        self._more.set()

    async def next(self) -> Face:
        while not self._faces:
            self._more.clear()
            await self._more.wait()
        return self._faces.popleft()
