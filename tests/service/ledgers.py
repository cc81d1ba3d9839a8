"""What the ledger's tests share: a clock that is set by hand, entries, and a quick way to open one."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from authd.core.model import EndReason, Entry, Grade, Instant, Kind, SeatId, SessionId, SubjectId, Value
from authd.service.ledger import KeySigner, Ledger
from authd.service.ledger.segment import Connect
from authd.service.sqlite import connect

SIGNER = KeySigner("city.example/desk", bytes(range(32)))
OTHER = KeySigner("city.example/desk", bytes(32))
BEGIN = 1_763_769_600_000
"""2025-11-22T00:00:00Z in ms."""


class RealClock:
    """CLOCK_BOOTTIME."""

    def __init__(self, boot: str = "boot-1") -> None:
        self.boot = boot

    def now(self) -> Instant:
        return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def wall(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass
class HandClock:
    """Stands still until a test moves it."""

    boot: str = "boot-1"
    at: int = 1_000_000_000_000
    wall_ms: int = BEGIN

    def now(self) -> Instant:
        return Instant(self.at)

    def wall(self) -> int:
        return self.wall_ms

    def step(self, seconds: float) -> None:
        self.at += int(seconds * 1e9)
        self.wall_ms += int(seconds * 1e3)


@dataclass
class Health:
    """Remembers what `on_health` was told."""

    said: list[tuple[bool, str]] = field(default_factory=list[tuple[bool, str]])

    def __call__(self, healthy: bool, reason: str) -> None:
        self.said.append((healthy, reason))


@asynccontextmanager
async def opened(
    folder: Path,
    clock: HandClock | RealClock | None = None,
    on_health: Health | None = None,
    reserve: int = 65_536,
    connect: Connect = connect,
) -> AsyncGenerator[Ledger]:
    clock = clock or HandClock()
    ledger = await Ledger.open(folder, SIGNER, clock, clock.wall, on_health=on_health, reserve=reserve, connect=connect)
    try:
        yield ledger
    finally:
        await ledger.close()


def started(session: int, seat: str = "counter-1", subject: str = "sub_a", at: int = 0, **data: Value) -> Entry:
    return entry(Kind.SESSION_STARTED, session, seat, subject, at, data=data)


def ended(session: int, seat: str = "counter-1", subject: str = "sub_a", at: int = 0, why: str = "lock") -> Entry:
    return entry(Kind.SESSION_ENDED, session, seat, subject, at, reason=EndReason(why))


def entry(
    kind: Kind,
    session: int | None = None,
    seat: str | None = "counter-1",
    subject: str | None = "sub_a",
    at: int = 0,
    reason: EndReason | None = None,
    data: Mapping[str, Value] | None = None,
) -> Entry:
    return Entry(
        kind,
        None if seat is None else SeatId(seat),
        subject=None if subject is None else SubjectId(subject),
        session=None if session is None else SessionId(f"ses_{session}"),
        at=Instant(at),
        reason=reason,
        grade=Grade.MATCHED if kind.startswith("session.") else None,
        data=dict(data or {}),
    )


async def fill(folder: Path, rows: int, clock: HandClock | None = None) -> None:
    """A closed ledger of so many rows: sessions that begin and end, one after the other, at five seats."""
    async with opened(folder, clock) as ledger:
        for number in range(rows):
            make = ended if number % 2 else started
            ledger.write(make(number // 2, f"counter-{number % 10 // 2}", f"sub_{number // 2 % 7}"))
            if number % 500 == 499:
                await ledger.checkpoint()
