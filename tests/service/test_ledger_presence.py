"""Who was at seat S from 13:05 to 13:20? Whatever the clock did, and however the session ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from authd.core.model import EndReason, Grade, Kind
from authd.service.ledger import Ledger, Stay
from tests.service.ledgers import HandClock, ended, entry, opened, started

MINUTE = 60_000


class Desk:
    """A seat whose people come and go by the clock."""

    def __init__(self, ledger: Ledger, clock: HandClock) -> None:
        self.ledger, self.clock, self.begin = ledger, clock, clock.wall_ms

    async def sit(self, session: int, subject: str, minutes: float, why: str = "lock", seat: str = "counter-1") -> None:
        await self.ledger.append(started(session, seat, subject, self.clock.at, reader="vein-1"))
        self.clock.step(minutes * 60)
        await self.ledger.append(ended(session, seat, subject, self.clock.at, why))

    async def who(self, since: float, until: float, seat: str = "counter-1") -> list[Stay]:
        return await self.ledger.presence(seat, self.begin + int(since * MINUTE), self.begin + int(until * MINUTE))


async def test_everybody_who_sat_there_and_nobody_else(tmp_path: Path) -> None:
    async with opened(tmp_path, clock := HandClock()) as ledger:
        desk = Desk(ledger, clock)
        await desk.sit(1, "sub_a", 10)
        await desk.sit(2, "sub_b", 5, "handover")
        await desk.sit(3, "sub_c", 1, seat="counter-2")
        clock.step(600)
        await desk.sit(4, "sub_a", 2, "idle")
        (stay,) = await desk.who(11, 14)
        assert (stay.subject, stay.reason, stay.grade, stay.seconds) == (
            "sub_b",
            EndReason.HANDOVER,
            Grade.MATCHED,
            300,
        )
        assert (stay.since_ms, stay.until_ms) == (desk.begin + 10 * MINUTE, desk.begin + 15 * MINUTE)
        assert (stay.first, stay.last, stay.evidence) == (3, 4, {"reader": "vein-1"})
        assert [one.subject for one in await desk.who(0, 100)] == ["sub_a", "sub_b", "sub_a"]
        assert await desk.who(17, 20) == []
        assert await desk.who(0, 100, "counter-9") == []


async def test_a_session_that_began_before_and_ended_after_is_seen(tmp_path: Path) -> None:
    async with opened(tmp_path, clock := HandClock()) as ledger:
        desk = Desk(ledger, clock)
        await desk.sit(1, "sub_a", 11 * 60)
        (stay,) = await desk.who(300, 301)
        assert stay.seconds == 11 * 3600


async def test_an_open_session_has_no_end(tmp_path: Path) -> None:
    async with opened(tmp_path, clock := HandClock()) as ledger:
        desk = Desk(ledger, clock)
        await ledger.append(started(1))
        await ledger.append(entry(Kind.SESSION_FADING, 1))
        await ledger.append(entry(Kind.SESSION_KEPT, 1))
        clock.step(60)
        (stay,) = await desk.who(1, 2)
        assert (stay.until_ms, stay.reason, stay.last) == (None, None, None)
        assert [step.entry.kind for step in stay.steps] == [Kind.SESSION_FADING, Kind.SESSION_KEPT]


async def test_a_crash_over_a_weekend_says_so(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        desk = Desk(ledger, clock)
        await ledger.append(started(1, at=clock.at))
    clock.step(60 * 3600)
    clock.boot = "boot-2"
    async with opened(tmp_path, clock) as ledger:
        desk.ledger = ledger
        await ledger.append(ended(1, why="crash"))
        (stay,) = await desk.who(0, 10)
        assert (stay.reason, stay.seconds, stay.clock_moved) == (EndReason.CRASH, None, False)
        assert stay.until_ms == desk.begin + 3600 * MINUTE


@pytest.mark.parametrize("hours", [-2, 2, -24 * 3650, 24 * 3650])
async def test_a_clock_that_is_set_during_a_session_is_told(tmp_path: Path, hours: int) -> None:
    async with opened(tmp_path, clock := HandClock()) as ledger:
        desk = Desk(ledger, clock)
        await ledger.append(started(1, at=clock.at))
        clock.step(60)
        clock.wall_ms += hours * 3_600_000
        clock.at += 61_000_000_000
        await ledger.append(ended(1, at=clock.at))
        (stay,) = await desk.who(-0.5, 0.5)
        assert (stay.clock_moved, stay.seconds, stay.last) == (True, 121, 2)


async def test_what_the_index_does_not_have_yet_is_found_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path, clock := HandClock()) as ledger:
        desk = Desk(ledger, clock)
        await desk.sit(1, "sub_a", 1)
        await ledger.checkpoint()
        await desk.sit(2, "sub_b", 1)
        assert [one.subject for one in await desk.who(0, 100)] == ["sub_a", "sub_b"]
        assert [row.seq for row in await ledger.entries("subject:sub_b")] == [3, 4]
