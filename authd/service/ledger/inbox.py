"""The one queue between the event loop and the writer thread: bounded, in order, with places kept for locks."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

import msgspec

from authd.core.model import Entry
from authd.service.ledger.record import Placed

CAPACITY = 1_000
"""Entries that may wait before grants are refused."""
LOCK_RESERVE = 1_000
"""Further places, for entries that nobody waits for (`write`)."""


class Item(msgspec.Struct, eq=False, gc=False):
    """One entry on its way, or (entry None) the wish for a signed checkpoint. Nothing that it holds points back."""

    entry: Entry | None
    wall_ms: int
    since: int
    """When it came, CLOCK_BOOTTIME ns."""
    waiter: asyncio.Future[Placed] | None = None
    """Of whoever waits; only the loop's thread completes it."""
    note: asyncio.Future[str] | None = None

    def abandoned(self) -> bool:
        """Whether whoever waited has gone away, or was told that it failed."""
        return self.waiter is not None and self.waiter.done()


class Inbox:
    """Put from the loop's thread, taken from the writer's."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._wake = threading.Event()
        self.dropped = 0
        """Entries that were lost, ever, because even the reserve was full; the writer admits them as a gap."""

    def __len__(self) -> int:
        return len(self._items)

    def full(self) -> bool:
        """Whether grants must be refused."""
        return len(self._items) >= CAPACITY

    def put(self, item: Item) -> None:
        """Add an item at the end; beyond the reserve it is counted instead."""
        if len(self._items) >= CAPACITY + LOCK_RESERVE:
            self.dropped += 1
            return
        self._items.append(item)
        if len(self._items) == 1:  # whoever saw it empty may be waiting; with more in it nobody is
            self._wake.set()

    def put_back(self, items: list[Item]) -> None:
        """Return items that were taken, to the front, in order."""
        self._items.extendleft(reversed(items))

    def oldest(self) -> Item | None:
        """Return the item that has waited longest, without taking it."""
        try:
            return self._items[0]
        except IndexError:
            return None

    def wake(self) -> None:
        """Let the writer look around."""
        self._wake.set()

    def wait(self, seconds: float | None) -> None:
        """Return when there may be something to take, or after so many seconds."""
        if not self._items:
            self._wake.wait(seconds)
        self._wake.clear()

    def take(self, most: int) -> list[Item]:
        """Take up to so many items from the front, without waiting."""
        items = self._items
        return [items.popleft() for _ in range(min(most, len(items)))]
