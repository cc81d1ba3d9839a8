"""`settings.toml`: times and thresholds, read strictly. No value may be looser than the standard named with it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType

from authd.core.model import SECOND, Handover, Limits
from authd.service.pdp.scope import AUTO
from authd.service.toml import Reader
from authd.service.words import is_name

CLASSES = ("counter", "office")
FINGERS: Mapping[str | int, int] = {"auto": AUTO, 1: 1, 2: 2}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

JUKI = "standard: Juki-net municipal rules, idle <= 5 min"
NIST = "standard: NIST SP 800-63B-4 AAL3, overall <= 12 h"
FRESH = "authd invariant I1: a grant rests on a touch of at most 10 s"
LEFT = "authd: a seat somebody left is locked within a minute"
SHOWN = "authd: a fade is a warning, not a delay"
BOUNCE = "authd: after a bounce the owner's touch must lock"
REMOVAL = "authd invariant I3: locked at most 1 s after a key or card was taken out"
VOUCHED = "authd: a colleague's word is an exception, at most 3 a calendar month"
GLASS = "authd: a break-glass session lasts at most 60 min"
ROWS = "authd: a grant is for a number of rows that a second person can judge"
UNUSED = "authd feature 13: a grant that nobody used is gone within a day"
OUT = "authd feature 13: what is out is asked after within a month (Sakai: four years)"
TRIPWIRE = "authd: a tripwire nobody can reach is none"
UNATTRIBUTED = "authd: long enough for a connection that is just being cut off, and no longer"
IDENTIFY = "authd feature 7: false identification of a touch <= 1e-4"

_SPANS: Mapping[str, tuple[str, float, float, str]] = {
    "idle_s": ("idle", 5, 300, JUKI),
    "absence_s": ("absence", 1, 60, LEFT),
    "fade_s": ("fade", 0, 30, SHOWN),
    "overall_s": ("overall", 60, 43_200, NIST),
    "freshness_s": ("freshness", 1, 10, FRESH),
    "bounce_s": ("bounce", 0, 5, BOUNCE),
    "removal_grace_s": ("removal", 0, 0.8, REMOVAL),
}


@dataclass(frozen=True, slots=True)
class Hours:
    """Duty hours: days 1 (Monday) to 7, minutes of the local day from `start` to before `end`."""

    days: frozenset[int] = frozenset(range(1, 6))
    start: int = 7 * 60
    end: int = 21 * 60
    holidays: bool = False

    def open_on(self, weekday: int, holiday: bool) -> bool:
        """Whether such a day is a day of duty at all."""
        return self.holidays if holiday else weekday in self.days


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the rules are given with each request, and the bound of identification (FEATURES.md 7)."""

    shift_may_begin_with_one_factor: bool = False
    seat_key_counts: bool = True
    vouches_a_month: int = 3
    break_glass: int = 3_600 * SECOND
    """How long such a session lasts, in nanoseconds."""
    untrusted_clock_may_open: bool = False
    min_margin: float = 0.02
    max_false_identification: float = 1e-4
    template_update: bool = False


@dataclass(frozen=True, slots=True)
class Carryout:
    """Bounds of what leaves, and how many records one session, one person's day, may open before somebody is told."""

    most_rows: int = 100_000
    expires_h: float = 8
    """Hours from the request, at most, in which it can be used."""
    return_days: int = 7
    """Days, at most, after which it is to be back or erased."""
    trip_session: int = 60
    trip_day: int = 300


@dataclass(frozen=True, slots=True)
class Unattributed:
    """Access to a wired system that belongs to no session: what becomes of it once it is found."""

    end: frozenset[str] = frozenset()
    """Systems where it is ended; `*`: all of them."""
    grace_s: float = 3.0
    """How long an access may outlive its session before it is found."""

    def ends(self, system: str) -> bool:
        """Whether it is ended there."""
        return bool(self.end & {system, "*"})


def _default_limits() -> Mapping[str, Limits]:
    office = Limits(idle=300 * SECOND, handover=Handover.PARK)
    return MappingProxyType({"counter": Limits(), "office": office})


