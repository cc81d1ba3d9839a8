"""Ctrl-C ends what is played once, and lets it tidy up."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from authd_simulators import ending


@pytest.mark.parametrize("number", ending.SIGNALS)
def test_a_second_signal_does_not_cut_the_tidying_up_short(number: signal.Signals) -> None:
    tidied = list[bool]()

    async def play() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.02)
            tidied.append(True)
        return 0

    assert ending.run(play(), ended=130) == 130
    assert tidied == [True]


def test_what_ends_by_itself_keeps_its_exit_code() -> None:
    async def play() -> int:
        await asyncio.sleep(0)
        return 7

    assert ending.run(play(), ended=130) == 7
