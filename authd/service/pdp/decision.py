"""The decision point: one request in, one decision out, never an exception.

Permitted means: Cedar said Allow, no rule failed, and every entity that the request names is present. Cedar alone is
not enough: it skips a `forbid` that fails, and a `forbid` on a group says nothing of a person whom it was not given.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Final

import msgspec

from authd.core.model import Action, Decision, Limits, Load, Message, Request
from authd.service.pdp import cedar
from authd.service.pdp.asked import LocalTime, thousandths, written
from authd.service.pdp.attributes import Directory, Piece, SeatAttrs
from authd.service.pdp.bundle import WANTS, Bundle
from authd.service.pdp.settings import Settings

log = logging.getLogger("authd.pdp")

# Reasons that are no rule's: they stand in `Decision.rules` where an `@id` would.
NO_PERMIT: Final = "pdp.no-permit"
ERROR: Final = "pdp.error"
MISSING: Final = "pdp.missing"
REASONS = (NO_PERMIT, ERROR, MISSING)

_PRECEDENCE = (Message.REFUSED, Message.REFUSED_HOURS, Message.REFUSED_FACTORS, *WANTS)
_OF_SYSTEMS = (Action.STEP_UP, Action.CARRY_OUT)
"""Asked about a system, not about a seat."""
_NOTHING = Load("", 0, "", covered=False)


class Pdp:
    """Implements `ports.Policy`. `wall` tells the local time; feed `directory` before the first decision."""

    def __init__(self, bundle: Bundle, wall: Callable[[], LocalTime], directory: Directory | None = None) -> None:
        self.bundle = bundle
        self.directory = directory or Directory()
        self._wall = wall

    def decide(self, request: Request) -> Decision:
        """Never raises: an error is a refusal with its reason."""
        bundle = self.bundle  # one reference: a reload in between changes nothing for this decision
        try:
            place, pieces = self.directory.seat(request.seat), _slice(self.directory, request)
            if place is None or None in pieces:
                return Decision(permitted=False, rules=(MISSING,), bundle=bundle.hash)
            known = cedar.entities([piece for piece in pieces if piece is not None], place.entities)
            time = self._wall()
            asked = question(bundle.settings, place.attrs, request, time)
            limits = _limits(bundle.settings, place.attrs, request.action)
            answer = cedar.ask(asked, bundle.policies, known)
            decision = replace(_decision(bundle, answer, limits), asked=written(request, self.directory, time))
            if not _lacks_one_thing(bundle, answer):
                return decision
            lenient = cedar.ask(asked, bundle.lenient, known)  # what if the next touch adds it
            return replace(decision, another_factor=lenient.allow and not (lenient.errors or lenient.failure))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic of Cedar's is no Exception
            log.exception("decision failed: refused")
            return Decision(permitted=False, rules=(ERROR,), bundle=bundle.hash)


def _slice(directory: Directory, request: Request) -> list[Piece | None]:
    """What the request names besides its seat, at most four entities; None stands for one that is missing."""
    named = dict.fromkeys((request.subject, request.owner, request.helper))
    pieces = [directory.person(subject) for subject in named if subject is not None]
    if request.action in _OF_SYSTEMS:
        pieces.append(directory.system(_system(request)))
    return pieces


def _system(request: Request) -> str:
    return request.resource.partition("/")[0]


def _limits(settings: Settings, seat: SeatAttrs, action: Action) -> Limits:
    limits = settings.limits[seat.seat_class]
    if action is Action.BREAK_GLASS:
        limits = replace(limits, overall=min(limits.overall, settings.thresholds.break_glass))
    return limits if seat.presence else replace(limits, absence=None)


def _context(settings: Settings, seat: SeatAttrs, request: Request, time: LocalTime) -> Mapping[str, object]:
    holiday = time.date in settings.holidays
    hours = settings.hours_of(seat.seat_class, seat.section)
    fresh = request.fresh or (frozenset() if request.shift_open else request.factors)
    context: dict[str, object] = {
        "seat": {"__entity": {"type": "Seat", "id": request.seat}},
        "factors": sorted(request.factors),
        "fresh": sorted(fresh),
        "shift_open": request.shift_open,
        "grade": request.grade,
        "margin": thousandths(request.margin),
        "fingers": request.fingers,
        "pad_level": request.pad_level,
        "purpose": request.resource.partition("/")[2] if request.action in _OF_SYSTEMS else "",
        "acr": request.acr,
        "break_glass": request.break_glass,
        "vouches": request.vouches,
        "minute": time.minute,
        "weekday": time.weekday,
        "holiday": holiday,
        "clock_trusted": time.trusted,
        "duty": {"open": hours.open_on(time.weekday, holiday), "from": hours.start, "until": hours.end},
        "settings": _given(settings, seat),
    }
    if request.pad is not None:
        context["pad"] = thousandths(request.pad)
    if request.owner is not None:
        context["owner"] = {"__entity": {"type": "Subject", "id": request.owner}}
    if request.helper is not None:
        context["helper"] = {"__entity": {"type": "Subject", "id": request.helper}}
    if request.max_age is not None:
        context["max_age"] = request.max_age
    if request.action is Action.CARRY_OUT:
        context |= asdict(request.load or _NOTHING) | {"most_rows": settings.carryout.most_rows}
    return context


def _given(settings: Settings, seat: SeatAttrs) -> Mapping[str, object]:
    thresholds = settings.thresholds
    return {
        "fingers": max(1, settings.fingers[seat.seat_class]),
        "min_margin": math.ceil(round(thresholds.min_margin * 1_000, 6)),
        "shift_may_begin_with_one_factor": thresholds.shift_may_begin_with_one_factor,
        "untrusted_clock_may_open": thresholds.untrusted_clock_may_open,
        "template_update": thresholds.template_update,
        "seat_key_counts": thresholds.seat_key_counts,
        "vouches_a_month": thresholds.vouches_a_month,
    }


def question(settings: Settings, seat: SeatAttrs, request: Request, time: LocalTime) -> Mapping[str, object]:
    """Put the request into Cedar's form: principal, action, resource, and the context as JSON text."""
    of_system = request.action in _OF_SYSTEMS
    return {
        "principal": {"type": "Subject", "id": request.subject},
        "action": {"type": "Action", "id": request.action},
        "resource": {"type": "System", "id": _system(request)} if of_system else {"type": "Seat", "id": request.seat},
        "context": msgspec.json.encode(_context(settings, seat, request, time)).decode(),
    }


