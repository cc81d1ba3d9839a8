"""authenticatorMakeCredential (CTAP 2.1, 6.1)."""

from __future__ import annotations

from dataclasses import dataclass

from authd_simulators.fido_key import extensions
from authd_simulators.fido_key.cbor import Fields, encode
from authd_simulators.fido_key.consent import Consent, Places, ids, selection_by_empty_param, verify
from authd_simulators.fido_key.credential import REQUIRED, Credential, Facts, hash_of
from authd_simulators.fido_key.device import Device
from authd_simulators.fido_key.memory import Resident
from authd_simulators.fido_key.signing import derive
from authd_simulators.fido_key.status import CtapError, Status, demand
from authd_simulators.fido_key.tokens import Permission

PLACES = Places(options=7, protocol=9, param=8)
NAME = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read."""

    client_data: bytes
    rp_id: str
    rp: Fields
    user: Fields
    algorithm: int
    resident: bool
    uv: bool
    extensions: Fields
    enterprise: int | None


def make_credential(key: Device, request: Fields) -> dict[int, object]:
    """Make a credential and say where the key comes from. Raises `CtapError`."""
    selection_by_empty_param(key, request, PLACES)
    asked = _read(key, request)
    _may_go_unverified(key, request, asked)
    consent = _consent(key, request, asked)
    _exclude(key, request, asked, consent)
    if not consent.present:
        key.touch()
    consent.up = True
    answer = _create(key, asked, consent)
    key.tokens.spend()
    return answer


def _read(key: Device, request: Fields) -> Asked:
    request.needs(1, 2, 3, 4)
    client_data, rp, user = request.need(1, bytes), request.map(2), request.map(3)
    demand(len(client_data) == 32, Status.INVALID_LENGTH)
    demand(0 < len(user.need("id", bytes)) <= 64, Status.INVALID_LENGTH)
    options = request.map(PLACES.options)
    demand(options.get("up", bool) is not False, Status.INVALID_OPTION)
    asked = request.map(6)
    resident = options.get("rk", bool) is True
    demand(resident or not extensions.wants_large_blob_key(asked), Status.INVALID_OPTION)
    return Asked(
        client_data,
        rp.need("id", str),
        rp,
        user,
        _algorithm(key, request.array(4)),
        resident,
        options.get("uv", bool) is True,
        asked,
        _enterprise(key, request),
    )


def _algorithm(key: Device, offered: list[object]) -> int:
    """Return the first algorithm that the key can do; each entry is looked at. Raises `CtapError`."""
    entries = [Fields.of(each) for each in offered]
    chosen = [each.need("alg", int) for each in entries if each.need("type", str) == "public-key"]
    able = [number for number in chosen if number in key.profile.algorithms]
    demand(bool(able), Status.UNSUPPORTED_ALGORITHM)
    return able[0]


def _enterprise(key: Device, request: Fields) -> int | None:
    wanted = request.get(0xA, int)
    if wanted is not None:
        demand(key.memory.enterprise, Status.INVALID_PARAMETER)
        demand(wanted in (1, 2), Status.INVALID_OPTION)
    return wanted


def _may_go_unverified(key: Device, request: Fields, asked: Asked) -> None:
    """Discoverable credentials need the PIN or a finger, once there is one; with alwaysUv all do."""
    shown = asked.uv or request.get(PLACES.param, bytes) is not None
    needed = key.memory.always_uv or (key.protected and asked.resident)
    demand(shown or not needed, Status.PUAT_REQUIRED)


def _consent(key: Device, request: Fields, asked: Asked) -> Consent:
    verified, present = verify(key, request, PLACES, asked.client_data, Permission.MAKE_CREDENTIAL, asked.rp_id)
    return Consent(False, verified, present)


def _exclude(key: Device, request: Fields, asked: Asked, consent: Consent) -> None:
    listed = request.array(5)
    demand(len(listed) <= key.profile.max_list, Status.LIMIT_EXCEEDED)
    for credential_id in ids(listed):
        known = key.find(asked.rp_id, credential_id)
        if known is not None and (known.facts.protect < REQUIRED or consent.uv):
            if not consent.present:
                key.touch()
            raise CtapError(Status.CREDENTIAL_EXCLUDED)


def _create(key: Device, asked: Asked, consent: Consent) -> dict[int, object]:
    facts = Facts(
        asked.algorithm,
        extensions.protection(asked.extensions),
        asked.resident,
        asked.extensions.get("hmac-secret", bool) is True,
        asked.extensions.get("thirdPartyPayment", bool) is True,
    )
    rp_hash = hash_of(asked.rp_id)
    credential = key.create(rp_hash, facts)
    resident = _remember(key, asked, credential) if asked.resident else None
    outputs = extensions.at_creation(key, asked.extensions, credential, resident, asked.rp_id, consent.uv)
    attested = key.profile.aaguid + len(credential.id).to_bytes(2, "big") + credential.id + encode(credential.public)
    data = key.auth_data(rp_hash, consent.flags, attested, encode(outputs) if outputs else b"")
    if resident is not None:
        _store(key, resident)
    return _answer(key, asked, credential, data, resident)


def _remember(key: Device, asked: Asked, credential: Credential) -> Resident:
    blob_key = derive(credential.secret, b"large blob") if extensions.wants_large_blob_key(asked.extensions) else None
    names = (asked.user.get("name", str), asked.user.get("displayName", str))
    user_name, display_name = (name[:NAME] if name is not None else None for name in names)
    return Resident(
        credential.id,
        asked.rp_id,
        asked.rp.get("name", str),
        asked.user.need("id", bytes),
        user_name,
        display_name,
        large_blob_key=blob_key,
        payment=credential.facts.payment,
    )


def _store(key: Device, new: Resident) -> None:
    """Keep a discoverable credential; it takes the place of this person's older one at the same relying party."""
    others = [each for each in key.memory.residents if (each.rp_id, each.user_id) != (new.rp_id, new.user_id)]
    demand(len(others) < key.profile.max_credentials, Status.KEY_STORE_FULL)
    key.memory.residents = [*others, new]


def _answer(
    key: Device, asked: Asked, credential: Credential, data: bytes, resident: Resident | None
) -> dict[int, object]:
    enterprise = asked.enterprise is not None
    kind = key.profile.attestation
    statement = key.attestation.packed(credential, data + asked.client_data, kind, enterprise)
    answer: dict[int, object] = {1: "packed" if statement else "none", 2: data, 3: statement}
    if enterprise:
        answer[4] = True
    if resident is not None and resident.large_blob_key is not None:
        answer[5] = resident.large_blob_key
    return answer
