"""A driver that does what no driver should; for tests, in a child."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping

from authd.driver import Ask, Capture, Event, Op, Reader, State, StateChange


class Bad:
    async def open(self) -> None:
        return

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        del ask
        if not isinstance(op, Capture):
            time.sleep(60)  # noqa: ASYNC251  # to hang is what it is for
        while True:
            yield StateChange(State.PROCESSING)

    async def close(self) -> None:
        return


def READER(settings: Mapping[str, str]) -> Reader:
    del settings
    return Bad()
