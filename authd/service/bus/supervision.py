"""Verbs about supervision: reviews to sign, rosters, seats left open, an owner seen elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Annotated, Final

from msgspec import Meta, Struct

from authd.core.model import SeatId, SubjectId
from authd.service.bus import wire
from authd.service.bus.envelope import iso
from authd.service.bus.house import Error, Peer, Refused, Role
from authd.service.bus.verbs import ADMIN, SCREEN, Desk, Fields, Talk, Verb, moment
from authd.service.evidence.supervision import Alert, Seen, Supervision
from authd.service.evidence.supervision.elsewhere import Source
from authd.service.evidence.supervision.queue import MOST_ITEMS, Item, Review, digest
from authd.service.evidence.supervision.roll import Checked
from authd.service.evidence.supervision.terms import Change, Term

Month = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}(?![\s\S])")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?![\s\S])")]
Staff = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}(?![\s\S])")]
Minute = Annotated[int, Meta(ge=0, le=24 * 60)]
Weekday = Annotated[int, Meta(ge=1, le=7)]
MOST_ROWS: Final = 500
"""Rows of one message, which has at most 64 kB anyway."""


class RosterRow(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a roster, as it was read."""

    line: wire.Number
    staff_number: Staff
    name: wire.Text
    section: wire.Text
    since: date
    kana: wire.Text = ""
    until: date | None = None
    start: Minute | None = None
    end: Minute | None = None
    days: Annotated[tuple[Weekday, ...], Meta(min_length=1, max_length=7)] = (1, 2, 3, 4, 5)
    supervisor: bool = False
    reports_to: Staff | None = None


