"""What logins ask for at the seats now: at most one waits for a touch at each, and each can be given up."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from authd.core.model import SeatId
from authd.service.bus.house import Error, Refused


@dataclass(slots=True, eq=False)
class Ask:
    """Whose it is, and how long it waits."""

    peer: str
    seat: SeatId
    login: bool
    patience: asyncio.Timeout
    withdrawn: bool = False


@dataclass(slots=True)
class Asks:
    """All of them. A touch at a locked seat is the answer to one login only."""

    _open: list[Ask] = field(default_factory=list[Ask])

    @contextmanager
    def open(self, ask: Ask) -> Generator[None, None, None]:
        """Count this one while the context lasts. Raises `Refused`."""
        if ask.login and any(each.login and each.seat == ask.seat for each in self._open):
            raise Refused(Error.BUSY, "another login waits for a touch at this seat")
        self._open.append(ask)
        try:
            yield
        finally:
            self._open.remove(ask)

    def withdraw(self, peer: str, seat: SeatId) -> int:
        """Give up this peer's; returns how many there were."""
        mine = [ask for ask in self._open if (ask.peer, ask.seat) == (peer, seat)]
        for ask in mine:
            ask.withdrawn = True
            ask.patience.reschedule(asyncio.get_running_loop().time())
        return len(mine)
