"""Refusals of the guard in the ledger: each as a row, and above a rate that no counter reaches, as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authd.core.model import SECOND, Entry, Instant, Kind, Value
from authd.service.clock import BootClock
from authd.service.ledger import Ledger

WINDOW: Final = 10 * SECOND
ROWS: Final = 60
"""Of one application in a window; what is refused beyond them becomes one more row, which counts."""


@dataclass(slots=True)
class _Window:
    until: Instant
    rows: int = 0
    more: int = 0


class Refusals:
    """One window for each application, so that memory and rows are bounded."""

    def __init__(self, ledger: Ledger, clock: BootClock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self.count = 0

    async def note(self, system: str, entry: Entry) -> None:
        """Record a refusal: durably before this returns, or as a number when the window is over. `LedgerDown`."""
        self.count += 1
        now = self._clock.now()
        self.close(now)
        window = self._windows.setdefault(system, _Window(Instant(now + WINDOW)))
        if window.rows >= ROWS:
            window.more += 1
            return
        window.rows += 1
        await self._ledger.append(entry)

    def close(self, now: Instant | None) -> None:
        """Write the numbers of the windows that are over; None: of all."""
        for system, window in list(self._windows.items()):
            if now is not None and window.until > now:
                continue
            del self._windows[system]
            if window.more:
                data: dict[str, Value] = {"why": "not_answered", "system": system, "count": window.more}
                self._ledger.write(Entry(Kind.VIEW_REFUSED, at=self._clock.now(), data=data))
