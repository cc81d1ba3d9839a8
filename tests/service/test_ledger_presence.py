"""Who was at seat S from 13:05 to 13:20? Whatever the clock did, and however the session ended."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from authd.core.model import EndReason, Entry, Grade, Instant, Kind
from authd.service.ledger import Ledger, Reader, Stay, presence
from authd.service.ledger.file import LedgerFile, Pending
from authd.service.sqlite import connect
from tests.service.ledgers import SIGNER, HandClock, ended, entry, opened, started
from tests.service.test_ledger_opening import make_format_3
from tests.service.test_ledger_tampering import only

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


async def test_an_end_that_a_clock_put_long_before_its_start_is_found(tmp_path: Path) -> None:
    async with opened(tmp_path, clock := HandClock()) as ledger:
        desk = Desk(ledger, clock)
        await ledger.append(started(1, "counter-1", "sub_a", clock.at))
        await ledger.checkpoint()
        clock.wall_ms -= 20 * 60 * MINUTE
        await ledger.append(ended(1, "counter-1", "sub_a", clock.at, "lock"))
        await desk.sit(2, "sub_b", 1)
        await ledger.checkpoint()
        clock.wall_ms += 60 * 60 * MINUTE
        await desk.sit(3, "sub_c", 1)
        await ledger.checkpoint()
        (stay,) = await desk.who(0, 1)
        assert (stay.subject, stay.reason, stay.last) == ("sub_a", EndReason.LOCK, 2)


async def test_what_the_index_does_not_have_yet_is_found_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path, clock := HandClock()) as ledger:
        desk = Desk(ledger, clock)
        await desk.sit(1, "sub_a", 1)
        await ledger.checkpoint()
        await desk.sit(2, "sub_b", 1)
        assert [one.subject for one in await desk.who(0, 100)] == ["sub_a", "sub_b"]
        assert [row.seq for row in await ledger.entries("subject:sub_b")] == [3, 4]


async def test_who_was_there_is_read_from_the_rows_of_sessions_alone(tmp_path: Path, mocker: MockerFixture) -> None:
    async with opened(tmp_path, clock := HandClock()) as ledger:
        for session in range(20):
            await ledger.append(started(session, at=clock.at))
            for _ in range(30):
                clock.step(10)
                await ledger.append(entry(Kind.VIEW_OPENED, session))
            await ledger.append(ended(session, at=clock.at))
        await ledger.checkpoint()
        begin = clock.wall_ms - 450_000  # the middle of the last but one
    read = mocker.spy(Reader, "numbered")
    (stay,) = presence(Reader(tmp_path), "counter-1", begin, begin + 1_000)
    assert (stay.first, stay.last) == (18 * 32 + 1, 19 * 32)
    assert sum(len(call.args[2]) for call in read.call_args_list) <= 10


def some_weeks(rng: random.Random, clock: HandClock, jumps: Sequence[float]) -> Iterator[Pending]:
    """Random people at two seats, with views in between, crashes, a clock that is set now and then, and lost ends."""
    for session in range(50):
        seat, who = f"counter-{rng.randrange(2)}", f"sub_{rng.randrange(4)}"
        yield started(session, seat, who, clock.at, reader="vein-1"), clock.wall_ms
        for _ in range(rng.randrange(60)):
            clock.step(rng.randrange(60))
            clock.wall_ms += int(1_000 * rng.choice(jumps))
            kind = rng.choice((Kind.VIEW_OPENED, Kind.VIEW_OPENED, Kind.SESSION_KEPT))
            yield replace(entry(kind, session, seat, who), at=Instant(clock.at)), clock.wall_ms
        lost = rng.random() < 0.02
        over = Entry(Kind.LEDGER_GAP) if lost else ended(session, seat, who, clock.at, rng.choice(("lock", "crash")))
        yield over, clock.wall_ms
        clock.step(rng.choice((0, 5, 900, 40_000)))


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_few_rows_say_the_same_as_all_of_them(tmp_path: Path, mocker: MockerFixture, seed: int, older: bool) -> None:
    rng, clock = random.Random(seed), HandClock()
    begin, jumps = clock.wall_ms, [0.0] * 600 + ([-600.0, 7_200.0, -100_000.0] if seed % 2 else [])
    file = LedgerFile(tmp_path, SIGNER, clock.boot, connect)
    file.open(clock.now(), begin)
    story = list(some_weeks(rng, clock, jumps))
    file.commit(file.encode(story[:800]), sign=True)
    if older:  # these were written before the sessions of a seat were told from its other rows
        file.close()
        make_format_3(only(tmp_path))
        file = LedgerFile(tmp_path, SIGNER, clock.boot, connect)
        file.open(clock.now(), begin)
    for rows in (story[800:-200], story[-200:]):  # the last ones are in no index yet
        file.commit(file.encode(rows), sign=True)
    reader = Reader(tmp_path)
    asked: list[tuple[str, int, int]] = []
    for _ in range(25):
        since = begin + rng.randrange(max(1, clock.wall_ms - begin))
        asked.append((f"counter-{rng.randrange(2)}", since, since + rng.randrange(7_200_000)))
    quick = [presence(reader, *each) for each in asked]
    mocker.patch("authd.service.ledger.presence.sat", return_value=None)
    assert quick == [presence(reader, *each) for each in asked]
    assert any(quick)
    reader.close()
    file.close()
