"""Gaps in what authd can vouch for, as events: times when it did not run, and a wall clock that was set.

What happened then is unknown, and that is what the ledger says (`ledger.gap`), so that nobody takes silence for proof.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from authd.core.model import MILLISECOND, Entry, Kind, Value
from authd.service.clock import BootClock
from authd.service.ledger import Ledger, Recorded

ALIVE_FILE: Final = "alive"
LOOK_S: Final = 1.0
ALIVE_EVERY: Final = 10
"""Looks between two signs of life in the file."""
JUMP_MS: Final = 2_000
"""A wall clock that moves by more against the boot clock between two looks was set; less keeps it right."""


def heard(folder: Path, now_ms: int) -> int:
    """Return when authd was last heard of beside the rows of its ledger's folder: wall-clock ms, now while it runs."""
    try:
        alive = int((folder / ALIVE_FILE).stat().st_mtime * 1000)
    except OSError:
        return 0
    return now_ms if 0 <= now_ms - alive <= 2_000 * LOOK_S * ALIVE_EVERY else alive


class Gaps:
    """Says at the start how long nobody was there, and afterwards when the clock jumps."""

    def __init__(self, ledger: Ledger, clock: BootClock, folder: Path) -> None:
        self._ledger, self._clock, self._alive = ledger, clock, folder / ALIVE_FILE

    async def watch(self) -> None:
        """For as long as the daemon runs."""
        await self.begin()
        offset, looks = self._offset(), 0
        while True:
            if looks % ALIVE_EVERY == 0:
                self._sign_of_life()
            await asyncio.sleep(LOOK_S)
            offset, looks = self.look(offset), looks + 1

    async def begin(self) -> None:
        """Record the time since the last sign of life. A ledger without rows has none."""
        last = await self._ledger.newest()
        if last is not None:
            self._say("down", {"last": last.seq, "since": self._last_seen(last), **self._moved_since(last)})

    def look(self, offset: int) -> int:
        """Compare the wall clock's offset (ms) with the one before; record a jump. Returns the offset now."""
        now = self._offset()
        if abs(now - offset) > JUMP_MS:
            self._say("clock", {"since": self._clock.wall_ms() - (now - offset), "moved_ms": now - offset})
        return now

    def _say(self, what: str, data: dict[str, Value]) -> None:
        data = {"gap": what, **data, "until": self._clock.wall_ms()}
        self._ledger.write(Entry(Kind.LEDGER_GAP, at=self._clock.now(), data=data))

    def _offset(self) -> int:
        return self._clock.wall_ms() - self._clock.now() // MILLISECOND

    def _last_seen(self, last: Recorded) -> int:
        """Wall-clock ms: of the last row, or of the file, which nobody signs, if that is later."""
        try:
            return max(last.wall_ms, int(self._alive.stat().st_mtime * 1000))
        except OSError:
            return last.wall_ms

    def _moved_since(self, last: Recorded) -> dict[str, Value]:
        """Within one boot, the boot clock tells how far the wall clock was set meanwhile."""
        if last.boot != self._clock.boot:
            return {}
        moved = self._offset() - (last.wall_ms - last.entry.at // MILLISECOND)
        return {"moved_ms": moved} if abs(moved) > JUMP_MS else {}

    def _sign_of_life(self) -> None:
        with suppress(OSError):  # a full disk is the ledger's trouble; the next start then says less
            self._alive.touch(mode=0o600)
            at = self._clock.wall_ms() / 1000
            os.utime(self._alive, (at, at))
