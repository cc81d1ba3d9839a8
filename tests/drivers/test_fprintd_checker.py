"""A service's word counts for exactly the person who was claimed, and only while all fingers it keeps are ours."""

from __future__ import annotations

import pytest

from authd.driver import Checked, Denial, DriverError, Fault, NotAccepted, Reference
from authd.service.host.checking import is_checker
from authd_drivers.fprintd.checker import FprintdChecker
from authd_drivers.fprintd.prints import Match, Print, claimed, credential, enrolled

A, B = "sub_a", "sub_b"
THUMB, INDEX = "left-thumb", "right-index-finger"
NONCE = "0123456789abcdef" * 2


def reference(subject: str, finger: str, id_: str) -> Reference:
    return Reference(subject, id_, credential(Print(subject, finger)))


@pytest.fixture
def checker() -> FprintdChecker:
    made = FprintdChecker()
    made.load([reference(A, THUMB, "tpl_1@1"), reference(A, INDEX, "tpl_2@1"), reference(B, THUMB, "tpl_3@1")], {})
    return made


def said(account: str, finger: str, *fingers: str, nonce: str = NONCE) -> bytes:
    return claimed(Match(Print(account, finger), fingers or (finger,), nonce))


def test_it_is_told_from_a_comparator(checker: FprintdChecker) -> None:
    assert is_checker(checker)


def test_the_claimed_persons_finger_is_a_fingerprint_of_grade_b(checker: FprintdChecker) -> None:
    assert checker.check(said(A, INDEX), NONCE, [A]) == Checked(A, "tpl_2@1", ("fingerprint",), "B")


def test_where_the_service_does_not_say_which_it_is_one_of_theirs(checker: FprintdChecker) -> None:
    found = checker.check(said(A, "", THUMB, INDEX), NONCE, [A])
    assert (found.subject, found.denial) == (A, None)
    assert found.reference in ("tpl_1@1", "tpl_2@1")


def test_nobody_but_the_claimed_person(checker: FprintdChecker) -> None:
    assert checker.check(said(A, INDEX), NONCE, [B]) == Checked(denial=Denial.UNKNOWN)
    assert checker.check(said("sub_c", INDEX), NONCE, ["sub_c"]).denial is Denial.UNKNOWN


def test_a_finger_that_an_administrator_has_slipped_into_the_service_is_refused(checker: FprintdChecker) -> None:
    """With `fprintd-enroll`, under the account of a colleague."""
    assert checker.check(said(B, "", THUMB, INDEX), NONCE, [B]).denial is Denial.UNKNOWN


def test_a_revoked_finger_that_the_service_still_keeps_is_refused(checker: FprintdChecker) -> None:
    checker.remove(A, "tpl_1@1")
    assert checker.check(said(A, THUMB), NONCE, [A]) == Checked(A, "tpl_1@1", denial=Denial.REVOKED)
    assert checker.check(said(A, "", THUMB, INDEX), NONCE, [A]).denial is Denial.REVOKED
    assert checker.check(said(A, INDEX), NONCE, [A]).denial is None


def test_a_person_who_was_removed_is_unknown_by_name(checker: FprintdChecker) -> None:
    checker.remove(A)
    found = checker.check(said(A, THUMB), NONCE, [A])
    assert found.denial is Denial.REVOKED
    assert (found.subject, found.reference) == ("", "")


def test_another_question_is_replayed(checker: FprintdChecker) -> None:
    assert checker.check(said(A, INDEX, nonce="other"), NONCE, [A]).denial is Denial.REPLAYED


def test_somebody_elses_credential_is_nobodys(checker: FprintdChecker) -> None:
    """A record in the store under the wrong person: sealed for them, but of another account."""
    checker.add([Reference(B, "tpl_4@1", credential(Print("sub_c", THUMB)))])
    assert checker.check(said("sub_c", THUMB), NONCE, ["sub_c", B]).denial is Denial.UNKNOWN


def test_nothing_is_said_silently(checker: FprintdChecker) -> None:
    with pytest.raises(DriverError) as caught:
        checker.check(said(A, INDEX), NONCE, [A], silent=True)
    assert caught.value.fault is Fault.PROTOCOL


def test_enrolment_keeps_account_and_finger_once(checker: FprintdChecker) -> None:
    made = checker.admit(enrolled(Print(B, INDEX), NONCE), NONCE, B)
    checker.add([Reference(B, "tpl_5@1", made)])
    assert checker.name("tpl_5@1") == f"{B}/{INDEX}"
    assert checker.credential("tpl_5@1") == made
    for data, nonce, why in (
        (enrolled(Print(B, INDEX), NONCE), NONCE, Denial.DUPLICATE),
        (enrolled(Print(B, "left-index-finger"), "old"), NONCE, Denial.REPLAYED),
    ):
        with pytest.raises(NotAccepted) as refused:
            checker.admit(data, nonce, B)
        assert refused.value.why is why


def test_another_account_than_the_one_that_was_to_be_enrolled_is_an_error(checker: FprintdChecker) -> None:
    with pytest.raises(DriverError):
        checker.admit(enrolled(Print(A, "left-index-finger"), NONCE), NONCE, B)


@pytest.mark.parametrize("reference", ["", "tpl_9@1"])
def test_a_credential_that_is_not_held_has_no_name(checker: FprintdChecker, reference: str) -> None:
    with pytest.raises(DriverError):
        checker.name(reference)
    with pytest.raises(DriverError):
        checker.credential(reference)
