"""One request to the policy as a person writes it down, with the people, seat and system that it speaks of.

```json
{"action": "open_session", "at": "2026-11-24T10:00",
 "subject": {"id": "sub_1", "section": "resident"},
 "seat": {"id": "counter-1", "class": "counter", "section": "resident"},
 "factors": ["vein"], "grade": "B", "margin": 0.1}
```
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from authd.core.model import Action, Decision, Factor, Grade, Request, SeatId, SubjectId
from authd.service.pdp.attributes import Directory, PersonAttrs, SeatAttrs, SystemAttrs
from authd.service.pdp.bundle import Bundle
from authd.service.pdp.decision import LocalTime, Pdp, local_time
from authd.service.pdp.errors import BundleError


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `PersonAttrs`."""

    id: str
    section: str
    officer: bool = False
    disabled: bool = False
    groups: frozenset[str] = frozenset()
    sections: frozenset[str] = frozenset()
    seats: frozenset[str] = frozenset()

    def attrs(self) -> PersonAttrs:
        """As the directory takes it."""
        seats = frozenset(SeatId(seat) for seat in self.seats)
        return PersonAttrs(
            SubjectId(self.id), self.section, self.officer, self.disabled, self.groups, self.sections, seats
        )


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"seat_class": "class"}):
    """See `SeatAttrs`."""

    id: str
    section: str
    seat_class: Literal["counter", "office"] = "counter"
    host: str = "host"
    presence: bool = True


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `SystemAttrs`."""

    id: str
    sections: frozenset[str] | None = None


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `Request`. `at` is local time in ISO 8601; `owner` None: no session is open at the seat."""

    action: Action
    at: str
    subject: Person
    seat: Place
    factors: frozenset[Factor]
    grade: Grade = Grade.MATCHED
    margin: float = 1.0
    pad_level: str = "none"
    pad: float | None = None
    fresh: frozenset[Factor] = frozenset()
    shift_open: bool = False
    owner: str | None = None
    fingers: int = 1
    system: System | None = None
    purpose: str = ""
    clock_trusted: bool = True

    def time(self) -> LocalTime:
        """When it is asked. Raises `ValueError`."""
        return local_time(datetime.fromisoformat(self.at), self.clock_trusted)

    def request(self) -> Request:
        """What the policy is asked."""
        return Request(
            action=self.action,
            subject=SubjectId(self.subject.id),
            seat=SeatId(self.seat.id),
            factors=self.factors,
            shift_open=self.shift_open,
            grade=self.grade,
            margin=self.margin,
            pad_level=self.pad_level,
            pad=self.pad,
            resource=f"{self.system.id}/{self.purpose}" if self.system else "",
            fresh=self.fresh,
            owner=None if self.owner is None else SubjectId(self.owner),
            fingers=self.fingers,
        )

    def directory(self) -> Directory:
        """Only what the question speaks of."""
        found, seat = Directory(), self.seat
        found.set_people([self.subject.attrs()])
        found.set_seats([SeatAttrs(SeatId(seat.id), seat.seat_class, seat.section, seat.host, seat.presence)])
        found.set_systems([SystemAttrs(self.system.id, self.system.sections)] if self.system else [])
        if self.owner is not None and self.owner != self.subject.id:
            found.update(PersonAttrs(SubjectId(self.owner), seat.section))
        return found


def parse(text: bytes | str, file: str = "request") -> Question:
    """Read a question. Raises `BundleError`, whose line is 1: the place is in its text, as `$.subject.id`."""
    try:
        question = msgspec.json.decode(text, type=Question)
        question.time()
    except (msgspec.DecodeError, ValueError) as error:
        raise BundleError(file, 1, f"expected a request: {error}") from error
    return question


def decide(bundle: Bundle, question: Question) -> Decision:
    """Return what this bundle decides."""
    return Pdp(bundle, question.time, question.directory()).decide(question.request())
