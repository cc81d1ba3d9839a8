"""The table itself: it is whole, and the page that is made from it is current."""

from __future__ import annotations

from authd.core.model import SeatState
from authd.core.seat import events
from authd.core.seat.session import activate
from authd.core.seat.table import RULES, TRANSITIONS
from authd.core.seat.touches import ask_ledger, hand_over
from tests.tools.draw_seat import DOCUMENT, document


def test_the_page_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run python -m tests.tools.draw_seat"


def test_one_rule_alone_starts_a_session() -> None:
    assert [rule.do for rule in RULES if rule.to is SeatState.ACTIVE].count(activate) == 1
    asking = [rule for rule in RULES if rule.to is SeatState.GRANTING]
    assert {rule.do for rule in asking} == {ask_ledger, hand_over}


def test_whatever_leads_to_a_session_goes_through_the_ledger() -> None:
    """From no state without an owner does a rule lead to one with an owner, but from GRANTING."""
    owned = {SeatState.ACTIVE, SeatState.FADING, SeatState.STEPPING_UP}
    for rule in RULES:
        if rule.to in owned:
            assert set(rule.states) <= owned | {SeatState.GRANTING}


def test_every_event_is_in_the_table() -> None:
    known = {event for rules in TRANSITIONS.values() for event in rules}
    assert known == set(events.Event.__args__)
