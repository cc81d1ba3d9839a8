"""What evidence is made of: joining two touches of one person, and what a card says that nobody touches."""

from __future__ import annotations

from dataclasses import replace

from authd.core.model import Candidate, Evidence, Factor, Grade

_CARD = frozenset({Factor.CARD})
NOT_A_TOUCH = frozenset({Factor.SEAT_KEY, Factor.VOUCH})
"""What only the core may add: no reader and no verifier says it."""


def with_factor(found: Candidate, factor: Factor) -> Candidate:
    """The same, resting on this too."""
    return replace(found, evidence=replace(found.evidence, more=found.evidence.more | {factor}))


def bare(seen: Evidence) -> bool:
    """A card that nobody need touch and that asked for nothing: what it says is only that it is there."""
    return seen.factors - NOT_A_TOUCH == _CARD


def joins(first: Candidate, second: Candidate) -> bool:
    """Whether the second touch adds anything to the first: the same person, another factor."""
    return first.subject == second.subject and not second.evidence.factors <= first.evidence.factors


def join(first: Candidate, second: Candidate) -> Candidate:
    """Both as one, named by the second touch; as strong as the stronger, and clear only as far as the less clear.

    Neither is weaker for that: each has been judged alone before. It rests on both references, joined by `+`: whoever
    revokes the first one's key ends it too.
    """
    one, two = first.evidence, second.evidence
    seen = replace(
        two,
        grade=min(one.grade, two.grade),
        reference=f"{one.reference}+{two.reference}",
        first=two.first or one.nonce,
        more=(one.factors | two.factors) - {two.factor},
        margin=min((each.margin for each in (one, two) if _compared(each)), default=two.margin),
        fingers=two.fingers or one.fingers,
        bound=one.bound + two.bound,
        held=held(one) + held(two),
    )
    return replace(second, evidence=seen)


def held(seen: Evidence) -> tuple[str, ...]:
    """The credential of each of `bound`."""
    return seen.held or (seen.reference,) * len(seen.bound)


def _compared(seen: Evidence) -> bool:
    """A signature is not nearer to one person than to another."""
    return seen.grade is Grade.MATCHED
