"""authenticatorClientPIN (CTAP 2.1, 6.5.5)."""

from __future__ import annotations

import hashlib
import hmac

from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.device import Device
from authd_simulators.fido_key.memory import PIN_RETRIES, UV_RETRIES
from authd_simulators.fido_key.pinuv import PinUv
from authd_simulators.fido_key.status import CtapError, Status, demand
from authd_simulators.fido_key.tokens import Permission

PADDED = 64
IN_A_ROW = 3
MOST_BYTES = 63
Answer = dict[int, object]


def client_pin(key: Device, request: Fields) -> Answer:
    """Carry out one subcommand."""
    match request.need(2, int):
        case 1:
            demand(key.memory.pin is not None, Status.PIN_NOT_SET)
            return {3: key.memory.pin_retries, 4: key.tokens.mismatches >= IN_A_ROW}
        case 2:
            return {1: key.tokens.protocol(request.need(1, int)).public()}
        case 3:
            return _set(key, request)
        case 4:
            return _change(key, request)
        case 5:
            demand(request.get(9, int) is None and request.get(0xA, str) is None, Status.INVALID_PARAMETER)
            return _by_pin(key, request, Permission.MAKE_CREDENTIAL | Permission.GET_ASSERTION, None)
        case 6:
            return _by_finger(key, request)
        case 7:
            demand(key.profile.bio, Status.INVALID_SUBCOMMAND)
            return {5: key.memory.uv_retries}
        case 9:
            permissions = _permissions(key, request)
            return _by_pin(key, request, permissions, request.get(0xA, str))
        case _:
            raise CtapError(Status.INVALID_SUBCOMMAND)


def _agreed(key: Device, request: Fields) -> tuple[PinUv, bytes]:
    protocol = key.tokens.protocol(request.need(1, int))
    request.needs(3)
    return protocol, protocol.decapsulate(request.map(3))


def _set(key: Device, request: Fields) -> Answer:
    protocol, shared = _agreed(key, request)
    sealed, signature = request.need(5, bytes), request.need(4, bytes)
    demand(key.memory.pin is None, Status.PIN_AUTH_INVALID)
    demand(protocol.verify(shared, sealed, signature), Status.PIN_AUTH_INVALID)
    store_pin(key, protocol.decrypt(shared, sealed))
    return {}


def _change(key: Device, request: Fields) -> Answer:
    protocol, shared = _agreed(key, request)
    sealed, old = request.need(5, bytes), request.need(6, bytes)
    signature = request.need(4, bytes)
    _may_try(key)
    demand(protocol.verify(shared, sealed + old, signature), Status.PIN_AUTH_INVALID)
    _compare(key, protocol, shared, old)
    store_pin(key, protocol.decrypt(shared, sealed))
    key.tokens.token = None
    return {}


def _by_pin(key: Device, request: Fields, permissions: Permission, rp_id: str | None) -> Answer:
    protocol, shared = _agreed(key, request)
    sealed = request.need(6, bytes)
    _may_try(key)
    _compare(key, protocol, shared, sealed)
    demand(not key.memory.force_pin_change, Status.PIN_INVALID)
    key.memory.uv_retries = UV_RETRIES
    return {2: protocol.encrypt(shared, key.tokens.give(protocol, permissions, rp_id))}


def _by_finger(key: Device, request: Fields) -> Answer:
    protocol, shared = _agreed(key, request)
    permissions = _permissions(key, request)
    demand(key.profile.bio, Status.INVALID_SUBCOMMAND)
    demand(key.uv_ready, Status.NOT_ALLOWED)
    demand(not permissions & Permission.ENROL_FINGERS, Status.UNAUTHORIZED_PERMISSION)
    key.verify_finger()
    value = key.tokens.give(protocol, permissions, request.get(0xA, str), present=True)
    return {2: protocol.encrypt(shared, value)}


def _permissions(key: Device, request: Fields) -> Permission:
    """Read the permissions that are asked for. Raises `CtapError`."""
    number = request.need(9, int)
    demand(number > 0, Status.INVALID_PARAMETER)
    known = sum(each.value for each in Permission if key.profile.bio or each is not Permission.ENROL_FINGERS)
    demand(not number & ~known, Status.UNAUTHORIZED_PERMISSION)
    bound = number & (Permission.MAKE_CREDENTIAL | Permission.GET_ASSERTION)
    demand(not bound or request.get(0xA, str) is not None, Status.MISSING_PARAMETER)
    return Permission(number)


def _may_try(key: Device) -> None:
    demand(key.memory.pin is not None, Status.PIN_NOT_SET)
    demand(key.memory.pin_retries > 0, Status.PIN_BLOCKED)
    demand(key.tokens.mismatches < IN_A_ROW, Status.PIN_AUTH_BLOCKED)


def _compare(key: Device, protocol: PinUv, shared: bytes, sealed: bytes) -> None:
    """Compare a PIN with the one that is set, counted before it is looked at. Raises `CtapError`."""
    key.memory.pin_retries -= 1
    assert key.memory.pin is not None
    if hmac.compare_digest(protocol.decrypt(shared, sealed), key.memory.pin):
        key.memory.pin_retries, key.tokens.mismatches = PIN_RETRIES, 0
        return
    protocol.regenerate()
    key.tokens.mismatches += 1
    demand(key.memory.pin_retries > 0, Status.PIN_BLOCKED)
    demand(key.tokens.mismatches < IN_A_ROW, Status.PIN_AUTH_BLOCKED)
    raise CtapError(Status.PIN_INVALID)


def store_pin(key: Device, padded: bytes) -> None:
    """Take a new PIN. Raises `CtapError` PIN_POLICY_VIOLATION."""
    demand(len(padded) == PADDED, Status.INVALID_PARAMETER)
    pin = padded.rstrip(b"\0")
    try:
        length = len(pin.decode())
    except UnicodeDecodeError:
        raise CtapError(Status.PIN_POLICY_VIOLATION) from None
    demand(length >= key.memory.min_pin and len(pin) <= MOST_BYTES, Status.PIN_POLICY_VIOLATION)
    digest = hashlib.sha256(pin).digest()[:16]
    demand(not (key.memory.force_pin_change and digest == key.memory.pin), Status.PIN_POLICY_VIOLATION)
    key.memory.pin, key.memory.pin_length = digest, length
    key.memory.pin_retries, key.memory.force_pin_change = PIN_RETRIES, False
