"""Accesses that belong to no session, in the month's review: in whose section, once a kind, and who may not sign."""

from __future__ import annotations

from pathlib import Path

import pytest

from authd.core.model import Entry, Kind, Value
from authd.service.evidence.supervision.queue import Item, digest
from tests.service.evidence.supervision.office import CHIEF, HEAD, ONE, Office, office

MARCH = "2027-03"


async def found(desk: Office, at: str = "2027-03-04T10:00", **said: Value) -> None:
    """`authd unattributed` has found this, and later April has come."""
    desk.clock.set(at)
    usual: dict[str, Value] = {"system": "residents", "source": "postgresql", "why": "shared", "account": "kokuho"}
    data = usual | {"address": "10.0.0.7", "place": "residents", "since_ms": 1, "count": 3, "ends": False} | said
    await desk.ledger.append(Entry(Kind.UNATTRIBUTED_FOUND, data=data))
    desk.clock.set("2027-04-02T09:00")
    await desk.hear()


async def items(desk: Office, section: str, month: str = MARCH) -> list[Item]:
    return [item for each in await desk.part.reviews.all() if (each.section, each.month) == (section, month)
            for item in each.items]  # fmt: skip


async def test_it_stands_in_the_section_whose_seats_have_the_system_and_in_its_month(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await found(desk, "2027-02-28T23:59", account="february")
        await found(desk)
        (item,) = await items(desk, "resident")
        assert (item.what, item.subject, item.seat) == ("unattributed", None, None)
        assert item.detail == {
            "system": "residents",
            "source": "postgresql",
            "why": "shared",
            "account": "kokuho",
            "address": "10.0.0.7",
            "place": "residents",
        }
        assert [each.detail["account"] for each in await items(desk, "resident", "2027-02")] == ["february"]
        assert await items(desk, "tax") == []


@pytest.mark.parametrize("system", ["shared", "wired-no-more"])
async def test_of_several_sections_systems_and_of_none_officers_hear(tmp_path: Path, system: str) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await found(desk, system=system)
        assert len(await items(desk, "")) == 1
        assert await items(desk, "resident") == await items(desk, "tax") == []
        review, _ = await desk.part.reviews.one("", MARCH)
        assert await desk.part.reviews.may_sign(CHIEF, review)
        assert not await desk.part.reviews.may_sign(HEAD, review)


async def test_one_kind_of_access_is_one_item_however_often_it_comes(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        for day in (4, 5, 6):
            await found(desk, f"2027-03-0{day}T02:00")
        await found(desk, "2027-03-07T02:00", address="10.0.0.8")
        assert [(each.count, len(each.seqs)) for each in await items(desk, "resident")] == [(3, 3), (1, 1)]


async def test_it_is_signed_and_what_comes_later_opens_the_month_again(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await found(desk)
        desk.pipeline.sit(ONE, HEAD)
        shown = (await desk.part.reviews.one("resident", MARCH))[0].for_signer(HEAD)
        assert (await desk.part.reviews.sign(ONE, "resident", MARCH, digest(shown))).done
        await found(desk, "2027-03-31T10:00")
        assert not (await desk.part.reviews.one("resident", MARCH))[0].done


async def test_whose_account_it_is_does_not_sign_and_is_not_named(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await found(desk, why="nobody", account="staff_1001")
        desk.pipeline.sit(ONE, HEAD)
        review = await desk.part.reviews.sign(ONE, "resident", MARCH, digest([]))
        assert not review.done
        (item,) = review.items
        assert item.concerns(HEAD)
        assert (item.subject, item.others) == (None, frozenset())
        desk.pipeline.sit(ONE, CHIEF)
        assert (await desk.part.reviews.sign(ONE, "resident", MARCH, digest([item]))).done
