"""The verbs of carry-out: who may speak of what. What they do is tested with the part itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authd.core.model import Kind
from authd.service.bus import carryout as verbs
from authd.service.bus.house import Peer, Role
from authd.service.bus.peers import ADMIN
from authd.service.evidence.carryout import Leaving, NotOut, Why
from tests.service.desks import ONE, TWO
from tests.service.evidence.carryout.desk import Desk, town_hall

RESIDENT = Peer(Role.APPLICATION, "resident", frozenset({ONE}))
TAX = Peer(Role.APPLICATION, "tax", frozenset({TWO}))
PLAIN: dict[str, Any] = {"id": 1, "kind": Leaving.FILE, "rows": 9, "purpose": "p", "destination": "drive 4C53"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk, None]:
    async with town_hall(tmp_path) as made:
        yield made


def house(desk: Desk) -> Any:
    return SimpleNamespace(house=SimpleNamespace(evidence=SimpleNamespace(carryouts=desk.carryouts)))


async def refused(answer: Any) -> Why:
    with pytest.raises(NotOut) as caught:
        await answer
    return caught.value.why


async def test_an_application_asks_spends_and_is_told_no_more_than_it_needs(desk: Desk) -> None:
    session = desk.session(ONE).id
    ask = verbs.CarryoutRequest(**PLAIN, session=session)
    asked = await desk.touching(ONE, "sato", verbs.request(house(desk), RESIDENT, ask))
    assert asked["system"] == "resident"
    assert "digest" not in asked
    await desk.approve(desk.carryouts.book.all()[0])
    use = verbs.CarryoutUse(
        id=2, kind=Leaving.FILE, destination="drive 4C53", capability=str(asked["capability"]), rows=9, session=session
    )
    assert str(asked["capability"]) not in repr(use)
    used = await verbs.use(house(desk), RESIDENT, use)
    assert used["stage"] == "used"
    assert "capability" not in used


@pytest.mark.parametrize(
    ("peer", "changes", "why"),
    [
        (RESIDENT, {"seat": "counter-2"}, Why.NO_SESSION),
        (RESIDENT, {"session": "ses_of_nobody"}, Why.NO_SESSION),
        (RESIDENT, {}, Why.NO_SESSION),
        (RESIDENT, {"seat": "counter-1", "system": "tax"}, Why.SYSTEM),
        (ADMIN, {"seat": "counter-1"}, Why.SYSTEM),
        (ADMIN, {"seat": "counter-9", "system": "resident"}, Why.NO_SESSION),
    ],
)
async def test_nobody_asks_for_another_system_or_at_another_seat(
    desk: Desk, peer: Peer, changes: dict[str, Any], why: Why
) -> None:
    assert await refused(verbs.request(house(desk), peer, verbs.CarryoutRequest(**PLAIN, **changes))) is why


async def test_an_application_cannot_touch_what_is_anothers(desk: Desk) -> None:
    granted, token = await desk.granted()
    approve = verbs.CarryoutApprove(id=1, carryout=granted.id, session=desk.session(TWO).id)
    assert await refused(verbs.approve(house(desk), TAX, approve)) is Why.UNKNOWN
    plain: dict[str, Any] = {"id": 1, "kind": Leaving.FILE, "destination": "drive 4C53", "rows": 1}
    foreign = verbs.CarryoutUse(**plain, capability=token, session=desk.session(ONE).id)
    assert await refused(verbs.use(house(desk), TAX, foreign)) is Why.SYSTEM
    here = verbs.CarryoutUse(**plain, capability=token, session=desk.session(TWO).id)
    assert await refused(verbs.use(house(desk), RESIDENT, here)) is Why.NO_SESSION  # counter 2 is none of its seats
    own = verbs.CarryoutUse(**plain, capability=token, session=desk.session(TWO).id)
    assert await refused(verbs.use(house(desk), TAX, own)) is Why.SYSTEM
    assert await refused(verbs.use(house(desk), RESIDENT, verbs.CarryoutUse(**plain, title="x"))) is Why.UNKNOWN
    assert len(desk.carryouts.book.out()) == 0
    assert len(await desk.rows(Kind.CARRYOUT_BLOCKED)) == 4
