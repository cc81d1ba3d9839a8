"""What systemd is told (sd_notify(3), sd_watchdog_enabled(3)); nothing where it did not start us."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send e.g. `READY=1`, `STOPPING=1` or `WATCHDOG=1`. Never waits: a full queue there is no reason to lock late."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sender:
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.sendall(state.encode())


def watchdog_s() -> float | None:
    """Seconds between two beats, half of what systemd allows; None: it does not watch this process."""
    allowed, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not (allowed.isdecimal() and len(allowed) < 16 and int(allowed) and pid == str(os.getpid())):
        return None
    return int(allowed) / 2_000_000


async def beat() -> None:
    """Tell systemd for ever that this loop still turns; a daemon that hangs locks no seat, so it is restarted."""
    pause = watchdog_s()
    while pause is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(pause)
