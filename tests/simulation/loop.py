"""An asyncio event loop of virtual time, whose ready queue is shuffled by a seed.

It runs real tasks, futures, timeouts and task groups; it has no selector, so nothing real can be waited for. Context
variables are not carried (nothing under test uses any): it is twice as fast without.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from typing import Any

SECOND = 1_000_000_000
_MASK = (1 << 64) - 1


class Dice:
    """A small seeded generator (Knuth's 64-bit LCG): cheap to draw from and to seed anew at every action."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = 0
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Start anew; neighbouring seeds are mixed far apart (splitmix64)."""
        mixed = (seed * 0x9E3779B97F4A7C15 + 0x1234567) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        self._state = mixed ^ (mixed >> 27)

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1."""
        self._state = state = (self._state * 6364136223846793005 + 1442695040888963407) & _MASK
        return ((state >> 33) * limit) >> 31

    def chance(self, percent: int) -> bool:
        """Whether something of this likelihood happens."""
        return self.below(100) < percent

    def pick(self, things: Any) -> Any:
        """Return one of a sequence."""
        return things[self.below(len(things))]


class Call:
    """A callback that can be taken back: what asyncio calls a handle."""

    __slots__ = ("args", "callback")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        """Never run it."""
        self.callback = None

    def cancelled(self) -> bool:
        """Whether it was taken back."""
        return self.callback is None


class Loop:
    """Time passes only in `advance`; `run` takes what is ready in an order that the dice decide.

    Of an event loop it has what tasks, futures, timeouts and task groups ask for, and no more.
    """

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.ns = 0
        self.ready: list[Call] = []
        self.timers: list[tuple[int, int, Call]] = []
        self.complaints: list[dict[str, Any]] = []
        self._count = 0

    @property
    def _itself(self) -> Any:
        return self

    def __enter__(self) -> Loop:
        events._set_running_loop(self._itself)
        return self

    def __exit__(self, *_: object) -> None:
        events._set_running_loop(None)

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self.ns / SECOND

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        call = Call(callback, args)
        self.ready.append(call)
        return call

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        call = Call(callback, args)
        self._count += 1
        heappush(self.timers, (round(when * SECOND), self._count, call))
        return call

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        return self.call_at(self.time() + delay, callback, *args)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._itself)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> Any:
        return asyncio.Task(coro, loop=self._itself)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    # What the simulation asks of it.

    def run(self, most: int = 1_000_000) -> None:
        """Run what is ready, in any order, until nothing is or `most` were run."""
        ready, dice = self.ready, self.dice
        while ready and most > 0:
            at = dice.below(len(ready)) if len(ready) > 1 else 0
            call, ready[at] = ready[at], ready[-1]
            ready.pop()
            if call.callback is not None:
                most -= 1
                call.callback(*call.args)
        assert most > 0 or most < 1_000_000, "the tasks spin"

    def next_timer(self) -> int | None:
        """When the next timer is due, in nanoseconds."""
        while self.timers and self.timers[0][2].callback is None:
            heappop(self.timers)
        return self.timers[0][0] if self.timers else None

    def advance(self, ns: int) -> None:
        """Let this instant come; what was due by then is ready, and has not run."""
        self.ns = max(self.ns, ns)
        while (due := self.next_timer()) is not None and due <= self.ns:
            self.ready.append(heappop(self.timers)[2])

    def forget(self) -> None:
        """The process is dead: nothing that was waiting will ever run."""
        self.ready.clear()
        self.timers.clear()

    def spend(self, seconds: float) -> None:
        """Let time pass, running everything that becomes due on the way, as a process that is not starved does."""
        until = self.ns + round(seconds * SECOND)
        self.run()
        while (due := self.next_timer()) is not None and due <= until:
            self.advance(due)
            self.run()
        self.advance(until)
        self.run()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of this loop."""
        return asyncio.Task(work, loop=self._itself)
