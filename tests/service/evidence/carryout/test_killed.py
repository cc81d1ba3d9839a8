"""A capability is spent exactly once, though the daemon is killed while it is being spent."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from authd.core.model import Kind
from authd.service.evidence.carryout import NotOut
from tests.service.evidence.carryout.desk import after, shown

ROUNDS, TOKENS = 3, 8


def spent_until_killed(folder: Path, answers: int) -> tuple[set[str], set[str]]:
    """Kill the spender after so many answers; return what was granted, and what was answered with yes."""
    words = [sys.executable, "-m", "tests.service.evidence.carryout.spender", str(folder), str(TOKENS)]
    granted, out = set[str](), set[str]()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said, _, token = line.strip().partition(" ")
            if said == "granted":
                granted.add(token)
            elif said == "out":
                out.add(token)
            if said != "granted" and len(out) >= answers:
                process.send_signal(signal.SIGKILL)
                break
        out |= {line.split()[1] for line in process.stdout if line.startswith("out ")}
    return granted, out


@pytest.mark.real
async def test_each_capability_is_spent_once_over_kill_9(tmp_path: Path) -> None:
    dice = random.Random(5)
    late = 0
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        granted, out = await asyncio.to_thread(spent_until_killed, folder, dice.randrange(TOKENS - 2))
        assert len(granted) == TOKENS
        async with after(folder) as desk:
            durable = len(await desk.rows(Kind.CARRYOUT_USED))
            assert durable >= len(out)  # no answer without its row
            again = set[str]()
            for token in granted:
                try:
                    await desk.carryouts.gate.use(shown(token))
                    again.add(token)
                except NotOut:
                    pass
            assert not again & out
            assert len(again) == TOKENS - durable
            assert len(await desk.rows(Kind.CARRYOUT_USED)) == TOKENS
            late += len(again)
    assert late  # some rounds were killed in the middle
