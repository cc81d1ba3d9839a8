"""The first day: what it shows of an answer is what is printed, line for line."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authd.cli import main
from authd.core.model import Kind, SubjectId
from authd.service.staff import PersonRecord
from authd.service.store_file import StoreFile
from tests.docs.test_how_to import DOCS
from tests.service.ledgers import HandClock, ended, entry, opened, started
from tests.tools.howto import read

ITO = PersonRecord(SubjectId("sub_a"), "1003", "伊藤 拓也", "イトウ タクヤ", "resident")
_SHAPES = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d([+-]\d\d:\d\d)?": "TIME",
    r"sub_\w+": "SUBJECT",
    r"ses_\w+": "SESSION",
    r"#\d+-\d+": "ROWS",
}


def shape(line: str) -> str:
    """A line without what is another one in every demo."""
    for pattern, name in _SHAPES.items():
        line = re.sub(pattern, name, line)
    return line


def pattern(sample: str) -> re.Pattern[str]:
    """What a line of the sample stands for: `...` is whatever words there are, or none."""
    return re.compile("( .*)?".join(re.escape(piece) for piece in shape(sample).split(" ...")))


async def an_afternoon(folder: Path) -> None:
    """One person at the seat for eleven seconds, an hour ago; and a last row, of a minute ahead: authd runs on."""
    began = datetime.now(UTC) - timedelta(hours=1)
    clock = HandClock(wall_ms=int(began.timestamp()) * 1000)
    async with opened(folder / "ledger", clock) as ledger:
        await ledger.append(entry(Kind.ENROLMENT_FOUNDED, None, None))
        clock.step(20)
        await ledger.append(entry(Kind.GRANT, 1, at=clock.at))
        await ledger.append(started(1, at=clock.at, captured_at=clock.at, factor="vein", reader="vein-1", score=0.6))
        clock.step(11)
        await ledger.append(ended(1, at=clock.at, why="absence"))
        clock.wall_ms = int(datetime.now(UTC).timestamp() + 60) * 1000
        await ledger.append(entry(Kind.ENROLMENT_FOUNDED, None, None))


def test_the_answer_that_is_shown_is_the_one_that_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(an_afternoon(tmp_path))
    store = StoreFile.open(tmp_path / "store.sqlite")
    store.enrol(ITO, [], [])
    store.close()
    (shown,) = [block.text for block in read(DOCS / "tutorial" / "first-day.md").blocks if "evidence B:" in block.text]
    since, until = ((datetime.now(UTC) + timedelta(hours=hours)).isoformat() for hours in (-2, 2))
    words = ["who", "--ledger", str(tmp_path / "ledger"), "--seat", "counter-1", "--from", since, "--to", until]
    assert main([*words, "--lang", "en"]) == 0
    printed = [shape(line) for line in capsys.readouterr().out.splitlines()]
    samples = [pattern(line) for line in shown.splitlines()]
    begins = next(number for number, line in enumerate(printed) if line.endswith("nobody"))
    found = printed[begins : begins + len(samples)]
    assert [bool(sample.fullmatch(line)) for sample, line in zip(samples, found, strict=True)] == [True] * 7, found
