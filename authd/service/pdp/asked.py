"""One request to the policy as it is written down, with the people, seat and system that it speaks of as they were.

So it stands in the ledger (`asked`), and so a person hands it to `authd policy explain`.

```json
{"action": "open_session", "at": "2026-11-24T10:00",
 "subject": {"id": "sub_1", "section": "resident"},
 "seat": {"id": "counter-1", "class": "counter", "section": "resident"},
 "factors": ["vein"], "grade": "B", "margin": 0.1}
```
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from authd.core.model import Acr, Action, Factor, Grade, Load, Request, SeatId, SubjectId
from authd.service.pdp.attributes import Directory, PersonAttrs, SeatAttrs, SystemAttrs

_MARGIN_CAP = 1_000_000
_EMPTY: frozenset[Any] = frozenset()
"""One and the same, so that it is known for the default and left out."""


@dataclass(frozen=True, slots=True)
class LocalTime:
    """Wall time at the seat, for the rules about hours; nothing else in authd is decided by it."""

    minute: int
    """hour * 60 + minute of the local day."""
    weekday: int
    """1 Monday to 7 Sunday."""
    date: str
    """ISO, to know holidays by."""
    trusted: bool


def local_time(now: datetime, trusted: bool) -> LocalTime:
    """Make the time of a local `datetime`."""
    return LocalTime(now.hour * 60 + now.minute, now.isoweekday(), now.date().isoformat(), trusted)


def thousandths(margin: float) -> int:
    """A margin as the rules see it: Cedar has no fractions. Rounded down; what is no number is below every minimum."""
    if math.isnan(margin):
        return -_MARGIN_CAP
    return math.floor(round(max(-_MARGIN_CAP, min(_MARGIN_CAP, margin * 1_000)), 6))


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """See `PersonAttrs`."""

    id: str
    section: str
    officer: bool = False
    disabled: bool = False
    groups: frozenset[str] = _EMPTY
    sections: frozenset[str] = _EMPTY
    seats: frozenset[str] = _EMPTY

    def attrs(self) -> PersonAttrs:
        """As the directory takes it."""
        seats = frozenset(SeatId(seat) for seat in self.seats)
        return PersonAttrs(
            SubjectId(self.id), self.section, self.officer, self.disabled, self.groups, self.sections, seats
        )


class Place(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"seat_class": "class"}
):
    """See `SeatAttrs`."""

    id: str
    section: str
    seat_class: Literal["counter", "office"] = "counter"
    host: str = "host"
    presence: bool = True


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """See `SystemAttrs`."""

    id: str
    sections: frozenset[str] | None = None


class Leaving(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """See `Load`."""

    kind: Literal["export", "print", "file", "usb"]
    rows: int
    destination: str = ""
    covered: bool = True


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
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
    fresh: frozenset[Factor] = _EMPTY
    shift_open: bool = False
    owner: str | None = None
    fingers: int = 1
    helper: Person | None = None
    vouches: int = 0
    acr: Acr = Acr.ONE
    max_age: int | None = None
    break_glass: bool = False
    system: System | None = None
    purpose: str = ""
    load: Leaving | None = None
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
            helper=SubjectId(self.helper.id) if self.helper else None,
            vouches=self.vouches,
            acr=self.acr,
            max_age=self.max_age,
            break_glass=self.break_glass,
            load=Load(**msgspec.structs.asdict(self.load)) if self.load else None,
        )

    def directory(self) -> Directory:
        """Only what the question speaks of."""
        found, seat = Directory(), self.seat
        found.set_people([person.attrs() for person in (self.helper, self.subject) if person is not None])
        found.set_seats([SeatAttrs(SeatId(seat.id), seat.seat_class, seat.section, seat.host, seat.presence)])
        found.set_systems([SystemAttrs(self.system.id, self.system.sections)] if self.system else [])
        if self.owner is not None and found.person(SubjectId(self.owner)) is None:
            found.update(PersonAttrs(SubjectId(self.owner), seat.section))
        return found


_encode = msgspec.json.Encoder(order="deterministic").encode


def written(request: Request, directory: Directory, time: LocalTime) -> str:
    """Write down what was asked; empty where somebody or something that it names is not known.

    Margins are as the rules see them, in thousandths: what they do not see decides nothing.
    """
    subject, place = directory.person_attrs(request.subject), directory.seat(request.seat)
    helper = directory.person_attrs(request.helper) if request.helper is not None else None
    if subject is None or place is None or (helper is None and request.helper is not None):
        return ""
    name, _, purpose = request.resource.partition("/")
    seat = place.attrs
    question = Question(
        action=request.action,
        at=f"{time.date}T{time.minute // 60:02d}:{time.minute % 60:02d}",
        subject=_person(subject),
        seat=Place(
            seat.seat, seat.section, "office" if seat.seat_class == "office" else "counter", seat.host, seat.presence
        ),
        factors=request.factors,
        grade=request.grade,
        margin=thousandths(request.margin) / 1_000,
        pad_level=request.pad_level,
        pad=None if request.pad is None else thousandths(request.pad) / 1_000,
        fresh=request.fresh or _EMPTY,
        shift_open=request.shift_open,
        owner=request.owner,
        fingers=request.fingers,
        helper=_person(helper) if helper else None,
        vouches=request.vouches,
        acr=request.acr,
        max_age=request.max_age,
        break_glass=request.break_glass,
        system=_system(directory.system_attrs(name)),
        purpose=purpose,
        load=Leaving(**asdict(request.load)) if request.load else None,
        clock_trusted=time.trusted,
    )
    return _encode(question).decode()


def _person(attrs: PersonAttrs) -> Person:
    return Person(
        id=attrs.subject,
        section=attrs.section,
        officer=attrs.officer,
        disabled=attrs.disabled,
        groups=attrs.groups or _EMPTY,
        sections=attrs.sections or _EMPTY,
        seats=frozenset(str(seat) for seat in attrs.seats) or _EMPTY,
    )


def _system(attrs: SystemAttrs | None) -> System | None:
    return None if attrs is None else System(attrs.system, attrs.sections)
