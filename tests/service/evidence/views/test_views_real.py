"""From a finger to a receipt to the answer, on the real processes: the daemon, its router, the command line."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from authd.client import Client, DoorError, Person
from authd.core.model import Grade
from authd.core.tlog import leaf_hash
from authd.service.ledger import Reader
from authd_simulators.stage import Stage, free_ports

RECORD = "20481"


async def views(stage: Stage, *words: str) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "authd", "views", "--config", str(stage.config), "--json", *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


async def refused(client: Client, person: Person, nonce: str | None = None) -> str:
    with pytest.raises(DoorError) as caught:
        await client.view(person, RECORD, screen="juminhyo", purpose="certificate", nonce=nonce)
    return caught.value.message


@pytest.mark.real
async def test_from_a_touch_to_the_answer_who_opened_the_record() -> None:
    async with Stage(free_ports(), people=2) as stage, stage.door() as door, stage.application() as resident:
        seat, sato = stage.seats[0], stage.people[0]
        person = await stage.log_in(door, seat, sato)
        nonce = "nonce-0123456789abcdef"
        receipt = await resident.view(person, RECORD, screen="juminhyo", purpose="certificate", nonce=nonce)
        assert (receipt.subject, receipt.seat, receipt.grade) == (person.subject, seat, Grade.MATCHED)
        reader = Reader(stage.ledger)
        (row,) = reader.rows([receipt.seq])
        assert leaf_hash(row.bytes) == receipt.row
        reader.close()
        assert "nonce" in await refused(resident, person, nonce)
        await stage.log_out(seat)
        assert "no such session" in await refused(resident, person)
        opened, *others = await views(stage, "--record", RECORD, "--purpose", "case-17")
        assert (opened["row"], opened["grade"], opened["seat"]) == (receipt.seq, "B", seat)
        assert isinstance(opened["person"], dict)
        assert opened["person"]["name"] == sato.name
        assert [each["why"] for each in others] == ["replayed", "no_session", None]
        assert (others[-1]["system"], others[-1]["subject"], others[-1]["grade"]) == ("authd", None, "D")
