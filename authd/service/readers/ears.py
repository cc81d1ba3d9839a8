"""The queue between a seat's devices and the path: bounded, and what matters is the last to go."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator

from authd.core.ports import (
    Asking,
    Heard,
    Held,
    Inserted,
    ReaderDown,
    ReaderUp,
    Sample,
    Sensed,
    TurnedDown,
    Withdrawn,
)

MAX_HEARD = 1_000
_ESSENTIAL = (ReaderUp, ReaderDown, Sensed, Sample, Held, TurnedDown, Inserted, Withdrawn, Asking)

log = logging.getLogger("authd.readers")


class Ears:
    """What one seat's devices said and nobody has heard yet: at most `MAX_HEARD`, the oldest dispensable one goes."""

    def __init__(self) -> None:
        self._waiting: deque[Heard] = deque()
        self._some = asyncio.Event()
        self.dropped: Counter[str] = Counter()
        """Words that were dropped, by kind."""

    def say(self, heard: Heard) -> None:
        """Queue one word."""
        if len(self._waiting) >= MAX_HEARD:
            self._drop()
        self._waiting.append(heard)
        self._some.set()

    def _drop(self) -> None:
        oldest = next((each for each in self._waiting if not isinstance(each, _ESSENTIAL)), self._waiting[0])
        self._waiting.remove(oldest)
        kind = type(oldest).__name__
        if isinstance(oldest, _ESSENTIAL) and not self.dropped[kind]:
            log.error("nobody listens: a %s was dropped", kind)
        self.dropped[kind] += 1

    async def listen(self) -> AsyncGenerator[Heard, None]:
        """Yield every word, in order, for ever."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            self._some.clear()
            await self._some.wait()