def _default_fingers() -> Mapping[str, int]:
    return MappingProxyType(dict.fromkeys(CLASSES, AUTO))


def _default_hours() -> Mapping[str, Hours]:
    return MappingProxyType({"default": Hours()})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything in `settings.toml`. `limits`, `fingers` by class; `hours` by `default`, `class.X`, `section.X`."""

    limits: Mapping[str, Limits] = field(default_factory=_default_limits)
    fingers: Mapping[str, int] = field(default_factory=_default_fingers)
    """How many fingers a touch must show, by seat class: 1, 2, or as many as its bound asks (`AUTO`)."""
    thresholds: Thresholds = Thresholds()
    hours: Mapping[str, Hours] = field(default_factory=_default_hours)
    holidays: frozenset[str] = frozenset()
    carryout: Carryout = Carryout()
    unattributed: Unattributed = Unattributed()

    def hours_of(self, seat_class: str, section: str) -> Hours:
        """Duty hours of a seat: its section's, else its class's, else the default ones."""
        found = self.hours.get(f"section.{section}") or self.hours.get(f"class.{seat_class}")
        return found or self.hours["default"]

    def working(self, day: date) -> bool:
        """Whether the office is open on a day, by the default hours and the holidays."""
        return self.hours["default"].open_on(day.isoweekday(), day.isoformat() in self.holidays)

    def holidays_from(self, day: date) -> int:
        """How many holidays are known from a day on: none, and every holiday to come is a day like any other."""
        return sum(holiday >= day.isoformat() for holiday in self.holidays)


def next_duty(settings: Settings, day: date, seat_class: str, section: str) -> date:
    """First day of duty after this one, for what is due on the next working day; a week later if there is none."""
    hours = settings.hours_of(seat_class, section)
    for ahead in range(1, 60):
        found = day + timedelta(days=ahead)
        if hours.open_on(found.isoweekday(), found.isoformat() in settings.holidays):
            return found
    return day + timedelta(days=7)


def parse(text: str, file: str = "settings.toml") -> Settings:
    """Read the settings. Raises `BundleError` with the line and what is expected there."""
    toml = Reader(text, file)
    toml.only((), ("seat", "rules", "calendar", "hours", "carryout", "unattributed"))
    toml.only(("seat",), CLASSES)
    base = _default_limits()
    return Settings(
        limits=MappingProxyType({name: _limits(toml, name, base[name]) for name in CLASSES}),
        fingers=MappingProxyType({name: _fingers(toml, name) for name in CLASSES}),
        thresholds=_thresholds(toml),
        hours=MappingProxyType(_hours(toml)),
        holidays=_holidays(toml),
        carryout=_carryout(toml),
        unattributed=_unattributed(toml),
    )


def _limits(toml: Reader, seat_class: str, base: Limits) -> Limits:
    path = ("seat", seat_class)
    toml.only(path, (*_SPANS, "handover", "fingers"))
    spans = {
        name: round(toml.number((*path, key), _seconds(base, name), low, high, standard) * SECOND)
        for key, (name, low, high, standard) in _SPANS.items()
    }
    if spans["fade"] >= min(spans["idle"], spans["absence"]):
        toml.fail((*path, "fade_s"), "fade_s must be < idle_s and < absence_s, whose visible end it is")
    return Limits(**spans, handover=Handover(toml.choice((*path, "handover"), base.handover, tuple(Handover))))


def _fingers(toml: Reader, seat_class: str) -> int:
    return FINGERS[toml.one_of(("seat", seat_class, "fingers"), "auto", tuple(FINGERS))]


def _seconds(base: Limits, name: str) -> float:
    return float(getattr(base, name)) / SECOND


def _thresholds(toml: Reader) -> Thresholds:
    base = Thresholds()
    flags = ("shift_may_begin_with_one_factor", "untrusted_clock_may_open", "template_update", "seat_key_counts")
    toml.only(("rules",), (*flags, "min_margin", "max_false_identification", "vouches_a_month", "break_glass_s"))
    return Thresholds(
        seat_key_counts=toml.flag(("rules", flags[3]), base.seat_key_counts),
        vouches_a_month=math.floor(toml.number(("rules", "vouches_a_month"), base.vouches_a_month, 0, 3, VOUCHED)),
        break_glass=round(toml.number(("rules", "break_glass_s"), 3_600, 60, 3_600, GLASS) * SECOND),
        shift_may_begin_with_one_factor=toml.flag(("rules", flags[0]), base.shift_may_begin_with_one_factor),
        untrusted_clock_may_open=toml.flag(("rules", flags[1]), base.untrusted_clock_may_open),
        template_update=toml.flag(("rules", flags[2]), base.template_update),
        min_margin=toml.number(("rules", "min_margin"), base.min_margin, 0, 1_000, "a score is not negative"),
        max_false_identification=toml.number(("rules", "max_false_identification"), 1e-4, 1e-12, 1e-4, IDENTIFY),
    )


def _carryout(toml: Reader) -> Carryout:
    base, table = Carryout(), "carryout"
    toml.only((table,), ("most_rows", "expires_h", "return_days", "trip_session", "trip_day"))
    return Carryout(
        most_rows=math.floor(toml.number((table, "most_rows"), base.most_rows, 0, 10_000_000, ROWS)),
        expires_h=toml.number((table, "expires_h"), base.expires_h, 0.1, 24, UNUSED),
        return_days=math.floor(toml.number((table, "return_days"), base.return_days, 1, 31, OUT)),
        trip_session=math.floor(toml.number((table, "trip_session"), base.trip_session, 1, 10_000, TRIPWIRE)),
        trip_day=math.floor(toml.number((table, "trip_day"), base.trip_day, 1, 100_000, TRIPWIRE)),
    )


def _unattributed(toml: Reader) -> Unattributed:
    base, table = Unattributed(), "unattributed"
    toml.only((table,), ("end", "grace_s"))
    systems = toml.strings((table, "end"), [], lambda name: name == "*" or is_name(name), 'names of systems, or "*"')
    return Unattributed(frozenset(systems), toml.number((table, "grace_s"), base.grace_s, 1, 60, UNATTRIBUTED))


def _hours(toml: Reader) -> dict[str, Hours]:
    toml.only(("hours",), ("default", "class", "section"))
    toml.only(("hours", "class"), CLASSES)
    found = {"default": _hours_at(toml, ("hours", "default"), Hours())}
    for kind in ("class", "section"):
        for name in toml.names(("hours", kind)):
            found[f"{kind}.{name}"] = _hours_at(toml, ("hours", kind, name), found["default"])
    return found


def _hours_at(toml: Reader, path: tuple[str, ...], base: Hours) -> Hours:
    toml.only(path, ("days", "from", "until", "holidays"))
    named = [DAYS[day - 1] for day in sorted(base.days)]
    days = toml.strings((*path, "days"), named, lambda day: day in DAYS, f"one of {', '.join(DAYS)}")
    start, end = _minute(toml, (*path, "from"), base.start), _minute(toml, (*path, "until"), base.end)
    if start >= end:
        toml.fail((*path, "until"), "until must be later than from, on the same day")
    holidays = toml.flag((*path, "holidays"), base.holidays)
    return Hours(frozenset(DAYS.index(day) + 1 for day in days), start, end, holidays)


def _minute(toml: Reader, path: tuple[str, ...], base: int) -> int:
    text = toml.string(path, f"{base // 60:02d}:{base % 60:02d}")
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)|(24):(00)", text, re.ASCII)
    if match is None:
        toml.fail(path, f'{path[-1]} must be "00:00" to "24:00", got {text!r}')
    hour, minute = (part for part in match.groups() if part is not None)
    return int(hour) * 60 + int(minute)


def _holidays(toml: Reader) -> frozenset[str]:
    toml.only(("calendar",), ("holidays",))
    return frozenset(toml.strings(("calendar", "holidays"), [], _is_date, 'a date such as "2027-01-01"'))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
