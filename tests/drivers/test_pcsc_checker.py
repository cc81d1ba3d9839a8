"""What the checker makes of a card's signature or number."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authd.driver import Checked, Denial, DriverError, Fault, NotAccepted, Reference, challenge_of
from authd_drivers.pcsc.card import Card
from authd_drivers.pcsc.checker import CardChecker
from authd_drivers.pcsc.record import Number, Offered, Signed, key_id, write_enrolled, write_given
from authd_simulators.cards import SimulatedCard, make

NONCE, OTHER = "0" * 32, "1" * 32
PIN = "123456"


def offer(card: SimulatedCard, nonce: str = NONCE, slots: tuple[str, ...] = ("9e", "9a")) -> Offered:
    """Return what enrolment would read of a card."""
    talk = Card(card.transmit, card.atr)
    look = talk.look(pin=False)
    keys = dict[str, tuple[bytes, bytes]]()
    for slot in slots:
        keys[slot] = look.keys[slot].spki, signature(card, slot, nonce)
    return Offered(challenge_of(nonce), keys)


def signature(card: SimulatedCard, slot: str, nonce: str) -> bytes:
    talk = Card(card.transmit, card.atr)
    key = talk.look(pin=False).keys[slot]
    if slot == "9e":
        return talk.sign(slot, key, challenge_of(nonce))
    made = talk.sign_with_pin(PIN, key, challenge_of(nonce))
    assert isinstance(made, bytes)
    return made


def proof(card: SimulatedCard, slot: str = "9e", nonce: str = NONCE, **other: Any) -> bytes:
    spki = Card(card.transmit, card.atr).look(pin=False).keys[slot].spki
    fields: dict[str, Any] = {
        "challenge": challenge_of(nonce),
        "slot": slot,
        "key": key_id(spki),
        "signature": signature(card, slot, nonce),
    }
    return write_given(Signed(**(fields | other)))


def knows(*cards: SimulatedCard) -> CardChecker:
    """Return a checker that has enrolled these, each of a person of its own: sub_0, sub_1 ..."""
    checker = CardChecker()
    for at, card in enumerate(cards):
        enrolled = write_enrolled(Number(card.uid) if card.piv is None else offer(card))
        data = checker.admit(enrolled, NONCE, f"sub_{at}")
        checker.add([Reference(f"sub_{at}", f"tpl_{at}@1", data)])
    return checker


CARD = make("piv", "a")
STRANGER = make("piv", "b")
UID = make("uid", "a")


@pytest.mark.parametrize("keys", ["ecc", "rsa"])
@pytest.mark.parametrize(("slot", "factors"), [("9e", ("card",)), ("9a", ("card", "pin"))])
def test_a_signature_is_the_person(keys: Any, slot: str, factors: tuple[str, ...]) -> None:
    card = make("piv", "a", keys=keys)
    checked = knows(card).check(proof(card, slot), NONCE, ["sub_0"])
    assert checked == Checked("sub_0", "tpl_0@1", factors, "A")


def test_a_number_is_a_name_and_grade_c() -> None:
    checked = knows(UID).check(write_given(Number(UID.uid)), NONCE, ["sub_0"])
    assert checked == Checked("sub_0", "tpl_0@1", ("card",), "C")


def test_a_number_never_answers_in_silence() -> None:
    checked = knows(UID).check(write_given(Number(UID.uid)), NONCE, ["sub_0"], silent=True)
    assert checked.denial is Denial.UNVERIFIED


def test_a_silent_signature_is_of_9e() -> None:
    checker = knows(CARD)
    assert checker.check(proof(CARD), NONCE, ["sub_0"], silent=True).denial is None
    assert checker.check(proof(CARD, "9a"), NONCE, ["sub_0"], silent=True).denial is Denial.UNVERIFIED


@pytest.mark.parametrize("given", [proof(STRANGER), write_given(Number(b"1234567"))], ids=["key", "number"])
def test_an_unknown_card_is_unknown(given: bytes) -> None:
    assert knows(CARD, UID).check(given, NONCE, ["sub_0", "sub_1"]) == Checked(denial=Denial.UNKNOWN)


def test_nobody_outside_the_scope_is_named() -> None:
    assert knows(CARD).check(proof(CARD), NONCE, ["sub_9"]) == Checked(denial=Denial.UNKNOWN)


def test_an_answer_to_another_question_is_a_replay() -> None:
    checked = knows(CARD).check(proof(CARD, nonce=OTHER), NONCE, ["sub_0"])
    assert (checked.denial, checked.subject, checked.reference) == (Denial.REPLAYED, "sub_0", "tpl_0@1")


def test_an_old_answer_under_the_new_question_does_not_verify() -> None:
    given = proof(CARD, nonce=OTHER, challenge=challenge_of(NONCE))
    assert knows(CARD).check(given, NONCE, ["sub_0"]).denial is Denial.SIGNATURE


FALSE = {"empty": b"", "short": b"0", "noise": b"\xff" * 70, "another_key": signature(STRANGER, "9e", NONCE)}


@pytest.mark.parametrize("made", FALSE.values(), ids=FALSE)
def test_a_false_signature_does_not_verify(made: bytes) -> None:
    assert knows(CARD).check(proof(CARD, signature=made), NONCE, ["sub_0"]).denial is Denial.SIGNATURE


def test_the_key_without_a_pin_never_passes_for_the_one_with() -> None:
    given = json.loads(proof(CARD, "9e"))
    given["slot"] = "9a"
    checked = knows(CARD).check(json.dumps(given).encode(), NONCE, ["sub_0"])
    assert checked.denial is Denial.SIGNATURE


def test_a_card_enrolled_without_its_pin_never_proves_one() -> None:
    checker = CardChecker()
    data = checker.admit(write_enrolled(offer(CARD, slots=("9e",))), NONCE, "sub_0")
    checker.add([Reference("sub_0", "tpl_0@1", data)])
    assert checker.check(proof(CARD, "9a"), NONCE, ["sub_0"]).denial is Denial.UNKNOWN
    given = json.loads(proof(CARD, "9e")) | {"slot": "9a"}
    assert checker.check(json.dumps(given).encode(), NONCE, ["sub_0"]).denial is Denial.SIGNATURE


def test_a_revoked_card_is_revoked_and_the_others_are_not() -> None:
    checker = knows(CARD, STRANGER)
    checker.remove("sub_0", "tpl_0@1")
    checked = checker.check(proof(CARD), NONCE, ["sub_0", "sub_1"])
    assert checked == Checked("sub_0", "tpl_0@1", denial=Denial.REVOKED)
    assert checker.check(proof(STRANGER), NONCE, ["sub_1"]).denial is None
    checker.remove("sub_0")
    assert checker.check(proof(CARD), NONCE, ["sub_0"]).denial is Denial.UNKNOWN


def test_a_card_that_is_enrolled_again_is_no_more_revoked() -> None:
    checker = knows(CARD)
    checker.remove("sub_0", "tpl_0@1")
    checker.add([Reference("sub_1", "tpl_5@1", checker.admit(write_enrolled(offer(CARD)), NONCE, "sub_1"))])
    assert checker.check(proof(CARD), NONCE, ["sub_1"]) == Checked("sub_1", "tpl_5@1", ("card",), "A")


def test_a_newer_version_takes_the_place_of_the_older() -> None:
    checker = knows(CARD)
    data = CardChecker().admit(write_enrolled(offer(STRANGER)), NONCE, "sub_0")
    checker.add([Reference("sub_0", "tpl_0@2", data)])
    assert checker.check(proof(CARD), NONCE, ["sub_0"]).denial is Denial.UNKNOWN
    assert checker.check(proof(STRANGER), NONCE, ["sub_0"]).reference == "tpl_0@2"


def test_loading_forgets_what_was_before() -> None:
    checker = knows(CARD, UID)
    checker.load([], {})
    assert checker.check(proof(CARD), NONCE, ["sub_0"]).denial is Denial.UNKNOWN
    assert checker.credential("tpl_0@1") == b""


@pytest.mark.parametrize("card", [CARD, UID], ids=["piv", "uid"])
def test_the_same_card_is_not_enrolled_twice(card: SimulatedCard) -> None:
    checker = knows(card)
    enrolled = write_enrolled(Number(card.uid) if card.piv is None else offer(card))
    with pytest.raises(NotAccepted) as refused:
        checker.admit(enrolled, NONCE, "sub_9")
    assert refused.value.why is Denial.DUPLICATE


@pytest.mark.parametrize(
    ("offered", "why"),
    [
        (offer(CARD, OTHER), Denial.REPLAYED),
        (Offered(challenge_of(NONCE), offer(CARD, OTHER).keys), Denial.SIGNATURE),
        (Offered(challenge_of(NONCE), dict.fromkeys(("9e", "9a"), offer(CARD).keys["9e"])), Denial.NOT_ALLOWED),
    ],
    ids=["another question", "unsigned", "one key in both slots"],
)
def test_what_is_not_admitted(offered: Offered, why: Denial) -> None:
    with pytest.raises(NotAccepted) as refused:
        CardChecker().admit(write_enrolled(offered), NONCE, "sub_0")
    assert refused.value.why is why


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65_537, 1024),  # weak on purpose
        rsa.generate_private_key(3, 2048),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["short", "small exponent", "another curve"],
)
def test_keys_of_other_kinds_are_not_admitted(key: Any) -> None:
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(NotAccepted) as refused:
        CardChecker().admit(write_enrolled(Offered(challenge_of(NONCE), {"9e": (spki, b"x")})), NONCE, "sub_0")
    assert refused.value.why is Denial.NOT_ALLOWED


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 9_000, b'{"uid": "00"}'])
def test_bytes_that_are_of_no_format_are_one_error(data: bytes) -> None:
    checker = CardChecker()
    for call in (
        lambda: checker.check(data, NONCE, []),
        lambda: checker.admit(data, NONCE, ""),
        lambda: checker.add([Reference("s", "tpl_1@1", data)]),
    ):
        with pytest.raises(DriverError) as error:
            call()
        assert error.value.fault is Fault.PROTOCOL


def test_no_name_is_kept_on_cards() -> None:
    assert knows(CARD).name("tpl_0@1") == ""
