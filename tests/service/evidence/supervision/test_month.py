"""A simulated month: what the supervisor finds is what was put in, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from datetime import date, timedelta, timezone
from pathlib import Path

import pytest

from authd.core.model import Kind
from authd.service.evidence.supervision.queue import digest
from authd_simulators.month import Clerk, Month, Simulated
from tests.service.evidence.supervision.office import ABE, HEAD, ITO, ONE, SATO, TWO, Office, office
from tests.tools.zone import standing_in

CLERKS = (
    Clerk(SATO, "1003", "佐藤 花子", "resident", ONE),
    Clerk(ITO, "1004", "伊藤 健", "tax", TWO),
    Clerk(ABE, "1009", "阿部 臨", "resident", ONE),
)
ZONE = timezone(timedelta(hours=9))


@pytest.fixture(autouse=True)
def japan() -> Generator[None]:
    """Where the office stands: no hour of its year is there twice, or never."""
    with standing_in("Asia/Tokyo"):
        yield


async def lived(desk: Office, seed: int, month: date = date(2027, 3, 1)) -> Month:
    """The month passes, and supervision hears it day by day."""
    made = Simulated(month, CLERKS, ZONE, seed).make()
    for at_ms, entry in made.rows:
        desk.clock.at_ms = at_ms
        await desk.ledger.append(entry)
    await desk.hear()
    return made


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_put_in_is_found_and_nothing_else(tmp_path: Path, seed: int) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        made = await lived(desk, seed)
        desk.clock.set("2027-04-02T09:00")
        await desk.hear()
        reviews = {each.section: each for each in await desk.part.reviews.all() if each.month == "2027-03"}
        assert set(reviews) == {"resident", "tax"}
        found = Counter[str]()
        for review in reviews.values():
            for item in review.items:
                found[item.what.value] += item.count if item.what.value == "refused" else 1
        left = found.pop("left_open")
        assert found == made.expected
        people = {item.subject for review in reviews.values() for item in review.items if item.what == "left_open"}
        assert left == len(people)
        for review in reviews.values():
            for item in review.items:
                if item.what == "left_open" and item.subject is not None:
                    counts = {name: made.ends[item.subject, name] for name in ("idle", "absence")}
                    assert item.count == sum(counts.values())
                    assert {**counts, "of": sum(n for (who, _), n in made.ends.items() if who == item.subject)} == {
                        name: item.detail.get(name, 0) for name in ("idle", "absence", "of")
                    }


async def test_causes_of_locks_are_counted_by_person_and_seat(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        made = await lived(desk, 7)
        desk.clock.set("2027-04-02T09:00")
        await desk.hear()
        _, causes = await desk.part.reviews.one("resident", "2027-03")
        told = {(subject, reason): count for (_, subject), counts in causes.items() for reason, count in counts.items()}
        assert told == {place: count for place, count in made.ends.items() if place[0] in (SATO, ABE)}


async def test_a_restart_in_the_middle_finds_the_same(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await lived(desk, 1)
        desk.clock.set("2027-04-02T09:00")
        await desk.hear()
        before = (await desk.part.reviews.one("resident", "2027-03"))[0]
        desk.part = await desk.again()
        await desk.part._catch_up()  # pyright: ignore[reportPrivateUsage] (what a start does)
        await desk.hear()
        after = (await desk.part.reviews.one("resident", "2027-03"))[0]
        assert digest(after.items) == digest(before.items)


async def test_a_signature_covers_what_was_shown_and_then_the_month_is_done(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await lived(desk, 2)
        desk.clock.set("2027-04-02T09:00")
        await desk.hear()
        desk.pipeline.sit(ONE, HEAD)
        review, _ = await desk.part.reviews.one("resident", "2027-03")
        signed = await desk.part.reviews.sign(ONE, "resident", "2027-03", digest(review.for_signer(HEAD)))
        assert signed.done
        (row,) = await desk.rows(Kind.REVIEW_SIGNED)
        assert (row.entry.subject, row.entry.data["items"], row.entry.data["left"]) == (HEAD, len(review.items), 0)
