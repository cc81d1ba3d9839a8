"""authenticatorGetAssertion and GetNextAssertion (CTAP 2.1, 6.2 and 6.3)."""

from __future__ import annotations

from collections.abc import Iterator

from authd_simulators.fido_key import extensions
from authd_simulators.fido_key.cbor import Fields, encode
from authd_simulators.fido_key.consent import Consent, Places, ids, option, selection_by_empty_param, verify
from authd_simulators.fido_key.credential import OPTIONAL, OPTIONAL_WITH_LIST, Credential, hash_of
from authd_simulators.fido_key.device import Device
from authd_simulators.fido_key.memory import Resident
from authd_simulators.fido_key.signing import sign
from authd_simulators.fido_key.status import CtapError, Status, demand
from authd_simulators.fido_key.tokens import Permission

PLACES = Places(options=5, protocol=7, param=6)
Answer = dict[int, object]


def get_assertion(key: Device, request: Fields) -> Answer:
    """Sign with a credential of this relying party. Raises `CtapError`."""
    selection_by_empty_param(key, request, PLACES)
    rp_id, client_data = request.need(1, str), request.need(2, bytes)
    demand(len(client_data) == 32, Status.INVALID_LENGTH)
    demand(request.map(PLACES.options).get("rk", bool) is None, Status.UNSUPPORTED_OPTION)
    up = option(request, PLACES, "up", default=True)
    _may_go_unverified(key, request, up)
    verified, present = verify(key, request, PLACES, client_data, Permission.GET_ASSERTION, rp_id)
    found = _applicable(key, request, rp_id, verified)
    demand(bool(found), Status.NO_CREDENTIALS)
    demand(up or "hmac-secret" not in request.map(4).table, Status.UNSUPPORTED_OPTION)
    if up and not present:
        key.touch()
    answers = _assertions(key, request, found, Consent(up, verified))
    first = next(answers)
    if len(found) > 1:
        first[5] = len(found)
        key.volatile.assertions = answers
    if up:
        key.tokens.spend()
    return first


def get_next_assertion(key: Device, _: Fields) -> Answer:
    """Sign with the next credential of the last request. Raises `CtapError`."""
    pending = key.volatile.assertions
    answer = next(pending, None) if pending is not None else None
    if answer is None:
        raise CtapError(Status.NOT_ALLOWED)
    return answer


def _may_go_unverified(key: Device, request: Fields, up: bool) -> None:
    shown = option(request, PLACES, "uv") or request.get(PLACES.param, bytes) is not None
    demand(shown or not (key.memory.always_uv and up), Status.PUAT_REQUIRED)


def _applicable(key: Device, request: Fields, rp_id: str, verified: bool) -> list[Credential]:
    """Return what may answer: one of the list, or all discoverable ones, the newest first. Raises `CtapError`."""
    listed = request.array(3)
    demand(len(listed) <= key.profile.max_list, Status.LIMIT_EXCEEDED)
    if 3 in request.table and listed:
        known = (key.find(rp_id, each) for each in ids(listed))
        least = OPTIONAL_WITH_LIST
        return [each for each in known if each is not None and (verified or each.facts.protect <= least)][:1]
    mine = [key.open(each) for each in reversed(key.memory.residents) if each.rp_id == rp_id]
    return [each for each in mine if verified or each.facts.protect <= OPTIONAL]


def _assertions(key: Device, request: Fields, found: list[Credential], consent: Consent) -> Iterator[Answer]:
    asked = request.map(4)
    wants_blob_key = extensions.wants_large_blob_key(asked)
    for credential in found:
        resident = key.resident(credential.id)
        outputs = extensions.at_assertion(key, asked, credential, resident, consent.uv)
        data = key.auth_data(
            hash_of(request.need(1, str)), consent.flags, extensions=encode(outputs) if outputs else b""
        )
        answer: Answer = {
            1: {"id": credential.id, "type": "public-key"},
            2: data,
            3: sign(credential.private, data + request.need(2, bytes)),
        }
        if resident is not None:
            _add(answer, resident, whole=consent.uv and len(found) > 1, blob_key=wants_blob_key)
        yield answer


def _add(answer: Answer, resident: Resident, *, whole: bool, blob_key: bool) -> None:
    """Add what only a discoverable credential has; names only of several people, and only to a verified one."""
    answer[4] = resident.user(whole=whole)
    if blob_key and resident.large_blob_key is not None:
        answer[7] = resident.large_blob_key
