"""What is said with a key, command by command; runs in an errand's thread.

Each function raises `CtapError` for the key's own no (status.py says what it comes to), `Gone`, `Cancelled` and
`DriverError`, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fido2.ctap import STATUS, CtapError
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.webauthn import AttestationObject

from authd.driver import DriverError, Enroll, Fault, Feedback, Hint, State, StateChange
from authd_drivers.fido2 import messages
from authd_drivers.fido2.admission import ALGORITHMS
from authd_drivers.fido2.ctap import Ctap, one_error
from authd_drivers.fido2.errand import Say
from authd_drivers.fido2.office import Office

WITH_LIST: Final = 2
"""credProtect: found without verifying the person only by who knows its id. `Confirm` needs that much."""
MAX_PIN_BYTES: Final = 63
_KEY = "public-key"


@dataclass(frozen=True, slots=True)
class Key:
    """What a key says of itself, as far as it matters here."""

    sensor: bool
    """It has a sensor of its own, and knows a finger."""
    pin: bool
    """A PIN is set."""
    can_pin: bool
    left: int | None
    """Tries before the PIN is blocked."""
    replug: bool
    """Wrong PINs: it takes no more before it was taken out and put in."""
    shortest: int


class Blink:
    """Turns keep-alives into events, for one operation: the person is asked once, states are said as they change."""

    def __init__(self) -> None:
        self.asked = False

    def of(self, say: Say) -> Callable[[int], None]:
        """Return what the library calls for each keep-alive of one errand."""
        last = 0

        def keepalive(status: int) -> None:
            nonlocal last
            before, last = last, status
            if status == STATUS.UPNEEDED and before != status:
                say(StateChange(State.NEED_TOUCH))
                if not self.asked:
                    self.asked = True
                    say(Feedback(Hint.TOUCH_THE_KEY))
            elif status == STATUS.PROCESSING and before == STATUS.UPNEEDED:
                say(StateChange(State.PROCESSING))

        return keepalive


def survey(ctap: Ctap) -> Key:
    """Ask what the key can do and how many tries it has left."""
    with one_error():
        options = ctap.info.options
        pin, left, replug = options.get("clientPin") is True, None, None
        if pin:
            left, replug = ClientPin(ctap).get_pin_retries()
        if left is not None and not 0 <= left <= 255:
            raise DriverError(Fault.PROTOCOL, "CTAP: tries left")
        return Key(
            options.get("uv") is True, pin, "clientPin" in options, left, replug is True, ctap.info.min_pin_length
        )


def sign(ctap: Ctap, office: Office, nonce: str, pin: str | None, keepalive: Callable[[int], None]) -> bytes:
    """Let the key sign for whom it finds, verified by its sensor or the PIN; return the response."""
    client = messages.client_data("get", nonce, office.own_origin)
    digest = hashlib.sha256(client).digest()
    with one_error():
        options, proof = _verified(ctap, office.rp_id, ClientPin.PERMISSION.GET_ASSERTION, digest, pin, keepalive)
        asked: dict[int, Any] = {1: office.rp_id, 2: digest}
        asked |= {5: options} if proof is None else {6: proof[0], 7: proof[1]}
        return _signed(ctap.send_cbor(Ctap2.CMD.GET_ASSERTION, asked, on_keepalive=keepalive), client)


def confirm(ctap: Ctap, office: Office, nonce: str, credential: bytes) -> bytes:
    """Let the key sign with this credential, asking nobody; return the response."""
    client = messages.client_data("get", nonce, office.own_origin)
    listed = [{"id": credential, "type": _KEY}]
    with one_error():
        asked = {1: office.rp_id, 2: hashlib.sha256(client).digest(), 3: listed, 5: {"up": False}}
        return _signed(ctap.send_cbor(Ctap2.CMD.GET_ASSERTION, asked), client, credential)


def make(ctap: Ctap, office: Office, op: Enroll, pin: str | None, keepalive: Callable[[int], None]) -> bytes:
    """Let the key make a discoverable credential; return the response."""
    client = messages.client_data("create", op.nonce, office.own_origin)
    digest = hashlib.sha256(client).digest()
    with one_error():
        options, proof = _verified(ctap, office.rp_id, ClientPin.PERMISSION.MAKE_CREDENTIAL, digest, pin, keepalive)
        made = ctap.make_credential(
            digest,
            {"id": office.rp_id, "name": office.name},
            {"id": op.account.encode(), "name": op.account, "displayName": op.account},
            [{"type": _KEY, "alg": each} for each in ALGORITHMS],
            [{"id": each, "type": _KEY} for each in op.exclude] or None,
            {"credProtect": WITH_LIST} if "credProtect" in ctap.info.extensions else None,
            {"rk": True} | options,
            *(proof or (None, None)),
            on_keepalive=keepalive,
        )
        attestation = AttestationObject.create(made.fmt, made.auth_data, made.att_stmt)
        credential = attestation.auth_data.credential_data
        if credential is None:
            raise DriverError(Fault.PROTOCOL, "CTAP: no credential")
        return messages.registration(credential.credential_id, client, bytes(attestation), sensor=pin is None)


def set_pin(ctap: Ctap, pin: str) -> None:
    """Give a key its first PIN."""
    with one_error():
        ClientPin(ctap).set_pin(pin)


def _verified(
    ctap: Ctap,
    rp_id: str,
    what: ClientPin.PERMISSION,
    digest: bytes,
    pin: str | None,
    keepalive: Callable[[int], None],
) -> tuple[dict[str, bool], tuple[bytes, int] | None]:
    """Let the key verify the person; return options, or the proof (pinUvAuthParam and protocol), for the command."""
    if pin is None and ctap.info.options.get("pinUvAuthToken") is not True:
        return {"uv": True}, None  # CTAP 2.0: verified within the command
    client_pin = ClientPin(ctap)
    if pin is None:
        token = client_pin.get_uv_token(what, rp_id, None, keepalive)
    else:
        token = client_pin.get_pin_token(pin, what, rp_id)
    return {}, (client_pin.protocol.authenticate(token, digest), client_pin.protocol.VERSION)


def _signed(answer: Mapping[int, Any], client: bytes, credential: bytes = b"") -> bytes:
    """Write the key's assertion down; a key that was given one credential need not repeat it."""
    id_ = answer[1]["id"] if 1 in answer else credential
    handle = answer[4]["id"] if 4 in answer else None
    for each in (id_, answer[2], answer[3], handle or b""):
        if not isinstance(each, bytes):
            raise DriverError(Fault.PROTOCOL, "CTAP: bytes are expected")
    if not id_:
        raise CtapError(CtapError.ERR.NO_CREDENTIALS)
    return messages.assertion(id_, client, answer[2], answer[3], handle)
