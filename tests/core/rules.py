"""The rules about factors and helpers, in short, for tests of the core: `authd_policies` has the real ones."""

from __future__ import annotations

from dataclasses import replace

from authd.core.model import Acr, Action, Decision, Factor, Grade, Message, Request
from tests.core.playbook import PERMIT

KINDS = (
    frozenset({Factor.VEIN, Factor.FINGERPRINT}),
    frozenset({Factor.KEY, Factor.CARD, Factor.SEAT_KEY, Factor.VOUCH}),
    frozenset({Factor.PIN}),
)
REFUSED = replace(PERMIT, permitted=False, rules=("no",))
ANOTHER = replace(REFUSED, another_factor=True, message=Message.ANOTHER_FACTOR)
SECOND = replace(REFUSED, another_factor=True, message=Message.SECOND_PERSON)


def two(factors: frozenset[Factor]) -> bool:
    return sum(bool(kind & factors) for kind in KINDS) > 1


def factors(request: Request) -> Decision:
    """Two factors begin a shift; a card's number opens nothing; a helper is somebody else, three times a month."""
    if request.grade is Grade.DEVICE or request.helper == request.subject or request.vouches > 2:
        return REFUSED
    if request.action is Action.BREAK_GLASS:
        return PERMIT if request.helper else SECOND
    if request.action is Action.OPEN_SESSION and not request.shift_open and not two(request.factors):
        return ANOTHER
    if request.acr is Acr.TWO and not two(request.fresh - {Factor.VOUCH}):
        return ANOTHER
    return PERMIT
