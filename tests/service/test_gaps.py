"""Gaps as events: after a time without authd, and when the wall clock was set."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from authd.core.model import Kind, Value
from authd.service import gaps
from authd.service.clock import BootClock
from authd.service.gaps import Gaps
from authd.service.ledger import Ledger, Reader, verify
from tests.service.ledgers import BEGIN, SIGNER, HandClock, opened, started


class Clocks:
    """A `HandClock` with the face of a `BootClock`."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock

    @property
    def boot(self) -> str:
        return self._clock.boot

    def now(self) -> int:
        return self._clock.at

    def wall_ms(self) -> int:
        return self._clock.wall_ms


def gaps_of(ledger: Ledger, clock: HandClock, folder: Path) -> Gaps:
    return Gaps(ledger, cast("BootClock", Clocks(clock)), folder)


def said(folder: Path) -> list[dict[str, Value]]:
    return [dict(row.entry.data) for row in Reader(folder).find(f"kind:{Kind.LEDGER_GAP}")]


async def test_the_first_start_is_no_gap(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        await gaps_of(ledger, clock, tmp_path).begin()
        assert ledger.head == 0


async def test_a_time_without_authd_is_an_event(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        await ledger.append(started(1, at=clock.at))
    clock.step(3_600)
    async with opened(tmp_path, clock) as ledger:
        await gaps_of(ledger, clock, tmp_path).begin()
    assert said(tmp_path) == [{"gap": "down", "last": 1, "since": BEGIN, "until": BEGIN + 3_600_000}]
    verdict = verify(tmp_path, SIGNER.name, SIGNER.public_key)
    assert verdict.ok
    assert verdict.gaps == []


@pytest.mark.parametrize(("boot", "moved"), [("boot-1", -7_200_000), ("boot-2", None)])
async def test_a_clock_that_was_set_meanwhile_is_said_within_one_boot(
    tmp_path: Path, boot: str, moved: int | None
) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        await ledger.append(started(1, at=clock.at))
    clock.step(60)
    clock.wall_ms -= 7_200_000
    clock.boot = boot
    async with opened(tmp_path, clock) as ledger:
        await gaps_of(ledger, clock, tmp_path).begin()
    (gap,) = said(tmp_path)
    assert gap.get("moved_ms") == moved


async def test_while_it_runs_it_gives_signs_of_life_and_says_when_the_clock_jumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "LOOK_S", 0.001)
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        await ledger.append(started(1, at=clock.at))
        clock.step(5)
        watching = asyncio.ensure_future(gaps_of(ledger, clock, tmp_path).watch())
        rows = ledger.follow(1)
        await anext(rows)
        clock.step(1)
        clock.wall_ms += 1_500
        await asyncio.sleep(0.02)
        assert ledger.head == 2, "a clock that is kept right does not jump"
        clock.wall_ms -= 86_400_000
        await anext(rows)
        watching.cancel()
    assert said(tmp_path)[1] == {
        "gap": "clock",
        "since": BEGIN + 7_500,
        "moved_ms": -86_400_000,
        "until": BEGIN + 7_500 - 86_400_000,
    }
    async with opened(tmp_path, clock) as ledger:
        (tmp_path / gaps.ALIVE_FILE).touch()
        await gaps_of(ledger, clock, tmp_path).begin()
    assert said(tmp_path)[2]["since"] == int((tmp_path / gaps.ALIVE_FILE).stat().st_mtime * 1000)


async def test_a_sign_of_life_that_cannot_be_given_stops_nothing(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        gaps_of(ledger, clock, tmp_path / "nowhere")._sign_of_life()  # pyright: ignore[reportPrivateUsage] (what a full disk meets)
