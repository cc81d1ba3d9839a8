"""Who is about to touch, and another person's touch beside it: named by a tile or card, vouched for, two together."""

from __future__ import annotations

from dataclasses import replace

from authd.core.model import SECOND, Action, Candidate, Instant, Kind, Message, Rung
from authd.core.seat.effects import Write
from authd.core.seat.events import Event, HelpAsked, Named, Verdict
from authd.core.seat.guards import current
from authd.core.seat.session import Outcome, entry_of, rearm, say, spent
from authd.core.seat.state import Claim, Ladder, Seat, resting

NAMED_FOR = 20 * SECOND
"""How long a named person's finger is waited for."""
VOUCHED_FOR = 30 * SECOND
"""How long a colleague's word waits for the person it is for."""


def can_ask(seat: Seat, event: Event, now: Instant) -> bool:
    """The readers wait for a touch: what is asked now is seen by whoever touches."""
    return seat.verification is not None and not (seat.asleep or seat.closed or seat.lent)


def name(seat: Seat, event: Event, now: Instant) -> Outcome:
    """A tile."""
    assert isinstance(event, Named)
    seat, effects = rearm(seat._replace(claim=Claim(event.subject, event.until)))
    return say(seat, resting(seat)), effects


def names(seat: Seat, event: Event, now: Instant) -> bool:
    """A card's number, which the policy has refused alone."""
    assert isinstance(event, Verdict)
    refused = event.decision is not None and not event.decision.permitted
    return event.names and refused and isinstance(event.found, Candidate) and current(seat, event, now)


def name_by_card(seat: Seat, event: Event, now: Instant) -> Outcome:
    """It says whose finger to wait for; that is all it says."""
    assert isinstance(event, Verdict)
    assert isinstance(event.found, Candidate)
    assert event.decision is not None
    rules = ",".join(event.decision.rules)
    data = {"rules": rules, "why": "identifier", "reader": event.reader, "reference": event.found.evidence.reference}
    entry = entry_of(seat, Kind.ATTEMPT_REFUSED, now, subject=event.found.subject, data=data)
    seat = seat._replace(claim=Claim(event.found.subject, Instant(now + NAMED_FOR)))
    seat, effects = rearm(say(seat, Message.CARD_ALONE, now))
    return seat, (Write(entry), *effects)


def ask_help(seat: Seat, event: Event, now: Instant) -> Outcome:
    """A touch that is under way, or a card that is in, was meant for something else: the readers are armed anew."""
    assert isinstance(event, HelpAsked)
    seat, effects = rearm(seat._replace(ladder=Ladder(event.rung, event.until), stays=spent(seat)))
    return say(seat, resting(seat)), effects


def vouches(seat: Seat, event: Event, now: Instant) -> bool:
    """A colleague who may, where one was asked for and none has."""
    assert isinstance(event, Verdict)
    asked = seat.ladder is not None and seat.ladder.rung is Rung.VOUCH and seat.ladder.helper is None
    meant = event.action is Action.VOUCH and event.helper is not None and isinstance(event.found, Candidate)
    may = event.decision is not None and event.decision.permitted
    return asked and meant and may and current(seat, event, now)


def take_vouch(seat: Seat, event: Event, now: Instant) -> Outcome:
    """It opens nothing: it waits for the person it is for, who is asked for nothing less than their own touch."""
    assert isinstance(event, Verdict)
    assert event.helper is not None
    assert seat.ladder is not None
    ladder = replace(seat.ladder, helper=event.helper, until=Instant(event.helper.evidence.captured_at + VOUCHED_FOR))
    seat = seat._replace(ladder=ladder)
    seat = say(seat, Message.VOUCHED)
    return rearm(seat)


def withdrawn_help(seat: Seat) -> Seat:
    """Nobody came: the seat is as it was."""
    seat = seat._replace(ladder=None)
    asked = seat.message in (Message.COLLEAGUE, Message.VOUCHED, Message.BREAK_GLASS)
    return say(seat, resting(seat)) if asked else seat
