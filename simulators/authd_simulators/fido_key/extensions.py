"""Extensions of credentials and assertions (CTAP 2.1, 12)."""

from __future__ import annotations

import hmac

from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.credential import OPTIONAL, REQUIRED, Credential
from authd_simulators.fido_key.device import Device
from authd_simulators.fido_key.memory import Resident
from authd_simulators.fido_key.status import Status, demand

BLOB = 32
NAMES = (
    "credBlob",
    "credProtect",
    "hmac-secret",
    "hmac-secret-mc",
    "largeBlobKey",
    "minPinLength",
    "thirdPartyPayment",
)


def protection(asked: Fields) -> int:
    """Return the credProtect level that is asked for. Raises `CtapError`."""
    level = asked.get("credProtect", int)
    demand(level is None or OPTIONAL <= level <= REQUIRED, Status.INVALID_OPTION)
    return level or OPTIONAL


def wants_large_blob_key(asked: Fields) -> bool:
    """Say whether a large blob key is asked for; anything but `true` is an error."""
    wanted = asked.get("largeBlobKey", bool)
    demand(wanted is not False, Status.INVALID_OPTION)
    return wanted is True


def at_creation(
    key: Device, asked: Fields, credential: Credential, resident: Resident | None, rp_id: str, verified: bool
) -> dict[str, object]:
    """Return the extension outputs of a new credential."""
    outputs: dict[str, object] = {}
    if "credProtect" in asked.table:
        outputs["credProtect"] = credential.facts.protect
    if asked.get("hmac-secret", bool):
        outputs["hmac-secret"] = True
        if asked.has("hmac-secret-mc"):
            outputs["hmac-secret-mc"] = _secrets(key, asked.map("hmac-secret-mc"), credential, verified)
    blob = asked.get("credBlob", bytes)
    if blob is not None:
        kept = resident is not None and len(blob) <= BLOB
        if kept and resident is not None:
            resident.blob = blob
        outputs["credBlob"] = kept
    if asked.get("minPinLength", bool) and rp_id in key.memory.min_pin_rp_ids:
        outputs["minPinLength"] = key.memory.min_pin
    if asked.get("thirdPartyPayment", bool):
        outputs["thirdPartyPayment"] = True
    return outputs


def at_assertion(
    key: Device, asked: Fields, credential: Credential, resident: Resident | None, verified: bool
) -> dict[str, object]:
    """Return the extension outputs of an assertion. Raises `CtapError`."""
    outputs: dict[str, object] = {}
    if asked.has("hmac-secret") and credential.facts.hmac_secret:
        outputs["hmac-secret"] = _secrets(key, asked.map("hmac-secret"), credential, verified)
    if asked.get("credBlob", bool):
        outputs["credBlob"] = (resident.blob if resident is not None else None) or b""
    if asked.get("thirdPartyPayment", bool):
        outputs["thirdPartyPayment"] = credential.facts.payment
    return outputs


def _secrets(key: Device, asked: Fields, credential: Credential, verified: bool) -> bytes:
    """Return the one or two outputs of hmac-secret, encrypted for the platform. Raises `CtapError`."""
    number = asked.get(4, int)
    protocol = key.tokens.protocol(1 if number is None else number)
    asked.needs(1)
    shared = protocol.decapsulate(asked.map(1))
    sealed, signature = asked.need(2, bytes), asked.need(3, bytes)
    demand(protocol.verify(shared, sealed, signature), Status.PIN_AUTH_INVALID)
    salts = protocol.decrypt(shared, sealed)
    demand(len(salts) in (32, 64), Status.INVALID_LENGTH)
    random = credential.random(verified)
    parts = [salts[start : start + 32] for start in range(0, len(salts), 32)]
    return protocol.encrypt(shared, b"".join(hmac.digest(random, part, "sha256") for part in parts))
