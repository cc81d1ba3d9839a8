"""Ctrl-C, SIGTERM and a closed terminal end what is played in good order: once, however often they come."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(play: Coroutine[Any, Any, int], *, ended: int) -> int:
    """Run it and return its exit code; `ended` if a signal ended it, after it has closed all that it had opened."""
    return asyncio.run(_until_signal(play, ended))


async def _until_signal(play: Coroutine[Any, Any, int], ended: int) -> int:
    playing = asyncio.current_task()
    assert playing is not None

    def end() -> None:
        if not playing.cancelling():  # a second Ctrl-C must not interrupt the tidying up
            playing.cancel()

    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        return await play
    except asyncio.CancelledError:
        return ended
