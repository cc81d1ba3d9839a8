"""Whoever hangs up while a row becomes durable does not take it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from authd.core.model import Kind
from authd.service.evidence.carryout import Closing
from tests.service.desks import TWO
from tests.service.evidence.carryout.desk import Desk, shown, town_hall


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk, None]:
    async with town_hall(tmp_path) as made:
        yield made


@pytest.mark.parametrize("kind", [Kind.CARRYOUT_REQUESTED, Kind.CARRYOUT_GRANTED, Kind.CARRYOUT_CLOSED])
async def test_what_is_durable_holds_though_the_caller_hung_up(desk: Desk, kind: Kind) -> None:
    append = desk.world.ledger.append
    here = asyncio.current_task()
    assert here is not None

    async def hang_up(entry: Any) -> int:
        if entry.kind is kind:
            here.cancel()
        return await append(entry)

    async def carry_out() -> None:
        made, token = await desk.granted()
        await desk.carryouts.gate.use(shown(token))
        at_two = desk.carryouts.asking.close(made.id, Closing.ERASED, TWO, desk.session(TWO))
        await desk.touching(TWO, "chief", at_two)

    with patch.object(desk.world.ledger, "append", hang_up), pytest.raises(asyncio.CancelledError):
        await carry_out()
    here.uncancel()
    await desk.world.ledger.checkpoint()
    again = await desk.again()
    assert len(await desk.rows(kind)) == 1
    assert [(each.id, each.stage) for each in desk.carryouts.book.all()] == [
        (each.id, each.stage) for each in again.book.all()
    ]
