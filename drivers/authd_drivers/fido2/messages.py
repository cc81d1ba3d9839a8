"""What leaves a reader, or a browser, as JSON: WebAuthn's AuthenticationResponse and RegistrationResponse.

The local driver writes the very form that browsers write (WebAuthn level 3, section 5.1.8), so one parser reads both.
Every length is capped before anything is parsed: the CBOR library copies what is left at each item.

Parsers: `parse_response`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from fido2.webauthn import AttestationObject, AuthenticatorData

from authd.driver import MAX_PROBE_BYTES, DriverError, Fault, challenge_of
from authd_drivers.fido2.record import MAX_ID_BYTES

MAX_RESPONSE_BYTES: Final = 32_768
MAX_CLIENT_DATA_BYTES: Final = 4_096
MAX_CBOR_BYTES: Final = 7_609
"""What fits into one message of CTAPHID; a browser's attestation object is shorter."""
MAX_SIGNATURE_BYTES: Final = 1_024
MAX_HANDLE_BYTES: Final = 64
MAX_LABEL: Final = 64
assert MAX_RESPONSE_BYTES <= MAX_PROBE_BYTES
_B64 = re.compile(r"[A-Za-z0-9_-]*")
_SENSOR = "uv"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClientData:
    """What the client (driver or browser) says of the question; `raw` is what is signed."""

    raw: bytes
    type: str
    challenge: bytes
    origin: str
    cross_origin: bool


@dataclass(frozen=True, slots=True)
class Assertion:
    """Answer to a login."""

    id: bytes
    client: ClientData
    data: AuthenticatorData
    signature: bytes
    handle: bytes | None


@dataclass(frozen=True, slots=True)
class Registration:
    """Answer to an enrolment."""

    id: bytes
    client: ClientData
    attestation: AttestationObject
    discoverable: bool | None
    """As the client says; None: it does not."""
    sensor: bool
    """The driver's word, of no weight: the key has a sensor of its own."""
    label: str


def parse_response(data: bytes) -> Assertion | Registration:
    """Read a response. Raises `DriverError` with `Fault.PROTOCOL`, and nothing else."""
    if len(data) > MAX_RESPONSE_BYTES:
        raise _malformed("too long")
    try:
        table = _table(json.loads(data))
        response = _table(table["response"])
        return (_registration if "attestationObject" in response else _assertion)(table, response)
    except DriverError:
        raise
    except Exception as error:  # python-fido2 lets at least six kinds out, its CBOR a RecursionError
        raise _malformed(type(error).__name__) from None


def _malformed(detail: str) -> DriverError:
    return DriverError(Fault.PROTOCOL, f"response: {detail}")


def _assertion(table: Mapping[str, Any], response: Mapping[str, Any]) -> Assertion:
    handle = response.get("userHandle")
    return Assertion(
        _credential_id(table),
        _client_data(response),
        AuthenticatorData(_bytes(response, "authenticatorData", MAX_CBOR_BYTES)),
        _bytes(response, "signature", MAX_SIGNATURE_BYTES),
        None if handle is None else _bytes(response, "userHandle", MAX_HANDLE_BYTES),
    )


def _registration(table: Mapping[str, Any], response: Mapping[str, Any]) -> Registration:
    said = _table(table.get("authd", {}))
    properties = _table(_table(table.get("clientExtensionResults", {})).get("credProps", {}))
    attestation = AttestationObject(_bytes(response, "attestationObject", MAX_CBOR_BYTES))
    if _typed(attestation.fmt, str) and attestation.auth_data.credential_data is None:
        raise _malformed("no credential")
    _table(attestation.att_stmt)
    label = _typed(said.get("label", ""), str)
    return Registration(
        _credential_id(table),
        _client_data(response),
        attestation,
        properties.get("rk") if properties.get("rk") is None else _typed(properties["rk"], bool),
        _typed(said.get(_SENSOR, False), bool),
        label if label.isprintable() and len(label) <= MAX_LABEL else "",
    )


def _credential_id(table: Mapping[str, Any]) -> bytes:
    raw = _bytes(table, "rawId", MAX_ID_BYTES)
    if table["id"] != table["rawId"] or table["type"] != "public-key" or not raw:
        raise _malformed("not a public key's")
    return raw


def _client_data(response: Mapping[str, Any]) -> ClientData:
    raw = _bytes(response, "clientDataJSON", MAX_CLIENT_DATA_BYTES)
    said = _table(json.loads(raw))
    return ClientData(
        raw,
        _typed(said["type"], str),
        _bytes(said, "challenge", MAX_SIGNATURE_BYTES),
        _typed(said["origin"], str),
        _typed(said.get("crossOrigin", False), bool),
    )


def _typed(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise _malformed(f"{kind.__name__} is expected")
    return value


def _table(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", _typed(value, dict))


def _bytes(table: Mapping[str, Any], key: str, most: int) -> bytes:
    """Decode base64url without padding, in its only form."""
    text = _typed(table[key], str)
    if len(text) > (most * 4 + 2) // 3 or not _B64.fullmatch(text):
        raise _malformed(f"{key}: too long, or not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(data) != text:
        raise _malformed(f"{key}: not base64url")
    return data


# What the local driver writes.


def b64(data: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def client_data(kind: str, nonce: str, origin: str) -> bytes:
    """Return clientDataJSON; `kind`: `get` or `create`."""
    said = {"type": f"webauthn.{kind}", "challenge": b64(challenge_of(nonce)), "origin": origin, "crossOrigin": False}
    return json.dumps(said, separators=(",", ":")).encode()


def assertion(id: bytes, client: bytes, data: bytes, signature: bytes, handle: bytes | None) -> bytes:  # noqa: A002  # its name in WebAuthn
    """Return the JSON of an AuthenticationResponse."""
    response = {"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature)}
    if handle is not None:
        response["userHandle"] = b64(handle)
    return _written(id, response)


def registration(id: bytes, client: bytes, attestation: bytes, *, sensor: bool, label: str = "") -> bytes:  # noqa: A002  # its name in WebAuthn
    """Return the JSON of a RegistrationResponse of a discoverable credential."""
    return _written(
        id,
        {"clientDataJSON": b64(client), "attestationObject": b64(attestation)},
        authd={_SENSOR: sensor, "label": label},
        clientExtensionResults={"credProps": {"rk": True}},
    )


def _written(id: bytes, response: Mapping[str, str], **more: object) -> bytes:  # noqa: A002  # its name in WebAuthn
    table: dict[str, object] = {"id": b64(id), "rawId": b64(id), "type": "public-key", "response": response}
    return json.dumps({**table, "clientExtensionResults": {}, **more}, separators=(",", ":")).encode()
