"""The verifier child's other half: what keys and cards sign and services say is checked here, never compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from authd.core.model import Factor, Fault, Grade
from authd.driver import Checked, Checker, Comparator, DriverError, Reference
from authd.service.host.frames import Check, Verdict


def is_checker(half: Comparator | Checker) -> TypeGuard[Checker]:
    """Whether this half of a modality checks: it has a `check`."""
    return hasattr(half, "check")


def hand_over(
    checker: Checker, references: Sequence[Reference], counters: Mapping[str, int], revoked: frozenset[str], anew: bool
) -> list[Reference]:
    """Give it these credentials, and make it forget those that were revoked; returns the others.

    Those first: of a card or finger that was revoked and enrolled again, what was enrolled last counts.
    """
    references = sorted(references, key=lambda each: each.id not in revoked)
    if anew:
        checker.load(references, counters)
    elif references:
        checker.add(references)
    for each in references:
        if each.id in revoked:
            checker.remove(each.subject, each.id)
    return [each for each in references if each.id not in revoked]


def check(checker: Checker, message: Check, scope: Sequence[str]) -> Verdict:
    """Check, and hold the checker's word against what it may say at all. Raises `DriverError`."""
    found = checker.check(message.given, message.nonce, scope, silent=message.silent)
    if found.denial is not None:
        return Verdict(found.subject, found.reference, denial=found.denial)
    if not _may_be(found, scope, silent=message.silent):
        raise DriverError(Fault.PROTOCOL, "the checker answered what was not asked")
    credential = bytes(checker.credential(found.reference))
    return Verdict(found.subject, found.reference, found.factors, found.grade, found.counter, credential=credential)


def _may_be(found: Checked, scope: Sequence[str], *, silent: bool) -> bool:
    """Somebody of the scope, by factors that there are; by none only where nobody was asked to do anything."""
    return (
        found.subject in scope
        and bool(found.reference)
        and found.grade in set(Grade)
        and set(found.factors) <= set(Factor)
        and bool(found.factors or silent)
    )