def _decision(bundle: Bundle, answer: cedar.Answer, limits: Limits) -> Decision:
    named = bundle.named(answer.reasons)
    if answer.failure or answer.errors:
        log.error("rules failed: %s", answer.failure or ", ".join(bundle.named(answer.errors)))
        return Decision(permitted=False, rules=(ERROR, *bundle.named(answer.errors)), bundle=bundle.hash)
    if answer.allow:
        return Decision(permitted=True, rules=named, bundle=bundle.hash, limits=limits)
    return Decision(
        permitted=False,
        rules=named or (NO_PERMIT,),
        bundle=bundle.hash,
        limits=limits,
        message=_message(bundle, answer),
    )


def _lacks_one_thing(bundle: Bundle, answer: cedar.Answer) -> bool:
    """Whether every rule that forbids it (Cedar names them all) can be satisfied by the next touch, in the same way."""
    if answer.allow or answer.errors or answer.failure or not answer.reasons:
        return False
    found = {bundle.rules[cedar.position(policy_id)].message for policy_id in answer.reasons}
    return len(found) == 1 and found <= WANTS


def _message(bundle: Bundle, answer: cedar.Answer) -> Message:
    """The least telling of the messages of the rules that refuse."""
    found = {bundle.rules[cedar.position(policy_id)].message for policy_id in answer.reasons}
    return next((message for message in _PRECEDENCE if message in found), Message.REFUSED)
