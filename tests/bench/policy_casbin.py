"""The shipped rules as a pycasbin model, one row a rule, for `tests.bench.policy`: the yardstick, not a dependency.

Rules stay data (an id, an effect, a condition), as the project needs them; a second model puts everything into one
matcher, which is the fastest that casbin can be, but then nobody can say which rule decided.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from authd.core.model import Request
from authd.service.pdp import PersonAttrs, SeatAttrs, Settings
from authd.service.pdp.asked import LocalTime, thousandths

PIN = "casbin==1.43.0"

MODEL = """
[request_definition]
r = sub, seat, act, ctx
[policy_definition]
p = id, act, rule, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = (p.act == 'any' || r.act in p.act) && eval(p.rule)
"""

SINGLE = """
[request_definition]
r = sub, seat, act, ctx
[policy_definition]
p = id, act, rule, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = {matcher}
"""


def _any(names: str, of: str = "fresh") -> str:
    return "(" + " || ".join(f"'{name}' in r.ctx.{of}" for name in names.split()) + ")"


_BIO, _PERSON = _any("vein fingerprint"), _any("vein fingerprint key card")
_BOTH = _any("vein fingerprint", "factors")
_TWO = (
    f"({_BOTH} && 'key' in r.ctx.factors) || ({_BOTH} && 'card' in r.ctx.factors && r.ctx.grade == 'A') || "
    f"({_any('vein fingerprint key', 'factors')} && 'pin' in r.ctx.factors) || "
    "('card' in r.ctx.factors && 'pin' in r.ctx.factors && r.ctx.grade == 'A') || "
    f"({_BOTH} && 'seat_key' in r.ctx.factors)"
)
_ON_DUTY = "(r.ctx.open && r.ctx.start <= r.ctx.minute && r.ctx.minute < r.ctx.end)"

RULES = (
    ("base.seat.own-section", "open_session", "r.sub.section == r.seat.section", "allow"),
    ("base.seat.granted", "open_session", "r.seat.seat in r.sub.seats || r.seat.section in r.sub.sections", "allow"),
    ("base.session.keep", "keep_session", "True", "allow"),
    ("base.subject.disabled", "any", "r.sub.disabled", "deny"),
    ("base.hours.duty", "open_session step_up carry_out", f"r.ctx.trusted && !{_ON_DUTY}", "deny"),
    ("base.hours.clock", "open_session step_up carry_out", "!r.ctx.trusted && !r.ctx.untrusted_may_open", "deny"),
    ("base.evidence.statement", "any", "r.ctx.grade == 'D'", "deny"),
    ("base.evidence.device", "any", "r.ctx.grade == 'C'", "deny"),
    (
        "base.evidence.identifier",
        "any",
        f"'card' in r.ctx.fresh && r.ctx.grade != 'A' && !{_any('vein fingerprint key')}",
        "deny",
    ),
    (
        "base.evidence.bare-card",
        "open_session step_up",
        f"'card' in r.ctx.fresh && r.ctx.grade == 'A' && !{_any('vein fingerprint key pin')}",
        "deny",
    ),
    (
        "base.evidence.bare-card-for-others",
        "keep_session",
        f"'card' in r.ctx.fresh && !{_any('vein fingerprint key pin')}",
        "deny",
    ),
    ("base.evidence.person", "open_session keep_session", f"!{_PERSON}", "deny"),
    (
        "base.evidence.margin",
        "any",
        f"r.ctx.grade == 'B' && {_BIO} && r.ctx.margin < r.ctx.min_margin",
        "deny",
    ),
    ("base.shift.two-factors", "open_session", f"!r.ctx.shift_open && !r.ctx.one_factor && !({_TWO})", "deny"),
    ("base.session.same-person", "keep_session step_up", "r.ctx.owner != r.sub.subject", "deny"),
    ("base.step-up.fresh", "step_up", f"!{_PERSON}", "deny"),
    ("base.carry-out.second-person", "carry_out", "r.ctx.helper == ''", "deny"),
    ("base.carry-out.oneself", "carry_out", "r.ctx.helper == r.sub.subject", "deny"),
    (
        "base.carry-out.colleague",
        "carry_out",
        "r.ctx.helper != '' && r.ctx.helper_section != r.sub.section && !r.ctx.helper_officer",
        "deny",
    ),
    ("base.carry-out.break-glass", "carry_out", "r.ctx.break_glass", "deny"),
    ("base.carry-out.flags", "carry_out", "!r.ctx.covered", "deny"),
    ("base.carry-out.rows", "carry_out", "r.ctx.rows < 1 || r.ctx.rows > r.ctx.most_rows", "deny"),
    (
        "site.example.counter-helpers",
        "open_session",
        "g(r.sub.subject, 'counter-helpers') && r.seat.seat_class == 'counter'",
        "allow",
    ),
    ("site.example.trainees-on-holidays", "open_session", "g(r.sub.subject, 'trainees') && r.ctx.holiday", "deny"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the rules see of a request; the same facts as in Cedar's context."""

    factors: frozenset[str]
    fresh: frozenset[str]
    shift_open: bool
    grade: str
    margin: int
    owner: str | None
    minute: int
    holiday: bool
    trusted: bool
    open: bool
    start: int
    end: int
    min_margin: int
    one_factor: bool
    untrusted_may_open: bool
    helper: str
    helper_section: str
    helper_officer: bool
    break_glass: bool
    covered: bool
    rows: int
    most_rows: int


