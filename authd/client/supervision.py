"""Questions about supervision, and the values that come back; the same words with and without `await`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from authd.client.asking import TOUCH_WAIT, Asking
from authd.client.values import decode
from authd.client.waiting import Waiting
from authd.core.model import Value

_MOST_BYTES: Final = 48_000
"""Of the rows of one message."""
_MOST_ROWS: Final = 500


class Signed(msgspec.Struct, frozen=True):
    """One signature under a review: when, by whom, for how many items, and its row in the ledger."""

    at: str
    items: int
    seq: int
    subject: str | None = None
    name: str = ""
    staff_number: str = ""
    person_section: str = ""


class Review(msgspec.Struct, frozen=True):
    """One section's month. `digest` names what is shown: it is given back with the signature."""

    section: str
    month: str
    due: str
    items: int
    open: int
    done: bool
    digest: str
    section_ja: str = ""
    section_en: str = ""
    level: int = 0
    """How many levels up it has been told of."""
    late: bool = False
    may_sign: bool = False
    """Whether whoever is logged in at the seat may sign it."""
    signed: list[Signed] = []


class Person(msgspec.Struct, frozen=True):
    """Somebody of the staff."""

    subject: str | None = None
    name: str = ""
    staff_number: str = ""
    person_section: str = ""


class ReviewItem(Person, frozen=True, kw_only=True):
    """One thing to look at; `seqs`: the first of the ledger's rows that it rests on."""

    what: str
    at: str
    seat: str | None = None
    others: list[Person] = []
    count: int = 1
    detail: dict[str, Value] = {}
    seqs: list[int] = []
    open: bool = True


class Ended(Person, frozen=True, kw_only=True):
    """How often a person's sessions ended at a seat in a month, by reason."""

    seat: str
    counts: dict[str, int]


class Reviewed(msgspec.Struct, frozen=True):
    """A review with everything in it."""

    review: Review
    items: list[ReviewItem]
    ended: list[Ended]


class Alert(Person, frozen=True, kw_only=True):
    """A seat was active while its owner was seen elsewhere. `grade`: of the sighting."""

    at: str
    seat: str
    place: str
    seen: str
    source: str
    grade: str | None = None


class Alerts(msgspec.Struct, frozen=True):
    """What whoever is logged in at a seat is to be shown, if they supervise anybody."""

    supervisor: bool
    alerts: list[Alert]


class RosterFault(msgspec.Struct, frozen=True):
    """What is wrong in a roster, and where; `why` is a key of the catalogue's table `roster_fault`."""

    line: int
    column: int
    why: str
    value: str = ""


class RosterChange(msgspec.Struct, frozen=True):
    """What one row changes. `what`: new, changed, same; `fields`: each with what held before, and what will."""

    what: str
    staff_number: str
    name: str
    since: str
    section: str
    fields: dict[str, tuple[Any, Any]]
    enrolled: bool


class RosterTerm(msgspec.Struct, frozen=True):
    """What the roster says of one person from a day on."""

    staff_number: str
    name: str
    section: str
    since: str
    kana: str = ""
    until: str | None = None
    start: int | None = None
    end: int | None = None
    days: list[int] = []
    supervisor: bool = False
    reports_to: str = ""


class RosterDone(msgspec.Struct, frozen=True):
    """Whether the file is in force now, and what it held."""

    applied: bool
    rows: int
    faults: int


class RosterReport(msgspec.Struct, frozen=True):
    """What a roster would change, or has changed."""

    faults: list[RosterFault]
    changes: list[RosterChange]
    done: RosterDone


class Fed(msgspec.Struct, frozen=True):
    """What became of a feed's lines: sessions that were noted, and lines that said nothing of anybody here."""

    noted: int
    passed: int


class _ReviewFrame(msgspec.Struct, frozen=True):
    review: Review


class _Frame(msgspec.Struct, frozen=True):
    review: Review | None = None
    item: ReviewItem | None = None
    ended: Ended | None = None
    fault: RosterFault | None = None
    change: RosterChange | None = None
    done: RosterDone | None = None


class _Staged(msgspec.Struct, frozen=True):
    rows: int


