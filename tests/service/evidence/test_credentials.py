"""What the ledger knows of passwords that authd keeps: the last version of each, and never a password."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authd.core.model import Kind
from authd.service.bus import credentials as verbs
from authd.service.bus.house import Peer, Refused, Role
from authd.service.bus.peers import ADMIN
from authd.service.evidence.credentials import ROWS_AT_ONCE, Credentials, Noted, What
from tests.service.evidence.carryout.desk import Desk, town_hall

FIRST = Noted(What.SEALED, "tax", "staff_1042", 1, "a" * 64, "root")
RESIDENT = Peer(Role.APPLICATION, "resident")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk, None]:
    async with town_hall(tmp_path) as made:
        yield made


@pytest.fixture
def part(desk: Desk) -> Credentials:
    return Credentials(desk.ground)


async def test_each_is_a_row_and_another_life_knows_the_last(desk: Desk, part: Credentials) -> None:
    await part.note(FIRST)
    last = await part.note(replace(FIRST, what=What.ROTATED, version=3, digest="b" * 64))
    (row,) = await desk.rows(Kind.CREDENTIAL_SEALED)
    assert dict(row.entry.data) == {
        "system": "tax",
        "account": "staff_1042",
        "version": 1,
        "digest": "a" * 64,
        "by": "root",
    }
    again = Credentials(desk.ground)
    await again.begin()
    ((seq, _, noted),) = again.all()
    assert (seq, noted.what, noted.version) == (last, What.ROTATED, 3)
    assert again.state() == {"sealed": 1, "known_to_somebody": 0}


async def test_the_same_again_is_the_same_row(desk: Desk, part: Credentials) -> None:
    assert await part.note(FIRST) == await part.note(FIRST)
    assert len(await desk.rows(Kind.CREDENTIAL_SEALED)) == 1


@pytest.mark.parametrize("version", [0, 1, 2, 3])
async def test_a_vault_that_was_put_back_is_refused(part: Credentials, version: int) -> None:
    await part.note(replace(FIRST, version=3))
    with pytest.raises(Refused, match="put back"):
        await part.note(replace(FIRST, version=version, digest="b" * 64))
    await part.note(replace(FIRST, account="staff_1043", version=version))


async def test_a_flood_fills_no_ledger(desk: Desk, part: Credentials) -> None:
    async def flood() -> None:
        for version in range(1, ROWS_AT_ONCE + 2_000):
            await part.note(replace(FIRST, version=version))

    with pytest.raises(Refused, match="busy"):
        await flood()


async def test_an_application_speaks_of_itself_and_an_administrator_names_the_system(desk: Desk) -> None:
    part = Credentials(desk.ground)
    house: Any = SimpleNamespace(house=SimpleNamespace(evidence=SimpleNamespace(credentials=part)))
    plain: dict[str, Any] = {"id": 1, "what": What.SEALED, "account": "a", "version": 1, "digest": "c" * 64}
    await verbs.noted(house, RESIDENT, verbs.CredentialNoted(**plain))
    await verbs.noted(house, ADMIN, verbs.CredentialNoted(**plain, system="tax"))
    assert [noted.system for _, _, noted in part.all()] == ["resident", "tax"]
    for peer, system in ((RESIDENT, "tax"), (ADMIN, None)):
        with pytest.raises(Refused, match="not_permitted"):
            await verbs.noted(house, peer, verbs.CredentialNoted(**plain, system=system))
