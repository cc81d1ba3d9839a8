"""Managing the key: credentials, fingers, configuration, large blobs; and requests that no platform should send."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from fido2.ctap import CtapError
from fido2.ctap2.base import Ctap2
from fido2.ctap2.bio import FPBioEnrollment
from fido2.ctap2.blob import LargeBlobs
from fido2.ctap2.config import Config
from fido2.ctap2.credman import CredentialManagement
from fido2.ctap2.pin import ClientPin
from hypothesis import given, settings
from hypothesis import strategies as st

from authd_simulators.fido_key import BIO, WRONG, Gesture, Key, Memory, Profile
from authd_simulators.fido_key.cbor import decode, encode
from authd_simulators.fido_key.profile import MAX_MESSAGE
from tests.simulators.key_device import KeyDevice

PIN = "271828"
HASH = bytes(32)
RP = {"id": "office.example"}
MAKE: dict[int, object] = {1: HASH, 2: RP, 3: {"id": b"1"}, 4: [{"alg": -7, "type": "public-key"}]}
NO_ALGORITHM: dict[int, object] = {4: list[object]()}
ALLOW = ClientPin.PERMISSION
Fp: Any = FPBioEnrollment  # its types say less than it takes
Credman: Any = CredentialManagement
Blobs: Any = LargeBlobs


def key_with_pin(profile: Profile | None = None) -> Key:
    key = Key(profile or Profile())
    key.presence.hand.auto = True
    ClientPin(Ctap2(KeyDevice(key))).set_pin(PIN)
    return key


def manager(key: Key, kind: Any, permission: ALLOW, rp_id: str | None = None) -> Any:
    ctap = Ctap2(KeyDevice(key))
    pin = ClientPin(ctap)
    return kind(ctap, pin.protocol, pin.get_pin_token(PIN, permission, rp_id))


def remember(key: Key, rp_id: str, person: bytes) -> bytes:
    pin, key.memory.pin = key.memory.pin, None
    answer = Ctap2(KeyDevice(key)).make_credential(
        HASH, {"id": rp_id}, {"id": person, "name": "n"}, [{"alg": -7, "type": "public-key"}], options={"rk": True}
    )
    key.memory.pin = pin
    assert answer.auth_data.credential_data is not None
    return bytes(answer.auth_data.credential_data.credential_id)


def test_credentials_are_listed_renamed_and_deleted() -> None:
    key = key_with_pin()
    for rp_id, person in (("a.example", b"1"), ("b.example", b"1"), ("b.example", b"2")):
        remember(key, rp_id, person)
    manage = manager(key, Credman, ALLOW.CREDENTIAL_MGMT)
    assert {each[3]["id"]: len(manage.enumerate_creds(each[4])) for each in manage.enumerate_rps()} == {
        "a.example": 1,
        "b.example": 2,
    }
    first = manage.enumerate_creds(hashlib.sha256(b"b.example").digest())[0]
    manage.update_user_info(first[7], {"id": first[6]["id"], "name": "new"})
    assert manage.enumerate_creds(hashlib.sha256(b"b.example").digest())[0][6]["name"] == "new"
    manage.delete_cred(first[7])
    assert manage.get_metadata() == {1: 2, 2: key.profile.max_credentials - 2}


def test_a_token_for_one_party_manages_no_other() -> None:
    key = key_with_pin()
    theirs = remember(key, "b.example", b"1")
    manage = manager(key, Credman, ALLOW.CREDENTIAL_MGMT, "a.example")
    attempts = (
        manage.get_metadata,
        lambda: manage.enumerate_creds(hashlib.sha256(b"b.example").digest()),
        lambda: manage.delete_cred({"id": theirs, "type": "public-key"}),
    )
    for attempt in attempts:
        with pytest.raises(CtapError, match="PIN_AUTH_INVALID"):
            attempt()


def test_the_sensor_learns_a_finger_and_says_what_is_wrong() -> None:
    key = key_with_pin(BIO)
    gestures = [Gesture(3), Gesture(3, feedback=5), Gesture(4), Gesture(3), Gesture(3)]
    key.approve = lambda want, wait_s: gestures.pop(0)
    manage = manager(key, Fp, ALLOW.BIO_ENROLL)
    template, *said = manage.enroll_begin()
    said = [tuple(said)] + [manage.enroll_capture_next(template) for _ in range(4)]
    assert said == [(0, 2), (5, 2), (10, 2), (0, 1), (0, 0)]
    assert [each.finger for each in key.memory.fingers] == [3]
    key.approve = lambda want, wait_s: Gesture(3)
    assert manage.enroll_begin()[1] == 0x0B  # known already
    manage.enroll_cancel()
    manage.remove_enrollment(template)
    assert manage.enumerate_enrollments() == {}


def test_nobody_at_the_sensor_is_no_error() -> None:
    key = key_with_pin(BIO)
    key.approve = lambda want, wait_s: None
    assert manager(key, Fp, ALLOW.BIO_ENROLL).enroll_begin(timeout=20)[1] == 0x0D
    assert Key(BIO).profile.bio
    assert key.call(b"\x09" + encode({1: 1, 2: 7}))[0] == 0
    assert Key().call(b"\x09" + encode({1: 1, 2: 7})) == b"\x01"


def test_always_uv_asks_everybody_and_ends_u2f() -> None:
    key = key_with_pin()
    manager(key, Config, ALLOW.AUTHENTICATOR_CFG).toggle_always_uv()
    assert key.call(b"\x01" + encode(MAKE)) == b"\x36"
    info = Ctap2(KeyDevice(key)).get_info()
    assert "U2F_V2" not in info.versions
    assert info.options["makeCredUvNotRqd"] is False


def test_a_blob_is_written_in_parts_and_read_in_parts() -> None:
    key = key_with_pin(Profile(large_blob=20_000))
    data = bytes(range(256)) * 70
    blobs = manager(key, Blobs, ALLOW.LARGE_BLOB_WRITE)
    blobs.put_blob(bytes(32), data)
    assert blobs.get_blob(bytes(32)) == data
    whole = key.memory.large_blob
    assert decode(key.call(b"\x0c" + encode({1: 10, 3: 5}))[1:]) == {1: whole[5:15]}
    assert Memory.unpack(key.memory.pack()) == key.memory


def signed_get(key: Key, permission: ALLOW, rp_id: str | None, message: bytes = HASH, times: int = 1) -> list[int]:
    """Ask for assertions at office.example with one token; returns the status bytes."""
    pin = ClientPin(Ctap2(KeyDevice(key)))
    protocol: Any = pin.protocol
    param = protocol.authenticate(pin.get_pin_token(PIN, permission, rp_id), message)
    asked = b"\x02" + encode({1: "office.example", 2: HASH, 6: param, 7: 2})
    return [key.call(asked)[0] for _ in range(times)]


def test_a_token_is_good_for_what_it_was_given_for_and_once() -> None:
    key = key_with_pin()
    remember(key, "office.example", b"1")
    assert signed_get(key, ALLOW.GET_ASSERTION, "office.example", times=2) == [0x00, 0x33]
    assert signed_get(key, ALLOW.GET_ASSERTION, "other.example") == [0x33]
    assert signed_get(key, ALLOW.MAKE_CREDENTIAL, "office.example") == [0x33]
    assert signed_get(key, ALLOW.GET_ASSERTION, "office.example", message=bytes(31)) == [0x33]


def test_a_blob_whose_check_is_wrong_is_not_kept() -> None:
    key = Key()
    before = key.memory.large_blob
    assert key.call(b"\x0c" + encode({2: b"\x80" + bytes(16), 3: 0, 4: 17})) == b"\x3d"
    assert key.memory.large_blob == before


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"", 0x03),
        (b"\x04\xa0", 0x03),
        (b"\x7f", 0x01),
        (b"\x01", 0x12),
        (b"\x01\xff", 0x12),
        (b"\x01\x80", 0x11),
        (b"\x01\xa0", 0x14),
        (b"\x08", 0x30),
        (b"\x01" + bytes(MAX_MESSAGE), 0x39),
        (b"\x01" + encode(MAKE | NO_ALGORITHM), 0x26),
        (b"\x01" + encode(MAKE | {4: [{"alg": -7}]}), 0x14),
        (b"\x01" + encode(MAKE | {4: [{"alg": -7, "type": b"public-key"}]}), 0x11),
        (b"\x01" + encode(MAKE | {7: {"up": False}}), 0x2C),
        (b"\x01" + encode(MAKE | {7: {"uv": True}}), 0x2C),
        (b"\x01" + encode(MAKE | {8: bytes(16)}), 0x14),
        (b"\x01" + encode(MAKE | {8: bytes(16), 9: 3}), 0x02),
        (b"\x01" + encode(MAKE | {8: bytes(16), 9: 2}), 0x33),
        (b"\x01" + encode(MAKE | {8: b""}), 0x35),
        (b"\x01" + encode(MAKE | {5: [{"id": b"x", "type": "public-key"}] * 9}), 0x15),
        (b"\x01" + encode(MAKE | {6: {"credProtect": 4}}), 0x2C),
        (b"\x01" + encode(MAKE | {6: {"largeBlobKey": True}}), 0x2C),
        (b"\x01" + encode(MAKE | {0xA: 1}), 0x02),
        (b"\x02" + encode({1: "office.example", 2: HASH}), 0x2E),
        (b"\x02" + encode({1: "office.example", 2: HASH, 5: {"rk": True}}), 0x2B),
        (b"\x02" + encode({1: "office.example", 2: b"short"}), 0x03),
        (b"\x06" + encode({1: 3, 2: 2}), 0x02),
        (b"\x06" + encode({1: 2, 2: 99}), 0x3E),
        (b"\x06" + encode({1: 2, 2: 1}), 0x35),
        (b"\x0a" + encode({1: 1}), 0x36),
        (b"\x0a" + encode({1: 3}), 0x30),
        (b"\x0c" + encode({3: 0}), 0x02),
        (b"\x0c" + encode({1: 99_999, 3: 0}), 0x03),
        (b"\x0c" + encode({2: b"x", 3: 7}), 0x04),
        (b"\x0d" + encode({1: 9}), 0x3E),
    ],
)
def test_requests_that_no_platform_should_send(request_: bytes, status: int) -> None:
    key = Key()
    key.presence.hand.auto = True
    assert key.call(request_) == bytes([status])


KEYS = st.integers(-3, 10) | st.text(max_size=4)
LEAVES = (
    st.integers(-70, 300) | st.binary(max_size=70) | st.text(max_size=5) | st.booleans() | st.sampled_from([HASH, RP])
)


def within(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)


VALUES: st.SearchStrategy[Any] = st.recursive(LEAVES, within, max_leaves=6)


@given(st.integers(0, 0x0D), st.dictionaries(st.integers(0, 12), VALUES, max_size=6), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_request_whatever_raises(command: int, body: dict[int, object], bio: bool) -> None:
    key = Key(BIO if bio else Profile(), seed=1)
    key.approve = lambda want, wait_s: WRONG
    if command == 1:
        body = MAKE | body
    answer = key.call(bytes([command]) + encode(body))
    assert 1 <= len(answer) <= MAX_MESSAGE
    if len(answer) > 1:
        assert answer[0] == 0
        decode(answer[1:])
