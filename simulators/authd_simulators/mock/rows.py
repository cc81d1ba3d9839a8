"""A ledger in memory: what is appended is durable for as long as the mock lives, and outlives its daemon's deaths."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import msgspec

from authd.core.model import MILLISECOND, Entry, Kind, SessionId
from authd.core.ports import LedgerDown
from authd.service.bus.house import Stay
from authd.service.ledger.record import Placed

_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class MockRow:
    """A row and its place. Implements `house.Recorded`."""

    seq: int
    wall_ms: int
    entry: Entry
    bytes: bytes


class MockLedger:
    """Implements `house.Source`, and what parts of the daemon write by."""

    def __init__(self) -> None:
        self.rows: list[MockRow] = []
        self.down = False
        """Whether nothing can be made durable now."""
        self._more = asyncio.Event()

    @property
    def head(self) -> int:
        """Number of the last row."""
        return len(self.rows)

    def must_write(self) -> None:
        """Raise `LedgerDown` where nothing can be made durable."""
        if self.down:
            raise LedgerDown("the mock's ledger is down")

    def add(self, entry: Entry, *, reserved: bool = False) -> int:
        """Append a row; returns its number. reserved: there is always room for the end of a session.

        Raises `LedgerDown`.
        """
        if not reserved:
            self.must_write()
        self.rows.append(MockRow(len(self.rows) + 1, time.time_ns() // MILLISECOND, entry, _encode(entry)))
        more, self._more = self._more, asyncio.Event()
        more.set()
        return len(self.rows)

    async def append(self, entry: Entry) -> int:
        """As `add`."""
        return self.add(entry)

    def write(self, entry: Entry) -> None:
        """As `add`, and dropped where nothing can be made durable."""
        if not self.down:
            self.add(entry)

    async def place(self, entry: Entry) -> Placed:
        """As `add`; tells the place in the tree too."""
        seq = self.add(entry)
        return Placed(seq, seq - 1, seq)

    async def follow(self, after: int) -> AsyncIterator[MockRow]:
        """Yield every row behind `after`, then each as it comes."""
        at = after
        while True:
            while at >= len(self.rows):
                await self._more.wait()
            yield self.rows[at]
            at += 1

    async def presence(self, seat: str, since_ms: int, until_ms: int) -> list[Stay]:
        """Return the sessions of a seat that touched [since, until)."""
        stays: dict[SessionId, Stay] = {}
        for row in self.rows:
            session, entry = row.entry.session, row.entry
            if entry.seat != seat or session is None or entry.subject is None or entry.grade is None:
                continue
            if entry.kind is Kind.SESSION_STARTED:
                stays[session] = Stay(session, entry.subject, row.wall_ms, None, entry.grade, None, row.seq)
            elif entry.kind is Kind.SESSION_ENDED and (stay := stays.get(session)) is not None:
                stays[session] = replace(stay, end_ms=row.wall_ms, reason=entry.reason)
        return [each for each in stays.values() if each.start_ms < until_ms and (each.end_ms or until_ms) >= since_ms]
