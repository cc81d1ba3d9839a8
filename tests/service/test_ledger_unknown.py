"""Silence is no proof: which times an answer must call unknown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from authd.core.model import Entry, Instant, Kind, Value
from authd.service.gaps import ALIVE_FILE, heard
from authd.service.ledger import Reader, Unknown, Why, unknown
from tests.service.ledgers import BEGIN, HandClock, ended, opened, started

MINUTE = 60_000
DAY = (BEGIN - 60 * MINUTE, BEGIN + 300 * MINUTE)


async def wrote(folder: Path, *gaps: dict[str, Value]) -> None:
    """A row at minute 0, the gaps at minutes 10, 20, ..., a row ten minutes behind the last."""
    clock = HandClock()
    async with opened(folder, clock) as ledger:
        await ledger.append(started(1, at=clock.at))
        for gap in gaps:
            clock.step(600)
            await ledger.append(Entry(Kind.LEDGER_GAP, at=Instant(clock.at), data=gap))
        clock.step(600)
        await ledger.append(ended(1, at=clock.at))


def asked(folder: Path, since: int = DAY[0], until: int = DAY[1], heard_at: int = 0) -> list[Unknown]:
    reader = Reader(folder)
    try:
        return unknown(reader, since, until, BEGIN + 120 * MINUTE, heard_at)
    finally:
        reader.close()


def minutes(found: list[Unknown]) -> list[tuple[float, float, Why, int | None]]:
    return [((each.since_ms - BEGIN) / MINUTE, (each.until_ms - BEGIN) / MINUTE, each.why, each.row) for each in found]


async def test_before_the_first_row_and_behind_the_last(tmp_path: Path) -> None:
    await wrote(tmp_path)
    edges = [(-60, 0, Why.BEFORE, 1), (10, 120, Why.AFTER, None), (120, 300, Why.FUTURE, None)]
    assert minutes(asked(tmp_path)) == edges
    assert asked(tmp_path, BEGIN, BEGIN + 10 * MINUTE) == []


async def test_a_daemon_that_was_heard_of_knows_more_than_its_rows(tmp_path: Path) -> None:
    await wrote(tmp_path)
    found = minutes(asked(tmp_path, BEGIN, heard_at=BEGIN + 120 * MINUTE))
    assert found == [(120, 300, Why.FUTURE, None)]


async def test_what_the_ledger_admits(tmp_path: Path) -> None:
    down: dict[str, Value] = {"gap": "down", "last": 1, "since": BEGIN + 2 * MINUTE, "until": BEGIN + 10 * MINUTE}
    set_: dict[str, Value] = {
        "gap": "clock",
        "since": BEGIN + 21 * MINUTE,
        "moved_ms": -MINUTE,
        "until": BEGIN + 20 * MINUTE,
    }
    await wrote(tmp_path, down, set_, {"dropped": 7}, {"lost": 3, "last": 2})
    found = minutes(asked(tmp_path, BEGIN, BEGIN + 50 * MINUTE))
    assert found == [
        (2, 10, Why.DOWN, 2),
        (10, 40, Why.LOST, 5),
        (20, 21, Why.CLOCK, 3),
        (20, 30, Why.LOST, 4),
    ]


async def test_a_gap_that_ends_long_after_the_interval_reaches_into_it(tmp_path: Path) -> None:
    down: dict[str, Value] = {"gap": "down", "last": 1, "since": BEGIN + MINUTE, "until": BEGIN + 10 * MINUTE}
    await wrote(tmp_path, down)
    assert minutes(asked(tmp_path, BEGIN + 2 * MINUTE, BEGIN + 3 * MINUTE)) == [(2, 3, Why.DOWN, 2)]


async def test_a_clock_that_was_set_back_leaves_its_row_before_the_time_that_is_unknown(tmp_path: Path) -> None:
    begin, end = BEGIN + 40 * MINUTE, BEGIN + 10 * MINUTE
    await wrote(tmp_path, {"gap": "clock", "since": begin, "moved_ms": end - begin, "until": end})
    found = minutes(asked(tmp_path, BEGIN + 15 * MINUTE, BEGIN + 18 * MINUTE))
    assert found == [(15, 18, Why.CLOCK, 2)]


async def test_an_empty_ledger_knows_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    assert minutes(asked(tmp_path)) == [(-60, 120, Why.AFTER, None), (120, 300, Why.FUTURE, None)]


@pytest.mark.parametrize(("age_s", "still"), [(0, True), (15, True), (30, False)])
def test_a_sign_of_life_is_now_while_it_is_renewed(tmp_path: Path, age_s: int, still: bool) -> None:
    now = BEGIN + 10 * MINUTE
    (tmp_path / ALIVE_FILE).touch()
    at = now / 1000 - age_s
    os.utime(tmp_path / ALIVE_FILE, (at, at))
    assert heard(tmp_path, now) == (now if still else now - 1000 * age_s)
    assert heard(tmp_path / "elsewhere", now) == 0
