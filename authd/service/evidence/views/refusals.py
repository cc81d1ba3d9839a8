"""Refused reports in the ledger: the first few of each application as they are, the rest of a flood as numbers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from authd.core.model import SECOND, Entry, Instant, Kind, Value
from authd.service.clock import BootClock
from authd.service.evidence.views.said import Why
from authd.service.ledger import Ledger

WINDOW = 10 * SECOND
FIRST = 3
"""Rows of one application in a window; whatever else is refused in it becomes one more row, which counts."""
_LOOK_S = 1.0


@dataclass(slots=True)
class _Window:
    until: Instant
    rows: int = 0
    more: Counter[Why] = field(default_factory=Counter[Why])


class Refusals:
    """Writes them. One window for each application at a time, so that memory and rows are bounded."""

    def __init__(self, ledger: Ledger, clock: BootClock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self.count: Counter[Why] = Counter()

    async def note(self, why: Why, system: str, entry: Entry) -> None:
        """Record a refusal: durably before this returns, or as a number when the window is over. `LedgerDown`.

        One that takes back a view is never a number only: there are no more of them than there are rows of views.
        """
        self.count[why] += 1
        if why is Why.ENDED:
            await self._ledger.append(entry)
            return
        window = self._window(system)
        if window.rows >= FIRST:
            window.more[why] += 1
            return
        window.rows += 1
        await self._ledger.append(entry)

    async def run(self) -> None:
        """Write the numbers of each window when it is over, and of all of them at the end."""
        try:
            while True:
                await asyncio.sleep(_LOOK_S)
                self._close(self._clock.now())
        finally:
            self._close(None)

    def _window(self, system: str) -> _Window:
        now = self._clock.now()
        window = self._windows.get(system)
        if window is None or window.until <= now:
            self._close(now)
            window = self._windows[system] = _Window(Instant(now + WINDOW))
        return window

    def _close(self, now: Instant | None) -> None:
        """Close the windows that are over; None: all."""
        for system, window in list(self._windows.items()):
            if now is not None and window.until > now:
                continue
            del self._windows[system]
            if window.more:
                counts: dict[str, Value] = {f"count_{why.value}": count for why, count in sorted(window.more.items())}
                data: dict[str, Value] = {"system": system, "count": window.more.total(), **counts}
                self._ledger.write(Entry(Kind.VIEW_REFUSED, at=self._clock.now(), data=data))
