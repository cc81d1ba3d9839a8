"""What a ledger proves from its files: where an entry stands, and that the tree only ever grew."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from authd.core.model import Entry, Kind
from authd.core.tlog import leaf_hash, verify_inclusion
from authd.service.ledger import Placed, Reader, open_checkpoint
from tests.service.ledgers import SIGNER, entry, opened, started


def view(record: str, number: int = 1) -> Entry:
    return entry(Kind.VIEW_OPENED, number, data={"record": record, "screen": "address"})


async def test_an_entry_that_was_placed_is_told_its_leaf_and_is_proved(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        assert await ledger.place(started(1)) == Placed(1, 0, 1)
        both = await asyncio.gather(ledger.place(view("rec_a")), ledger.place(view("rec_b")))
        assert [placed.leaf for placed in both] == [1, 2]
        assert all(placed.size > placed.leaf for placed in both)
        head = open_checkpoint(await ledger.checkpoint(), SIGNER.name, SIGNER.public_key)
        (row,) = await ledger.entries("record:rec_b")
        proof = await ledger.prove(2, head.size)
        assert verify_inclusion(leaf_hash(row.bytes), 2, head.size, proof.path, head.root)
        assert not verify_inclusion(leaf_hash(row.bytes + b" "), 2, head.size, proof.path, head.root)
        for leaf, size in ((3, 3), (-1, 3), (0, 4)):
            with pytest.raises(ValueError, match="no "):
                await ledger.prove(leaf, size)


async def test_the_rows_of_a_record_are_found_indexed_or_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.place(view("rec_a", 1))
        await ledger.place(view("rec_b", 2))
        await ledger.checkpoint()
        await ledger.place(view("rec_a", 3))
        assert [row.seq for row in await ledger.entries("record:rec_a")] == [1, 3]
    assert [row.seq for row in Reader(tmp_path).find("record:rec_a")] == [1, 3]
    assert [row.seq for row in Reader(tmp_path).find("record:rec_c")] == []