class SupervisionCalls(Asking):
    """Part of `Client`."""

    async def reviews(self, seat: str | None = None) -> list[Review]:
        """Return the months to be reviewed, the oldest first: of whoever is logged in at the seat, or all (admin)."""
        return await self._collect(Review, "reviews", _seat(seat))

    async def review_items(self, section: str, month: str, seat: str | None = None) -> Reviewed:
        """Return what is to be looked at in one section's month. Raises `DoorError`."""
        fields = {"section": section, "month": month, **_seat(seat)}
        review, items, ended = None, list[ReviewItem](), list[Ended]()
        async with self._stream("review_items", fields) as frames:
            async for _, raw in frames:
                frame = decode(raw, _Frame)
                review = frame.review or review
                items += [frame.item] if frame.item else []
                ended += [frame.ended] if frame.ended else []
        assert review is not None
        return Reviewed(review, items, ended)

    async def sign_review(self, seat: str, section: str, month: str, digest: str) -> Review:
        """Sign what was shown, with the touch of whoever is logged in at the seat. Raises `DoorError`."""
        said = {"seat": seat, "section": section, "month": month, "digest": digest}
        return (await self._ask(_ReviewFrame, "review_sign", TOUCH_WAIT, **said)).review

    async def review_alerts(self, seat: str) -> Alerts:
        """Return who was seen elsewhere, for whoever is logged in at the seat (screens)."""
        return await self._ask(Alerts, "review_alerts", seat=seat)

    async def seen(self, rows: Sequence[Mapping[str, object]]) -> Fed:
        """Say where people were seen: `staff_number`, `place`, `at` (RFC 3339), `source`, `out` (administrators)."""
        return await self._ask(Fed, "seen", rows=list(rows))

    async def import_roster(
        self, digest: str, rows: Sequence[Mapping[str, object]], seat: str | None = None
    ) -> RosterReport:
        """Say what a roster would change; with a seat, put it into force after the touch of the officer there.

        digest: SHA-256 of the file, hex; rows: as `RosterTerm`, with the `line` of each (administrators).
        """
        at = 0
        for part in _parts(rows):
            at = (await self._ask(_Staged, "roster_stage", digest=digest, at=at, rows=part)).rows
        faults, changes, done = list[RosterFault](), list[RosterChange](), RosterDone(False, 0, 0)
        async with self._stream("roster_import", {"digest": digest, **_seat(seat)}) as frames:
            async for _, raw in frames:
                frame = decode(raw, _Frame)
                faults += [frame.fault] if frame.fault else []
                changes += [frame.change] if frame.change else []
                done = frame.done or done
        return RosterReport(faults, changes, done)

    async def roster_terms(self) -> list[RosterTerm]:
        """Return the roster in force (administrators)."""
        return await self._collect(RosterTerm, "roster_show", {})


class SyncSupervisionCalls(Waiting):
    """Part of `SyncClient`."""

    def reviews(self, seat: str | None = None) -> list[Review]:
        """As `Client.reviews`."""
        return self._wait(self._client.reviews(seat))

    def review_items(self, section: str, month: str, seat: str | None = None) -> Reviewed:
        """As `Client.review_items`."""
        return self._wait(self._client.review_items(section, month, seat))

    def sign_review(self, seat: str, section: str, month: str, digest: str) -> Review:
        """As `Client.sign_review`."""
        return self._wait(self._client.sign_review(seat, section, month, digest))

    def review_alerts(self, seat: str) -> Alerts:
        """As `Client.review_alerts`."""
        return self._wait(self._client.review_alerts(seat))

    def seen(self, rows: Sequence[Mapping[str, object]]) -> Fed:
        """As `Client.seen`."""
        return self._wait(self._client.seen(rows))

    def import_roster(self, digest: str, rows: Sequence[Mapping[str, object]], seat: str | None = None) -> RosterReport:
        """As `Client.import_roster`."""
        return self._wait(self._client.import_roster(digest, rows, seat))

    def roster_terms(self) -> list[RosterTerm]:
        """As `Client.roster_terms`."""
        return self._wait(self._client.roster_terms())


def _seat(seat: str | None) -> dict[str, object]:
    return {} if seat is None else {"seat": seat}


def _parts(rows: Sequence[Mapping[str, object]]) -> Iterator[list[Mapping[str, object]]]:
    """Cut rows into messages that fit; a file without rows is one empty message."""
    part: list[Mapping[str, object]] = []
    size = 0
    for row in rows:
        length = len(msgspec.json.encode(row))
        if part and (size + length > _MOST_BYTES or len(part) == _MOST_ROWS):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part or not rows:
        yield part
