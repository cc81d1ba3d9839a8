"""The decision point: one request in, one decision out, never an exception.

Permitted means: Cedar said Allow, no rule failed, and every entity that the request names is present. Cedar alone is
not enough: it skips a `forbid` that fails, and a `forbid` on a group says nothing of a person whom it was not given.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from authd.core.model import Action, Decision, Limits, Message, Request
from authd.service.pdp import cedar
from authd.service.pdp.attributes import Directory, Piece, SeatAttrs
from authd.service.pdp.bundle import Bundle
from authd.service.pdp.settings import Settings

log = logging.getLogger("authd.pdp")

# Reasons that are no rule's: they stand in `Decision.rules` where an `@id` would.
NO_PERMIT: Final = "pdp.no-permit"
ERROR: Final = "pdp.error"
MISSING: Final = "pdp.missing"
REASONS = (NO_PERMIT, ERROR, MISSING)

_PRECEDENCE = (Message.REFUSED, Message.REFUSED_HOURS, Message.REFUSED_FACTORS)
_MARGIN_CAP = 1_000_000


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
            asked = question(bundle.settings, place.attrs, request, self._wall())
            return _decision(bundle, cedar.ask(asked, bundle.policies, known), _limits(bundle.settings, place.attrs))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic of Cedar's is no Exception
            log.exception("decision failed: refused")
            return Decision(permitted=False, rules=(ERROR,), bundle=bundle.hash)


def _slice(directory: Directory, request: Request) -> list[Piece | None]:
    """What the request names besides its seat, at most three entities; None stands for one that is missing."""
    pieces = [directory.person(request.subject)]
    if request.owner is not None and request.owner != request.subject:
        pieces.append(directory.person(request.owner))
    if request.action is Action.STEP_UP:
        pieces.append(directory.system(_system(request)))
    return pieces


def _system(request: Request) -> str:
    return request.resource.partition("/")[0]


def _limits(settings: Settings, seat: SeatAttrs) -> Limits:
    limits = settings.limits[seat.seat_class]
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
        "purpose": request.resource.partition("/")[2] if request.action is Action.STEP_UP else "",
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
    return context


def _given(settings: Settings, seat: SeatAttrs) -> Mapping[str, object]:
    thresholds = settings.thresholds
    return {
        "fingers": max(1, settings.fingers[seat.seat_class]),
        "min_margin": math.ceil(round(thresholds.min_margin * 1_000, 6)),
        "shift_may_begin_with_one_factor": thresholds.shift_may_begin_with_one_factor,
        "untrusted_clock_may_open": thresholds.untrusted_clock_may_open,
        "template_update": thresholds.template_update,
    }


def thousandths(margin: float) -> int:
    """A margin as the rules see it: Cedar has no fractions. Rounded down; what is no number is below every minimum."""
    if math.isnan(margin):
        return -_MARGIN_CAP
    return math.floor(round(max(-_MARGIN_CAP, min(_MARGIN_CAP, margin * 1_000)), 6))


def question(settings: Settings, seat: SeatAttrs, request: Request, time: LocalTime) -> Mapping[str, object]:
    """Put the request into Cedar's form: principal, action, resource, and the context as JSON text."""
    step_up = request.action is Action.STEP_UP
    return {
        "principal": {"type": "Subject", "id": request.subject},
        "action": {"type": "Action", "id": request.action},
        "resource": {"type": "System", "id": _system(request)} if step_up else {"type": "Seat", "id": request.seat},
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


def _message(bundle: Bundle, answer: cedar.Answer) -> Message:
    """The least telling of the messages of the rules that refuse."""
    found = {bundle.rules[cedar.position(policy_id)].message for policy_id in answer.reasons}
    return next((message for message in _PRECEDENCE if message in found), Message.REFUSED)