class SeenRow(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a feed of doors or time clocks."""

    staff_number: Staff
    place: wire.Text
    at: wire.Moment
    source: Source = Source.DOOR
    out: bool = False


class ReviewsCall(wire.Call, frozen=True, tag="reviews"):
    """Ask which months are to be reviewed: all of them, or those of whoever is logged in at the seat."""

    seat: wire.Name | None = None


class ReviewItems(wire.Call, frozen=True, tag="review_items"):
    """Ask what is to be looked at in one section's month."""

    section: wire.Text
    month: Month
    seat: wire.Name | None = None


class ReviewSign(wire.Call, frozen=True, tag="review_sign"):
    """Sign what was shown, with the touch of whoever is logged in at the seat."""

    section: wire.Text
    month: Month
    digest: Digest
    seat: wire.Name


class ReviewAlerts(wire.Call, frozen=True, tag="review_alerts"):
    """Ask whether whoever is logged in at the seat supervises anybody, and what they are to be shown at once."""

    seat: wire.Name


class SeenCall(wire.Call, frozen=True, tag="seen"):
    """Say where people were seen."""

    rows: Annotated[tuple[SeenRow, ...], Meta(max_length=MOST_ROWS)]


class RosterStage(wire.Call, frozen=True, tag="roster_stage"):
    """Send the next rows of a roster; `at` 0 begins anew."""

    digest: Digest
    at: wire.Number
    rows: Annotated[tuple[RosterRow, ...], Meta(max_length=MOST_ROWS)]


class RosterImport(wire.Call, frozen=True, tag="roster_import"):
    """Ask what the staged roster would change; with a seat, put it into force after the touch of the officer there."""

    digest: Digest
    seat: wire.Name | None = None


class RosterShow(wire.Call, frozen=True, tag="roster_show"):
    """Ask what the roster in force says."""


async def reviews(desk: Desk, talk: Talk, call: ReviewsCall) -> None:
    """Stream the reviews, the oldest first."""
    part = desk.house.evidence.supervision
    who = _who(part, talk.peer(), call.seat)
    for review in await part.reviews.all():
        if who is not None and not await part.reviews.may_see(who, review):
            continue
        talk.peer()
        await talk.item({"item": await _review(desk, part, review, who)})


async def review_items(desk: Desk, talk: Talk, call: ReviewItems) -> None:
    """Stream one review, then its items, then why sessions ended."""
    part = desk.house.evidence.supervision
    who = _who(part, talk.peer(), call.seat)
    review, causes = await part.reviews.one(call.section, call.month)
    if who is not None and not await part.reviews.may_see(who, review):
        raise Refused(Error.REFUSED, "only the section's supervisors and those above them see this")
    await talk.item({"review": await _review(desk, part, review, who)})
    uncovered = {item.seqs for item in review.open}
    for item in list(review.items)[:MOST_ITEMS]:
        await talk.item({"item": _item(desk, item, open_=item.seqs in uncovered)})
    for (seat, subject), counts in causes.items():
        await talk.item({"ended": {"seat": seat, **_person(desk, subject), "counts": counts}})


async def review_sign(desk: Desk, peer: Peer, call: ReviewSign) -> Fields:
    """Take a signature."""
    part = desk.house.evidence.supervision
    review = await part.reviews.sign(SeatId(call.seat), call.section, call.month, call.digest)
    return {"review": await _review(desk, part, review, None)}


async def review_alerts(desk: Desk, peer: Peer, call: ReviewAlerts) -> Fields:
    """Say who was seen elsewhere lately."""
    part = desk.house.evidence.supervision
    who = part.supervisor_at(SeatId(call.seat))
    found = await part.alerts_for(who)
    return {"supervisor": await part.is_supervisor(who), "alerts": [_alert(desk, each) for each in found]}


async def seen(desk: Desk, peer: Peer, call: SeenCall) -> Fields:
    """Take a feed's lines."""
    feed = [Seen(each.staff_number, each.place, moment(each.at), each.source, each.out) for each in call.rows]
    noted, passed = await desk.house.evidence.supervision.seen(feed)
    return {"noted": noted, "passed": passed}


def roster_stage(desk: Desk, peer: Peer, call: RosterStage) -> Fields:
    """Take rows of a roster."""
    rows = [(row.line, _term(row)) for row in call.rows]
    return {"rows": desk.house.evidence.supervision.roll.stage(call.digest, call.at, rows)}


async def roster_import(desk: Desk, talk: Talk, call: RosterImport) -> None:
    """Stream every fault and every change; then say whether it is in force."""
    roll = desk.house.evidence.supervision.roll
    checked = roll.check(call.digest)
    await _checked(desk, talk, checked)
    if call.seat is not None:
        checked = await roll.apply(call.digest, SeatId(call.seat))
    applied = call.seat is not None
    await talk.item({"done": {"applied": applied, "rows": checked.rows, "faults": len(checked.faults)}})


async def roster_show(desk: Desk, talk: Talk, call: RosterShow) -> None:
    """Stream every term."""
    roster = desk.house.evidence.supervision.roll.roster
    for number in sorted(roster.terms) if roster is not None else ():
        for term in roster.terms[number] if roster is not None else ():
            await talk.item({"item": _told(term)})


async def _checked(desk: Desk, talk: Talk, checked: Checked) -> None:
    for fault in checked.faults:
        await talk.item({"fault": asdict(fault)})
    numbers = {person.staff_number for person in await desk.house.people() if not person.disabled}
    for change in checked.changes:
        talk.peer()
        await talk.item({"change": _change(change, enrolled=change.after.staff_number in numbers)})


def _change(change: Change, *, enrolled: bool) -> Fields:
    after, before = _told(change.after), _told(change.before) if change.before else {}
    fields = {name: [before.get(name), after.get(name)] for name in change.fields}
    what = "new" if change.before is None else "changed" if change.fields else "same"
    return {
        "what": what,
        "staff_number": change.after.staff_number,
        "name": change.after.name,
        "since": after["since"],
        "section": change.after.section,
        "fields": fields,
        "enrolled": enrolled,
    }


def _told(term: Term) -> dict[str, object]:
    return asdict(term)


def _term(row: RosterRow) -> Term:
    return Term(
        row.staff_number,
        row.name,
        row.section,
        row.since,
        row.kana,
        row.until,
        row.start,
        row.end,
        row.days,
        row.supervisor,
        row.reports_to or "",
    )


def _who(part: Supervision, peer: Peer, seat: str | None) -> SubjectId | None:
    """For whom it is: whoever is logged in at the seat; None: for the administrator, who sees all of it."""
    if seat is None and peer.role is not Role.ADMIN:
        raise Refused(Error.NOT_PERMITTED, "a screen asks for its own seat")
    return part.supervisor_at(SeatId(seat)) if seat is not None else None


async def _review(desk: Desk, part: Supervision, review: Review, who: SubjectId | None) -> Fields:
    names = desk.house.evidence.supervision.ground.config.sections.get(review.section)
    theirs = review.for_signer(who) if who is not None else review.open
    return {
        "section": review.section,
        "section_ja": names[0] if names else review.section,
        "section_en": names[1] if names else review.section,
        "month": review.month,
        "due": review.due.isoformat(),
        "items": len(review.items),
        "open": len(review.open),
        "done": review.done,
        "level": review.level,
        "late": not review.done and part.calendar.day(part.ground.clock.wall_ms()) > review.due,
        "signed": [
            {"at": iso(each.at_ms), "items": each.items, "seq": each.seq, **_person(desk, each.subject)}
            for each in review.signatures
        ],
        "may_sign": who is not None and not review.done and await part.reviews.may_sign(who, review),
        "digest": digest(theirs),
    }


def _item(desk: Desk, item: Item, *, open_: bool) -> Fields:
    return {
        "what": item.what.value,
        "at": iso(item.at_ms),
        "seat": item.seat,
        **_person(desk, item.subject),
        "others": [_person(desk, each) for each in sorted(item.others)],
        "count": item.count,
        "detail": item.detail,
        "seqs": item.seqs[:20],
        "open": open_,
    }


def _alert(desk: Desk, alert: Alert) -> Fields:
    told = {"place": alert.place, "seen": alert.seen, "source": alert.source, "grade": alert.grade}
    return {"at": iso(alert.at_ms), "seat": alert.seat, **_person(desk, alert.subject), **told}


def _person(desk: Desk, subject: SubjectId | None) -> Fields:
    person = desk.house.person(subject) if subject is not None else None
    if person is None:
        return {"subject": subject, "name": "", "staff_number": "", "person_section": ""}
    names = {"name": person.name, "staff_number": person.staff_number, "person_section": person.section}
    return {"subject": subject, **names}


SUPERVISORS: Final = ADMIN | SCREEN
VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    ReviewsCall: Verb(SUPERVISORS, stream=reviews),
    ReviewItems: Verb(SUPERVISORS, stream=review_items),
    ReviewSign: Verb(SUPERVISORS, waiting=review_sign),
    ReviewAlerts: Verb(SCREEN, waiting=review_alerts),
    SeenCall: Verb(ADMIN, waiting=seen),
    RosterStage: Verb(ADMIN, instant=roster_stage),
    RosterImport: Verb(ADMIN, stream=roster_import),
    RosterShow: Verb(ADMIN, stream=roster_show),
}
