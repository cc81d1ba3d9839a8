"""Who signs what, until when, and who is told when nobody does."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from authd.core.model import EndReason, Entry, Kind, SessionId, SubjectId, Value
from authd.service.bus.house import Refused
from authd.service.evidence.supervision.queue import digest
from tests.service.evidence.supervision.office import CHIEF, HEAD, ITO, ONE, SATO, TERMS, TWO, Office, office

MARCH = "2027-03"


async def left_open(desk: Office, who: SubjectId = SATO, at: str = "2027-03-04T10:00") -> None:
    """A session that nobody ended, and then April has come."""
    desk.clock.set(at)
    session = SessionId(f"ses_{who}_{at}")
    await desk.ledger.append(Entry(Kind.SESSION_STARTED, ONE, subject=who, session=session))
    await desk.ledger.append(Entry(Kind.SESSION_ENDED, ONE, subject=who, session=session, reason=EndReason.ABSENCE))
    desk.clock.set("2027-04-02T09:00")
    await desk.hear()


async def shown(desk: Office, who: SubjectId, section: str = "resident") -> str:
    return digest((await desk.part.reviews.one(section, MARCH))[0].for_signer(who))


async def test_a_month_without_anything_is_signed_too(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        desk.clock.set("2027-04-02T09:00")
        await desk.hear()
        assert [(each.section, each.month, each.done) for each in await desk.part.reviews.all()] == [
            ("resident", "2027-02", False), ("tax", "2027-02", False),
            ("resident", MARCH, False), ("tax", MARCH, False),
        ]  # fmt: skip
        desk.pipeline.sit(ONE, HEAD)
        assert (await desk.part.reviews.sign(ONE, "resident", MARCH, digest([]))).done
        with pytest.raises(Refused, match="signed already"):
            await desk.part.reviews.sign(ONE, "resident", MARCH, digest([]))


async def test_without_a_touch_nothing_is_signed(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await left_open(desk)
        desk.pipeline.sit(ONE, HEAD)
        desk.pipeline.touches = False
        with pytest.raises(Refused, match="touch did not come"):
            await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, HEAD))
        assert desk.pipeline.asked == ["authd/roster", "authd/review"]
        assert await desk.rows(Kind.REVIEW_SIGNED) == []


@pytest.mark.parametrize("who", [SATO, ITO, CHIEF])
async def test_nobody_signs_but_who_supervises_or_is_above(tmp_path: Path, who: SubjectId) -> None:
    async with office(tmp_path) as desk:
        await desk.hire(*(each for each in TERMS if each.staff_number != "1"))
        await left_open(desk)
        desk.pipeline.sit(ONE, who)
        with pytest.raises(Refused, match="only the section's supervisors"):
            await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, who))


async def test_the_next_one_up_may_sign_instead(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await left_open(desk)
        desk.pipeline.sit(ONE, CHIEF)
        assert (await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, CHIEF))).done


async def test_without_a_roster_officers_are_the_supervisors(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await left_open(desk)
        desk.pipeline.sit(ONE, HEAD)
        with pytest.raises(Refused, match="only the section's supervisors"):
            await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, HEAD))
        desk.pipeline.sit(ONE, CHIEF)
        assert (await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, CHIEF))).done


async def test_an_officer_of_the_store_alone_is_none(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await left_open(desk)
        person = desk.store.people[ITO]
        await desk.store.save_person(type(person)(ITO, "1004", "伊藤 健", "", "tax", officer=True))
        desk.pipeline.sit(ONE, ITO)
        with pytest.raises(Refused, match="only the section's supervisors"):
            await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, ITO))


async def test_what_somebody_did_themselves_waits_for_somebody_else(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await left_open(desk, HEAD)
        desk.pipeline.sit(ONE, HEAD)
        review = await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, HEAD))
        assert not review.done
        with pytest.raises(Refused, match="somebody else signs"):
            await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, HEAD))
        desk.pipeline.sit(ONE, CHIEF)
        assert (await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, CHIEF))).done


async def test_who_allowed_an_export_does_not_sign_for_it(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        desk.clock.set("2027-03-04T10:00")
        data: dict[str, Value] = {"carryout": "co_1", "given_to": SATO, "approver": HEAD}
        await desk.ledger.append(Entry(Kind.CARRYOUT_USED, data=data))
        desk.clock.set("2027-04-02T09:00")
        await desk.hear()
        (item,) = (await desk.part.reviews.one("resident", MARCH))[0].items  # of the section whose name it is in
        assert item.subject == SATO
        desk.pipeline.sit(ONE, HEAD)
        assert await shown(desk, HEAD) == digest([])
        assert not (await desk.part.reviews.sign(ONE, "resident", MARCH, digest([]))).done
        desk.pipeline.sit(ONE, CHIEF)
        assert (await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, CHIEF))).done


async def test_what_was_not_shown_is_not_signed(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await left_open(desk)
        desk.pipeline.sit(ONE, HEAD)
        seen = await shown(desk, HEAD)

        async def meanwhile() -> None:
            late: dict[str, Value] = {"what": "day", "day": "2027-03-31", "absence": 1}
            await desk.ledger.append(Entry(Kind.DISCIPLINE_NOTED, ONE, subject=SATO, data=late))

        desk.pipeline.before_touch = meanwhile
        with pytest.raises(Refused, match="more to look at"):
            await desk.part.reviews.sign(ONE, "resident", MARCH, seen)
        assert await desk.rows(Kind.REVIEW_SIGNED) == []


async def test_what_comes_after_the_signature_opens_the_month_again(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await left_open(desk)
        desk.pipeline.sit(ONE, HEAD)
        await desk.part.reviews.sign(ONE, "resident", MARCH, await shown(desk, HEAD))
        late: dict[str, Value] = {"what": "day", "day": "2027-03-31", "idle": 1}
        await desk.ledger.append(Entry(Kind.DISCIPLINE_NOTED, TWO, subject=SATO, data=late))
        assert not (await desk.part.reviews.one("resident", MARCH))[0].done


@pytest.mark.parametrize("month", ["2027-04", "2031-01", "x", "2027-13"])
async def test_a_month_that_is_not_over_cannot_be_signed(tmp_path: Path, month: str) -> None:
    async with office(tmp_path) as desk:
        desk.clock.set("2027-04-02T09:00")
        desk.pipeline.sit(ONE, CHIEF)
        with pytest.raises(Refused):
            await desk.part.reviews.sign(ONE, "resident", month, digest([]))


async def test_nobody_at_the_seat_signs_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        desk.clock.set("2027-04-02T09:00")
        with pytest.raises(Refused, match="must be logged in"):
            await desk.part.reviews.sign(ONE, "resident", MARCH, digest([]))


async def test_unsigned_ones_go_up_a_level_after_the_due_day_and_the_status_says_so(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-01T09:00") as desk:
        await desk.hire()
        told: list[tuple[str, object, object]] = []
        for day in ("04-01", "04-12", "04-13", "04-14", "04-20", "04-30"):
            desk.clock.set(f"2027-{day}T09:00")
            await desk.hear()
            rows = [row.entry.data for row in await desk.rows(Kind.REVIEW_ESCALATED)]
            rows = [data for data in rows if data["section"] == "resident"]
            told.append((day, len(rows), rows[-1]["to"] if rows else None))
        assert told == [
            ("04-01", 0, None), ("04-12", 0, None),
            ("04-13", 1, CHIEF), ("04-14", 1, CHIEF),
            ("04-20", 2, "officers"), ("04-30", 2, "officers"),
        ]  # fmt: skip
        assert desk.part.state()["reviews_late"] == [f"{MARCH} resident", f"{MARCH} tax"]
        desk.pipeline.sit(ONE, HEAD)
        await desk.part.reviews.sign(ONE, "resident", MARCH, digest([]))
        assert desk.part.state()["reviews_late"] == [f"{MARCH} tax"]


async def test_a_restart_does_not_escalate_twice(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-01T09:00") as desk:
        await desk.hire()
        desk.clock.set("2027-04-13T09:00")
        await desk.hear()
        desk.part = await desk.again()
        await desk.hear()
        assert len(await desk.rows(Kind.REVIEW_ESCALATED)) == 2


async def test_who_has_moved_is_reviewed_where_they_worked(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        moved = replace(TERMS[2], section="tax", since=date(2027, 4, 1))
        await desk.hire(*TERMS, moved)
        await left_open(desk)
        review, _ = await desk.part.reviews.one("resident", MARCH)
        assert [item.subject for item in review.items] == [SATO]
