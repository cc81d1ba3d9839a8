"""What the verifier believes of a key, and with which word it refuses the rest."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from authd.driver import Checked, Denial, DriverError, Fault, NotAccepted
from authd_drivers.fido2.checker import Fido2Checker
from tests.drivers.softkey import ANN, BE, BOB, BS, NONCE, OFFICE, OTHER, UP, UV, Said, SoftKey, b64

SCOPE = [ANN, BOB]
SYNCED = OFFICE + 'synced = "allow"\n'


def enrolled(*keys: SoftKey, office: str = OFFICE, **changes: Any) -> Fido2Checker:
    checker = Fido2Checker([office])
    for key in keys:
        checker.add([key.reference(checker.admit(key.registration(**changes), NONCE, key.person))])
    return checker


@pytest.fixture
def key() -> SoftKey:
    return SoftKey()


def judge(checker: Fido2Checker, answer: bytes, nonce: str = NONCE, **more: Any) -> Denial | None:
    return checker.check(answer, nonce, SCOPE, **more).denial


def admitted(registration: bytes, office: str = OFFICE) -> bytes:
    return Fido2Checker([office]).admit(registration, NONCE, ANN)


def refused(registration: bytes, office: str = OFFICE) -> Denial:
    with pytest.raises(NotAccepted) as bad:
        admitted(registration, office)
    return bad.value.why


# What is believed


def test_a_touch_with_a_pin_is_two_factors_signed(key: SoftKey) -> None:
    expected = Checked(ANN, "tpl_credential-1@1", ("key", "pin"), "A", 7)
    assert enrolled(key).check(key.answer(counter=7), NONCE, SCOPE) == expected


def test_a_key_with_a_sensor_of_its_own_is_key_and_finger(key: SoftKey) -> None:
    table = json.loads(key.registration())
    table["authd"] = {"uv": True, "label": "blue"}
    checker = Fido2Checker([OFFICE])
    checker.add([key.reference(checker.admit(json.dumps(table).encode(), NONCE, ANN))])
    assert checker.check(key.answer(counter=7), NONCE, SCOPE).factors == ("key", "fingerprint")


def test_a_silent_answer_carries_no_factor(key: SoftKey) -> None:
    checked = enrolled(key).check(key.answer(flags=0, counter=7), NONCE, SCOPE, silent=True)
    assert checked == Checked(ANN, "tpl_credential-1@1", (), "A", 7)


def test_a_browsers_origin_counts_as_the_seats_own(key: SoftKey) -> None:
    assert judge(enrolled(key), key.answer(origin="http://localhost:8780", counter=2)) is None


def test_two_keys_of_one_person_are_told_apart() -> None:
    first, second = SoftKey(b"first"), SoftKey(b"second")
    checker = enrolled(first, second)
    assert [checker.check(each.answer(counter=2), NONCE, SCOPE).reference for each in (first, second)] == [
        "tpl_first@1",
        "tpl_second@1",
    ]
    assert checker.credential("tpl_second@1") == b"second"
    assert checker.name("tpl_second@1") == ""


# Flags, in every combination


def expected(up: int, uv: int, be: int, bs: int, enrolled_be: int, silent: bool) -> Denial | None:
    """WebAuthn level 3, 7.2: steps 16 to 19, and what this project makes of them."""
    if not up and not silent:
        return Denial.ABSENT
    if not uv and not silent:
        return Denial.UNVERIFIED
    return Denial.SYNCED if be != enrolled_be or bs > be else None


@pytest.mark.parametrize("enrolled_be", [0, BE])
@pytest.mark.parametrize("silent", [False, True])
def test_every_combination_of_flags(key: SoftKey, enrolled_be: int, silent: bool) -> None:
    for up, uv, be, bs in itertools.product((0, UP), (0, UV), (0, BE), (0, BS)):
        checker = enrolled(key, office=SYNCED, flags=UP | UV | enrolled_be)
        found = judge(checker, key.answer(flags=up | uv | be | bs, counter=2), silent=silent)
        assert found is expected(bool(up), bool(uv), bool(be), bool(bs), bool(enrolled_be), silent), (up, uv, be, bs)


@pytest.mark.parametrize("office", [OFFICE, SYNCED])
def test_every_combination_of_flags_at_enrolment(key: SoftKey, office: str) -> None:
    for up, uv, be, bs in itertools.product((0, UP), (0, UV), (0, BE), (0, BS)):
        due = Denial.ABSENT if not up else Denial.UNVERIFIED if not uv else None
        if due is None and (be or bs) and (office is OFFICE or not be):
            due = Denial.SYNCED
        registration = key.registration(flags=up | uv | be | bs)
        if due is None:
            admitted(registration, office)
        else:
            assert refused(registration, office) is due


# Copies, and other people's


@pytest.mark.parametrize(
    ("counters", "last"),
    [
        ((5, 6), None),
        ((5, 4_000_000_000), None),
        ((5, 5), Denial.CLONED),
        ((5, 4), Denial.CLONED),
        ((5, 0), Denial.CLONED),
        ((0, 0), None),
        ((0, 1), None),
        ((0, 1, 0), Denial.CLONED),
    ],
)
def test_the_counter_grows_or_the_key_is_a_copy(key: SoftKey, counters: tuple[int, ...], last: Denial | None) -> None:
    checker = enrolled(key, counter=0)
    *before, now = counters
    for counter in before:
        assert judge(checker, key.answer(counter=counter)) is None
    assert judge(checker, key.answer(counter=now)) is last


def test_a_counter_that_was_kept_survives_a_restart(key: SoftKey) -> None:
    reference = key.reference(admitted(key.registration()))
    checker = Fido2Checker([OFFICE])
    checker.load([reference], {reference.id: 40})
    assert judge(checker, key.answer(counter=40)) is Denial.CLONED
    assert judge(checker, key.answer(counter=41)) is None


def test_the_counter_of_the_enrolment_counts(key: SoftKey) -> None:
    assert judge(enrolled(key, counter=9), key.answer(counter=9)) is Denial.CLONED


def test_a_key_that_counts_nothing_keeps_nothing(key: SoftKey) -> None:
    assert enrolled(key, counter=0).check(key.answer(counter=0), NONCE, SCOPE).counter is None


def test_a_silent_answer_that_stands_still_is_not_counted(key: SoftKey) -> None:
    checker = enrolled(key)
    assert checker.check(key.answer(counter=7), NONCE, SCOPE).counter == 7
    silent = checker.check(key.answer(flags=0, counter=7), NONCE, SCOPE, silent=True)
    assert (silent.denial, silent.counter) == (None, None)


def test_a_silent_answer_may_stand_still_and_never_go_back(key: SoftKey) -> None:
    checker = enrolled(key, counter=5)
    assert judge(checker, key.answer(flags=0, counter=5), silent=True) is None
    assert judge(checker, key.answer(flags=0, counter=4), silent=True) is Denial.CLONED


def test_what_was_refused_does_not_move_the_counter(key: SoftKey) -> None:
    checker = enrolled(key)
    assert judge(checker, key.answer(counter=100, flags=UP)) is Denial.UNVERIFIED
    assert judge(checker, key.answer(counter=2)) is None


def test_a_key_of_another_relying_party_is_foreign(key: SoftKey) -> None:
    assert judge(enrolled(key), key.answer(rp_id="other.example", counter=2)) is Denial.FOREIGN


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "http://localhost:8781"},
        {"origin": "https://seats.town.example"},
        {"origin": "authd://seats.town.example.evil"},
        {"cross": True},
    ],
)
def test_another_page_is_foreign(key: SoftKey, changes: dict[str, Any]) -> None:
    assert judge(enrolled(key), key.answer(counter=2, **changes)) is Denial.FOREIGN
    assert refused(SoftKey(b"new").registration(**changes)) is Denial.FOREIGN


def test_an_answer_to_another_question_is_a_replay(key: SoftKey) -> None:
    checker, answer = enrolled(key), key.answer(counter=2)
    assert judge(checker, answer, OTHER) is Denial.REPLAYED
    assert judge(checker, answer) is None
    assert judge(checker, answer) is Denial.CLONED  # and the same one twice


def test_an_enrolments_answer_is_no_login(key: SoftKey) -> None:
    assert judge(enrolled(key), key.answer(kind="create", counter=2)) is Denial.REPLAYED
    with pytest.raises(DriverError):
        enrolled(key).check(key.registration(), NONCE, SCOPE)
    assert refused(key.registration(kind="get")) is Denial.REPLAYED
    assert refused(key.registration(challenge=bytes(32))) is Denial.REPLAYED


def test_a_strange_key_is_unknown(key: SoftKey) -> None:
    assert enrolled(key).check(SoftKey(b"?").answer(counter=2), NONCE, SCOPE) == Checked(denial=Denial.UNKNOWN)


def test_a_strange_key_with_a_known_id_does_not_verify(key: SoftKey) -> None:
    assert judge(enrolled(key), SoftKey(key.id).answer(counter=2)) is Denial.SIGNATURE
    assert judge(enrolled(key), SoftKey(key.id).answer(counter=2, flags=0), silent=True) is Denial.SIGNATURE


def test_crossed_user_handles_open_nothing() -> None:
    ann, bob = SoftKey(b"anns"), SoftKey(b"bobs", BOB)
    checker = enrolled(ann, bob)
    for key, handle in ((ann, BOB), (bob, ANN), (ann, "sub_an"), (ann, "")):
        found = checker.check(key.answer(handle=handle.encode(), counter=2), NONCE, SCOPE)
        assert found.denial is Denial.UNKNOWN
        assert found.factors == ()
    assert judge(checker, ann.answer(handle=None, counter=2)) is Denial.UNKNOWN


def test_a_silent_answer_need_not_name_anybody_but_never_another(key: SoftKey) -> None:
    checker = enrolled(key)
    assert judge(checker, key.answer(flags=0, counter=2, handle=None), silent=True) is None
    assert judge(checker, key.answer(flags=0, counter=3, handle=BOB.encode()), silent=True) is Denial.UNKNOWN


def test_who_may_not_be_named_here_is_unknown(key: SoftKey) -> None:
    assert enrolled(key).check(key.answer(counter=2), NONCE, [BOB]).denial is Denial.UNKNOWN


def test_one_of_two_keys_is_revoked_and_says_so() -> None:
    lost, kept = SoftKey(b"lost"), SoftKey(b"kept")
    checker = enrolled(lost, kept)
    checker.remove(ANN, "tpl_lost@1")
    found = checker.check(lost.answer(counter=2), NONCE, SCOPE)
    assert found == Checked(ANN, "tpl_lost@1", denial=Denial.REVOKED)
    assert judge(checker, kept.answer(counter=2)) is None
    assert judge(checker, lost.answer(counter=3, rp_id="other.example")) is Denial.FOREIGN
    assert judge(checker, lost.answer(counter=3), OTHER) is Denial.REPLAYED
    with pytest.raises(DriverError):
        checker.credential("tpl_lost@1")


def test_a_person_who_left_is_not_named_any_more() -> None:
    key = SoftKey()
    checker = enrolled(key)
    checker.remove(ANN)
    assert checker.check(key.answer(counter=2), NONCE, SCOPE) == Checked(denial=Denial.REVOKED)


def test_a_new_gallery_forgets_the_old_one(key: SoftKey) -> None:
    checker = enrolled(key)
    checker.load([], {})
    assert judge(checker, key.answer(counter=2)) is Denial.UNKNOWN


def test_without_an_office_everything_is_foreign(key: SoftKey) -> None:
    assert judge(Fido2Checker(), key.answer()) is Denial.FOREIGN


def test_every_byte_of_the_signed_data_counts(key: SoftKey) -> None:
    """Whatever is changed after the signature, nothing is opened by it."""
    checker, table = enrolled(key), key.table(counter=2)
    response = table["response"]
    for part in ("authenticatorData", "clientDataJSON", "signature"):
        text = response[part]
        for at in range(0, len(text), 7):
            other = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
            answer = json.dumps(table | {"response": response | {part: other}}).encode()
            try:
                assert judge(checker, answer) is not None
            except DriverError as error:
                assert error.fault is Fault.PROTOCOL  # noqa: PT017  # either is a refusal
    assert judge(checker, json.dumps(table).encode()) is None


# Enrolment


def test_the_same_key_twice_is_a_duplicate(key: SoftKey) -> None:
    checker = enrolled(key)
    for again in (key, SoftKey(b"other-id", BOB, private=key.private), SoftKey(key.id, BOB)):
        with pytest.raises(NotAccepted) as bad:
            checker.admit(again.registration(), NONCE, again.person)
        assert bad.value.why is Denial.DUPLICATE


def test_a_credential_that_is_not_discoverable_is_refused(key: SoftKey) -> None:
    assert refused(key.registration(discoverable=False)) is Denial.NOT_ALLOWED
    assert admitted(key.registration(discoverable=None))


@pytest.mark.parametrize(("level", "good"), [(b"\x01", False), (b"\x02", True), (b"\x03", True), (b"\x04", False)])
def test_cred_protect_is_at_least_two(key: SoftKey, level: bytes, good: bool) -> None:
    registration = key.registration(extensions=b"\xa1\x6bcredProtect" + level)
    if good:
        assert admitted(registration)
    else:
        assert refused(registration) is Denial.NOT_ALLOWED


def test_a_curve_that_is_not_ours_is_refused() -> None:
    class Other(SoftKey):
        @property
        def cose(self) -> bytes:
            return super().cose.replace(b"\x03\x26", b"\x03\x38\x2e")  # ES256K

    assert refused(Other().registration()) is Denial.NOT_ALLOWED


def test_a_point_that_is_on_no_curve_is_one_error() -> None:
    class Off(SoftKey):
        @property
        def cose(self) -> bytes:
            whole = super().cose
            return whole[:-1] + bytes([whole[-1] ^ 1])

    with pytest.raises(DriverError) as error:
        admitted(Off().registration())
    assert error.value.fault is Fault.PROTOCOL


def test_a_registration_of_another_id_than_it_says_is_one_error(key: SoftKey) -> None:
    table = json.loads(key.registration())
    table["id"] = table["rawId"] = b64(b"another")
    with pytest.raises(DriverError):
        admitted(json.dumps(table).encode())


def test_ed25519_keys_may_be_stored(key: SoftKey) -> None:
    """The record takes any of the algorithms; P-384 as an example of another length."""
    private = ec.generate_private_key(ec.SECP384R1())
    numbers = private.public_key().public_numbers()
    from authd_simulators.fido_key.cbor import encode

    class Longer(SoftKey):
        @property
        def cose(self) -> bytes:
            return encode({1: 2, 3: -35, -1: 2, -2: numbers.x.to_bytes(48, "big"), -3: numbers.y.to_bytes(48, "big")})

    assert admitted(Longer().registration())


@given(st.binary(max_size=400))
def test_no_record_but_ours_is_loaded(data: bytes) -> None:
    checker = Fido2Checker([OFFICE])
    try:
        checker.add([SoftKey().reference(data)])
    except DriverError as error:
        assert error.fault is Fault.PROTOCOL  # noqa: PT017  # of random bytes, nearly always


def test_a_registration_says_nothing_that_its_flags_do_not(key: SoftKey) -> None:
    assert refused(key.registration(Said("create", flags=UP))) is Denial.UNVERIFIED
