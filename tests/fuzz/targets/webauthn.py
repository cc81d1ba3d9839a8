"""What a key or a browser answers, as the verifier reads it: `authd_drivers.fido2.checker` and what it is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from fido2.webauthn import AttestationObject

from authd.driver import DriverError, Fault, NotAccepted, Reference
from authd_drivers.fido2 import messages, office, record
from authd_drivers.fido2.checker import Fido2Checker
from authd_simulators.fido_key import BIO, Finger, Key
from authd_simulators.fido_key.cbor import Fields, decode, encode

NONCE = "0123456789abcdef" * 2
RP, SUBJECT = "seats.town.example", "sub_1"
OFFICE = f'rp_id = "{RP}"\norigins = ["http://localhost:8780"]\nattestation = "none"\nallow = []\n'


def _key() -> Key:
    key = Key(replace(BIO), seed=1)
    key.memory.fingers.append(Finger(b"\1", 1))
    key.presence.hand.auto = True
    return key


def _answer(key: Key, number: int, request: dict[int, object]) -> Fields:
    said = key.call(bytes([number]) + encode(request))
    assert said[0] == 0, said[0]
    return Fields.of(decode(said[1:]))


def _client(kind: str, rp: str) -> bytes:
    return messages.client_data(kind, NONCE, f"authd://{rp}")


def _made(key: Key, rp: str) -> bytes:
    """Return an attestation object."""
    request: dict[int, object] = {
        1: hashlib.sha256(_client("create", rp)).digest(),
        2: {"id": rp, "name": rp},
        3: {"id": SUBJECT.encode(), "name": SUBJECT},
        4: [{"alg": -7, "type": "public-key"}],
        7: {"rk": True, "uv": True},
    }
    answer = _answer(key, 1, request)
    return encode({"fmt": answer.need(1, str), "authData": answer.need(2, bytes), "attStmt": answer.map(3).table})


KEY = _key()
_ROOT = load_der_x509_certificate(KEY.attestation.root).public_bytes(Encoding.PEM).decode()
REQUIRED = f"rp_id = \"attested.example\"\nattestation = \"required\"\nroots = '''{_ROOT}'''\n"
MADE = _made(KEY, RP)
ATTESTED = _made(KEY, "attested.example")
_AUTH = Fields.of(decode(MADE)).need("authData", bytes)
_ID = _AUTH[55 : 55 + int.from_bytes(_AUTH[53:55], "big")]
_SIGNED = _answer(KEY, 2, {1: RP, 2: hashlib.sha256(_client("get", RP)).digest(), 5: {"uv": True}})
DATA, SIGNATURE = _SIGNED.need(2, bytes), _SIGNED.need(3, bytes)
RECORD = Fido2Checker([OFFICE]).admit(
    messages.registration(_ID, _client("create", RP), MADE, sensor=True), NONCE, SUBJECT
)


def _checker() -> Fido2Checker:
    checker = Fido2Checker([OFFICE, REQUIRED])
    checker.load([Reference(SUBJECT, "tpl_1@1", RECORD)], {})
    return checker


CHECKER = _checker()


def _login(data: bytes, signature: bytes, client: bytes) -> None:
    whole = messages.assertion(_ID, client, data, signature, SUBJECT.encode())
    for silent in (False, True):
        checked = CHECKER.check(whole, NONCE, [SUBJECT], silent=silent)
        good = data == DATA and client == _client("get", RP) and not silent
        assert checked.denial is not None or good or silent, "another answer than the key's was believed"


def _raw(data: bytes) -> None:
    for attempt in (lambda: CHECKER.check(data, NONCE, [SUBJECT]), lambda: CHECKER.admit(data, NONCE, SUBJECT)):
        try:
            attempt()
        except (DriverError, NotAccepted) as error:
            if not declared(error):
                raise


def _data(data: bytes) -> None:
    length = int.from_bytes(data[:2], "big")
    _login(data[2 : 2 + length], data[2 + length :], _client("get", RP))


def _says(data: bytes) -> None:
    _login(DATA, SIGNATURE, data)


def _admit(data: bytes) -> None:
    CHECKER.load([], {})
    try:
        made = AttestationObject(data).auth_data.credential_data
        name = made.credential_id if made is not None else _ID
    except Exception:
        name = _ID
    for rp in (RP, "attested.example"):
        whole = messages.registration(name, _client("create", rp), data, sensor=False)
        try:
            record.unpack(CHECKER.admit(whole, NONCE, SUBJECT))
        except (DriverError, NotAccepted) as error:
            if not declared(error):
                raise


def _load(data: bytes) -> None:
    _checker().load([Reference(SUBJECT, "tpl_1@1", data)], {})


def _office(data: bytes) -> None:
    try:
        office.parse(data.decode("utf-8", "replace"))
    except DriverError as error:
        if error.fault is not Fault.NOT_PERMITTED:
            raise AssertionError(error) from None


WAYS: tuple[Callable[[bytes], None], ...] = (_raw, _data, _says, _admit, _load, _office)


def one(data: bytes) -> None:
    """The first byte says what the rest is: JSON, authenticator data, client data, attestation, record, office file."""
    if data:
        CHECKER.load([Reference(SUBJECT, "tpl_1@1", RECORD)], {})
        WAYS[data[0] % len(WAYS)](data[1:])


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant."""
    return isinstance(error, NotAccepted) or (isinstance(error, DriverError) and error.fault is Fault.PROTOCOL)


def seeds() -> Iterator[bytes]:
    """Yield what a simulated key answers, in each of the ways."""
    yield b"\0" + messages.assertion(_ID, _client("get", RP), DATA, SIGNATURE, SUBJECT.encode())
    yield b"\0" + messages.registration(_ID, _client("create", RP), MADE, sensor=True, label="key")
    yield b"\1" + len(DATA).to_bytes(2, "big") + DATA + SIGNATURE
    yield b"\2" + _client("get", RP)
    yield b"\2" + json.dumps({"type": "webauthn.get", "challenge": "AA", "origin": "x"}).encode()
    yield b"\3" + MADE
    yield b"\3" + ATTESTED
    yield b"\4" + RECORD
    yield b"\5" + OFFICE.encode()
