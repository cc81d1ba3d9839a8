"""What the policy is asked about a carry-out, and its answer in a word for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from authd.core.model import Action, Decision, Factor, Load, Request, SubjectId
from authd.service.evidence.carryout.said import Carryout, Why
from authd.service.pdp.decision import MISSING

_WHY: Final[Mapping[str, Why]] = MappingProxyType(
    {
        "base.carry-out.oneself": Why.ONESELF,
        "base.carry-out.colleague": Why.COLLEAGUE,
        "base.carry-out.break-glass": Why.BREAK_GLASS,
        "base.carry-out.flags": Why.SILENT,
        "base.carry-out.rows": Why.MOST_ROWS,
        "base.hours.duty": Why.HOURS,
        "base.hours.clock": Why.HOURS,
        MISSING: Why.SYSTEM,
    }
)


def question(asked: Carryout, helper: SubjectId | None, *, covered: bool, break_glass: bool) -> Request:
    """Return what the policy is asked: the requester is the principal, with the evidence of the session that asked."""
    order = asked.order
    factors = frozenset(Factor(name) for name in asked.factors.split(",") if name)
    return Request(
        action=Action.CARRY_OUT,
        subject=asked.requester,
        seat=asked.seat,
        factors=factors,
        shift_open=True,
        grade=asked.grade,
        margin=asked.margin,
        resource=f"{order.system}/{order.purpose}",
        fresh=factors,
        helper=helper,
        break_glass=break_glass,
        load=Load(order.kind.value, order.rows, order.destination, covered),
    )


def why(decision: Decision) -> Why:
    """Return the word for a refusal: of the first rule that has one."""
    return next((_WHY[rule] for rule in decision.rules if rule in _WHY), Why.POLICY)
