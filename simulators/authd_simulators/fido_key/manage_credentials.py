"""authenticatorCredentialManagement (CTAP 2.1, 6.8)."""

from __future__ import annotations

from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.credential import hash_of
from authd_simulators.fido_key.device import Device
from authd_simulators.fido_key.memory import Resident
from authd_simulators.fido_key.status import CtapError, Status, demand
from authd_simulators.fido_key.tokens import Permission, Token

KEYS = (3, 4)
NEXT_RP, NEXT_CREDENTIAL = 3, 5
Answer = dict[int, object]


def manage_credentials(key: Device, request: Fields) -> Answer:
    """Carry out one subcommand. Raises `CtapError`."""
    number, params = request.need(1, int), request.map(2)
    if number in (NEXT_RP, NEXT_CREDENTIAL):
        return _next(key.volatile.rps if number == NEXT_RP else key.volatile.credentials)
    key.volatile.rps, key.volatile.credentials = [], []
    demand(number in (1, 2, 4, 6, 7), Status.INVALID_SUBCOMMAND)
    token = _allowed(key, request, number)
    match number:
        case 1:
            _for_any_rp(token)
            count = len(key.memory.residents)
            return {1: count, 2: key.profile.max_credentials - count}
        case 2:
            _for_any_rp(token)
            return _rps(key)
        case 4:
            return _credentials(key, params, token)
        case 6:
            key.memory.residents.remove(_named(key, params, token))
            return {}
        case _:
            return _rename(key, params, token)


def _allowed(key: Device, request: Fields, number: int) -> Token:
    demand(request.has(KEYS[1]), Status.PUAT_REQUIRED)
    request.need(KEYS[0], int)
    message = bytes([number]) + (request.map(2).raw if request.has(2) else b"")
    return key.tokens.check(request, KEYS, message, Permission.MANAGE_CREDENTIALS)


def _for_any_rp(token: Token) -> None:
    demand(token.rp_id is None, Status.PIN_AUTH_INVALID)


def _next(pending: list[Answer]) -> Answer:
    demand(bool(pending), Status.NOT_ALLOWED)
    return pending.pop(0)


def _rps(key: Device) -> Answer:
    rps = list(dict.fromkeys(each.rp_id for each in key.memory.residents))
    demand(bool(rps), Status.NO_CREDENTIALS)
    key.volatile.rps = [{3: {"id": rp_id}, 4: hash_of(rp_id)} for rp_id in rps]
    return _next(key.volatile.rps) | {5: len(rps)}


def _credentials(key: Device, params: Fields, token: Token) -> Answer:
    rp_hash = params.need(1, bytes)
    demand(token.rp_id is None or hash_of(token.rp_id) == rp_hash, Status.PIN_AUTH_INVALID)
    found = [each for each in key.memory.residents if hash_of(each.rp_id) == rp_hash]
    demand(bool(found), Status.NO_CREDENTIALS)
    key.volatile.credentials = [_described(key, each) for each in found]
    return _next(key.volatile.credentials) | {9: len(found)}


def _described(key: Device, resident: Resident) -> Answer:
    credential = key.open(resident)
    answer: Answer = {
        6: resident.user(whole=True),
        7: {"id": resident.credential_id, "type": "public-key"},
        8: credential.public,
        0xA: credential.facts.protect,
        0xC: resident.payment,
    }
    return answer | ({0xB: resident.large_blob_key} if resident.large_blob_key is not None else {})


def _named(key: Device, params: Fields, token: Token) -> Resident:
    params.needs(2)
    resident = key.resident(params.map(2).need("id", bytes))
    if resident is None:
        raise CtapError(Status.NO_CREDENTIALS)
    demand(token.rp_id in (None, resident.rp_id), Status.PIN_AUTH_INVALID)
    return resident


def _rename(key: Device, params: Fields, token: Token) -> Answer:
    params.needs(3)
    resident, user = _named(key, params, token), params.map(3)
    demand(user.need("id", bytes) == resident.user_id, Status.INVALID_PARAMETER)
    resident.user_name = user.get("name", str) or None
    resident.display_name = user.get("displayName", str) or None
    return {}
