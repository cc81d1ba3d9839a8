"""PIN/UV protocols against published answers, and the PIN's rules against python-fido2."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.ctap import CtapError
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin, PinProtocol, PinProtocolV1, PinProtocolV2
from hypothesis import given, settings
from hypothesis import strategies as st

from authd_simulators.fido_key import BIO, WRONG, Finger, Gesture, Key
from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.client_pin import store_pin
from authd_simulators.fido_key.pinuv import One, Two
from authd_simulators.fido_key.status import CtapError as KeyError_
from authd_simulators.fido_key.status import Status
from tests.simulators.key_device import KeyDevice

PIN = "271828"
THEIRS: Any = (PinProtocolV1, PinProtocolV2)  # their types are not whole
ERR = CtapError.ERR
AES_KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
AES_IV = bytes(range(16))
AES_PLAIN = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
AES_SEALED = bytes.fromhex("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d")
"""NIST SP 800-38A, F.2.5, first two blocks."""
RESPONDER = 0xC6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53
INITIATOR_X = bytes.fromhex("dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180")
INITIATOR_Y = bytes.fromhex("5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3")
AGREED_X = bytes.fromhex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de")
"""RFC 5903, 8.1."""


def peer(x: bytes = INITIATOR_X, y: bytes = INITIATOR_Y, **changed: object) -> Fields:
    return Fields({1: 2, 3: -25, -1: 1, -2: x, -3: y} | {int(key[1:]): value for key, value in changed.items()})


def test_protocol_1_agrees_as_published() -> None:
    protocol = One()
    protocol.private = ec.derive_private_key(RESPONDER, ec.SECP256R1())
    assert protocol.decapsulate(peer()) == hashlib.sha256(AGREED_X).digest()


def test_protocol_2_agrees_as_published() -> None:
    protocol = Two()
    protocol.private = ec.derive_private_key(RESPONDER, ec.SECP256R1())
    extracted = hmac.digest(bytes(32), AGREED_X, "sha256")  # RFC 5869 by hand: one block of output a key
    keys = [hmac.digest(extracted, info + b"\1", "sha256") for info in (b"CTAP2 HMAC key", b"CTAP2 AES key")]
    assert protocol.decapsulate(peer()) == b"".join(keys)


def test_protocol_2_encrypts_as_published() -> None:
    protocol = Two(random=lambda length: AES_IV[:length])
    key = bytes(32) + AES_KEY
    assert protocol.encrypt(key, AES_PLAIN) == AES_IV + AES_SEALED
    assert protocol.decrypt(key, AES_IV + AES_SEALED) == AES_PLAIN


def test_protocol_1_encrypts_with_a_zero_iv() -> None:
    first = bytes(a ^ b for a, b in zip(AES_PLAIN[:16], AES_IV, strict=True))  # the published block, its IV taken in
    assert One().encrypt(AES_KEY, first) == AES_SEALED[:16]
    assert One().decrypt(AES_KEY, AES_SEALED[:16]) == first


def test_signatures_are_as_published() -> None:
    key, message = b"Jefe", b"what do ya want for nothing?"  # RFC 4231, test case 2
    published = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    assert One().authenticate(key, message) == published[:16]
    assert Two().authenticate(key, message) == published
    assert not Two().verify(key, message, published[:16])


@pytest.mark.parametrize(
    "bad",
    [peer(y=INITIATOR_X), peer(x=b"\1"), peer(k1=3), peer(k3=-7), Fields({1: 2, 3: -25, -1: 2, -2: b"", -3: b""})],
)
def test_points_that_are_not_on_the_curve_are_refused(bad: Fields) -> None:
    with pytest.raises(KeyError_) as refused:
        Two().decapsulate(bad)
    assert refused.value.status is Status.INVALID_PARAMETER


@given(data=st.binary(min_size=32, max_size=32), blocks=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_both_ends_understand_each_other(data: bytes, blocks: int) -> None:
    for mine, theirs in ((One(), THEIRS[0]()), (Two(), THEIRS[1]())):
        public, shared = theirs.encapsulate(mine.public())
        assert mine.decapsulate(Fields(dict(public))) == shared
        assert theirs.decrypt(shared, mine.encrypt(shared, data * blocks)) == data * blocks
        assert mine.decrypt(shared, theirs.encrypt(shared, data * blocks)) == data * blocks
        assert mine.authenticate(shared, data) == theirs.authenticate(shared, data)


@pytest.fixture(params=[PinProtocolV1, PinProtocolV2])
def protocol(request: pytest.FixtureRequest) -> PinProtocol:
    made = request.param()
    assert isinstance(made, PinProtocol)
    return made


def pins(key: Key, protocol: PinProtocol | None = None) -> ClientPin:
    return ClientPin(Ctap2(KeyDevice(key)), protocol)


def refusal(attempt: object, *arguments: object) -> int:
    assert callable(attempt)
    with pytest.raises(CtapError) as refused:
        attempt(*arguments)
    return int(refused.value.code)


def test_eight_wrong_pins_block_for_good(protocol: PinProtocol) -> None:
    key = Key()
    client = pins(key, protocol)
    client.set_pin(PIN)
    said: list[int] = []
    for turn in range(8):
        said.append(refusal(client.get_pin_token, "000000"))
        if said[-1] == ERR.PIN_AUTH_BLOCKED:
            assert refusal(client.get_pin_token, PIN) == ERR.PIN_AUTH_BLOCKED  # even the right one, until re-plugged
            key.power(False)
            key.power(True)
        assert key.memory.pin_retries == 7 - turn
    assert said.count(ERR.PIN_AUTH_BLOCKED) == 2
    assert said[-1] == ERR.PIN_BLOCKED
    assert refusal(client.get_pin_token, PIN) == ERR.PIN_BLOCKED


def test_the_right_pin_gives_all_tries_back(protocol: PinProtocol) -> None:
    key = Key()
    client = pins(key, protocol)
    client.set_pin(PIN)
    assert refusal(client.get_pin_token, "000000") == ERR.PIN_INVALID
    assert len(client.get_pin_token(PIN)) == 32
    assert client.get_pin_retries() == (8, False)


@pytest.mark.parametrize("pin", [b"123", "\u6771\u4eac\u90fd".encode(), b"x" * 64, b"\xff" * 8])
def test_a_pin_too_short_too_long_or_no_text_is_refused(pin: bytes) -> None:
    key = Key()
    with pytest.raises(KeyError_, match="PIN_POLICY_VIOLATION"):
        store_pin(key, pin.ljust(64, b"\0"))
    assert key.memory.pin is None


def test_a_token_ends_after_thirty_seconds_unused() -> None:
    now = [0]
    key = Key(clock=lambda: now[0])
    client = pins(key)
    client.set_pin(PIN)
    token = client.get_pin_token(PIN, ClientPin.PERMISSION.AUTHENTICATOR_CFG)
    now[0] += 31 * 10**9
    message = b"\xff" * 32 + b"\x0d\x02"
    ctap = Ctap2(KeyDevice(key))
    two = THEIRS[1]()
    code = refusal(ctap.config, 2, None, two.VERSION, two.authenticate(token, message))
    assert code == ERR.PIN_AUTH_INVALID


def test_five_wrong_fingers_block_the_sensor_until_the_pin() -> None:
    key = Key(BIO)
    client = pins(key)
    client.set_pin(PIN)
    key.memory.fingers.append(Finger(b"t", 2))
    key.approve = lambda want, wait_s: WRONG
    asked = (ClientPin.PERMISSION.GET_ASSERTION, "office.example")
    assert [refusal(client.get_uv_token, *asked) for _ in range(5)] == [ERR.UV_INVALID] * 4 + [ERR.UV_BLOCKED]
    key.approve = lambda want, wait_s: Gesture(2)
    assert refusal(client.get_uv_token, *asked) == ERR.UV_BLOCKED
    assert client.get_uv_retries() == 0
    client.get_pin_token(PIN)
    assert len(client.get_uv_token(*asked)) == 32


@pytest.mark.parametrize(
    ("permissions", "rp_id", "code"),
    [
        (0, None, ERR.INVALID_PARAMETER),
        (0x40, None, ERR.UNAUTHORIZED_PERMISSION),
        (0x08, None, ERR.UNAUTHORIZED_PERMISSION),
        (0x02, None, ERR.MISSING_PARAMETER),
    ],
)
def test_permissions_are_bounded(permissions: int, rp_id: str | None, code: int) -> None:
    key = Key()
    pins(key).set_pin(PIN)
    two = THEIRS[1]()
    public, shared = two.encapsulate(key.tokens.protocol(2).public())
    sealed = two.encrypt(shared, hashlib.sha256(PIN.encode()).digest()[:16])
    ctap = Ctap2(KeyDevice(key))
    assert refusal(ctap.client_pin, 2, 9, public, None, None, sealed, permissions, rp_id) == code
