"""What a checker is given of credentials that were revoked, and of the same card or finger enrolled again."""

from __future__ import annotations

import pytest

from authd.driver import Denial, Reference
from authd.service.host.checking import hand_over
from authd_drivers.fprintd.checker import FprintdChecker
from authd_drivers.fprintd.prints import FINGERS, Match, Print, claimed, credential
from authd_drivers.pcsc.checker import CardChecker
from authd_drivers.pcsc.record import Number, write_enrolled, write_given
from authd_simulators.cards import make

NONCE, SUBJECT = "0" * 32, "sub_" + "a" * 32
OLD, NEW = "tpl_old@1", "tpl_new@1"
REVOKED = frozenset({OLD})
ORDERS = pytest.mark.parametrize("order", [(OLD, NEW), (NEW, OLD)])


@ORDERS
def test_a_card_that_was_enrolled_again_is_good_after_a_restart(order: tuple[str, ...]) -> None:
    number = Number(make("uid", "a").uid)
    checker = CardChecker()
    record = checker.admit(write_enrolled(number), NONCE, SUBJECT)
    kept = hand_over(checker, [Reference(SUBJECT, each, record) for each in order], {}, REVOKED, anew=True)
    assert [each.id for each in kept] == [NEW]
    found = checker.check(write_given(number), NONCE, [SUBJECT])
    assert (found.reference, found.denial) == (NEW, None)


@ORDERS
def test_a_finger_that_a_service_keeps_again_is_good_after_a_restart(order: tuple[str, ...]) -> None:
    which = Print(SUBJECT, next(iter(FINGERS)))
    checker = FprintdChecker()
    hand_over(checker, [Reference(SUBJECT, each, credential(which)) for each in order], {}, REVOKED, anew=True)
    found = checker.check(claimed(Match(which, (which.finger,), NONCE)), NONCE, [SUBJECT])
    assert (found.reference, found.denial) == (NEW, None)


def test_one_that_was_not_enrolled_again_stays_revoked() -> None:
    number = Number(make("uid", "a").uid)
    checker = CardChecker()
    record = checker.admit(write_enrolled(number), NONCE, SUBJECT)
    assert hand_over(checker, [Reference(SUBJECT, OLD, record)], {}, REVOKED, anew=True) == []
    assert checker.check(write_given(number), NONCE, [SUBJECT]).denial is Denial.REVOKED