class Casbin:
    """Decides the same logins with pycasbin."""

    def __init__(self, people: Iterable[PersonAttrs], seats: Iterable[SeatAttrs], single: bool, folder: Path) -> None:
        logging.getLogger("casbin").setLevel(logging.CRITICAL)
        casbin: Any = import_module("casbin")
        path = folder / f"model-{single}.conf"
        path.write_text(SINGLE.format(matcher=_matcher()) if single else MODEL)
        self._enforcer: Any = casbin.Enforcer(str(path))
        self._people = {person.subject: person for person in people}
        self._seats = {seat.seat: seat for seat in seats}
        for row in RULES[:1] if single else RULES:
            self._enforcer.add_policy(*row)
        for person in self._people.values():
            for group in person.groups:
                self._enforcer.add_grouping_policy(person.subject, group)

    def decide(self, settings: Settings, time: LocalTime, request: Request) -> bool:
        """Whether the login is permitted."""
        person, seat = self._people.get(request.subject), self._seats.get(request.seat)
        if person is None or seat is None:
            return False
        helper = self._people.get(request.helper) if request.helper is not None else None
        asked = _asked(settings, time, seat, request, helper)
        return bool(self._enforcer.enforce(person, seat, request.action.value, asked))


def _matcher() -> str:
    """All rules as one expression."""
    sides: dict[str, list[str]] = {"allow": [], "deny": []}
    for _, actions, condition, effect in RULES:
        scope = "True" if actions == "any" else f"r.act in '{actions}'"
        sides[effect].append(f"({scope} && ({condition}))")
    return f"({' || '.join(sides['allow'])}) && !({' || '.join(sides['deny'])})"


def _asked(settings: Settings, time: LocalTime, seat: SeatAttrs, request: Request, helper: PersonAttrs | None) -> Asked:
    holiday = time.date in settings.holidays
    hours = settings.hours_of(seat.seat_class, seat.section)
    fresh = request.fresh or (frozenset() if request.shift_open else request.factors)
    return Asked(
        factors=frozenset(factor.value for factor in request.factors),
        fresh=frozenset(factor.value for factor in fresh),
        shift_open=request.shift_open,
        grade=request.grade.value,
        margin=thousandths(request.margin),
        owner=request.owner,
        minute=time.minute,
        holiday=holiday,
        trusted=time.trusted,
        open=hours.open_on(time.weekday, holiday),
        start=hours.start,
        end=hours.end,
        min_margin=thousandths(settings.thresholds.min_margin),
        one_factor=settings.thresholds.shift_may_begin_with_one_factor,
        untrusted_may_open=settings.thresholds.untrusted_clock_may_open,
        helper=helper.subject if helper else "",
        helper_section=helper.section if helper else "",
        helper_officer=helper is not None and helper.officer,
        break_glass=request.break_glass,
        covered=request.load is not None and request.load.covered,
        rows=request.load.rows if request.load else 0,
        most_rows=settings.carryout.most_rows,
    )
