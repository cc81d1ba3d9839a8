"""The one clock of the daemon: CLOCK_BOOTTIME for every deadline, the wall for people only."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

from authd.core.model import MILLISECOND, SECOND, Instant, Nonce, SessionId

_LOOK_AGAIN_S = 0.5
"""The loop sleeps on CLOCK_MONOTONIC, which stands still in suspend: never trust it for longer than this."""


class BootClock:
    """Implements `ports.Clock`."""

    def __init__(self) -> None:
        self.boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def now(self) -> Instant:
        """Nanoseconds of CLOCK_BOOTTIME."""
        return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def wall_ms(self) -> int:
        """Milliseconds since 1970, for people."""
        return time.time_ns() // MILLISECOND

    def asleep(self) -> int:
        """Nanoseconds that this machine has spent in suspend since it was booted."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    async def woken(self) -> None:
        """Return soon after the machine has slept."""
        before = self.asleep()
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            if self.asleep() - before >= SECOND:
                return

    async def sleep_until(self, instant: Instant | None, woken: asyncio.Event) -> None:
        """Return at `instant`, or at most half a second late after a suspend, or when `woken` is set."""
        while instant is None or self.now() < instant:
            left = _LOOK_AGAIN_S if instant is None else (instant - self.now()) / SECOND
            try:
                async with asyncio.timeout(max(0.0, min(left, _LOOK_AGAIN_S))):
                    await woken.wait()
            except TimeoutError:
                continue
            return


class Dice:
    """Implements `ports.Random` with the operating system's generator."""

    def nonce(self) -> Nonce:
        """128 bits, hex."""
        return Nonce(secrets.token_hex(16))

    def session(self) -> SessionId:
        """A new session's name."""
        return SessionId("ses_" + secrets.token_hex(16))
