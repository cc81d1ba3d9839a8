"""authenticatorGetInfo (CTAP 2.1, 6.4)."""

from __future__ import annotations

from authd_simulators.fido_key import extensions
from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.device import Device
from authd_simulators.fido_key.memory import UV_RETRIES
from authd_simulators.fido_key.profile import MAX_MESSAGE

MAX_PIN_RP_IDS = 4
FINGERPRINT = 2


def get_info(key: Device, _: Fields) -> dict[int, object]:
    """Return what the key can do and how it is configured."""
    profile, memory = key.profile, key.memory
    answer: dict[int, object] = {
        1: [*(["U2F_V2"] if profile.u2f and not memory.always_uv else []), "FIDO_2_0", "FIDO_2_1"],
        2: list(extensions.NAMES),
        3: profile.aaguid,
        4: _options(key),
        5: MAX_MESSAGE,
        6: list(key.tokens.protocols),
        7: profile.max_list,
        8: profile.credential_id,
        9: list(profile.transports),
        0xA: [{"alg": number, "type": "public-key"} for number in profile.algorithms],
        0xB: profile.large_blob,
        0xC: memory.force_pin_change,
        0xD: memory.min_pin,
        0xE: profile.firmware,
        0xF: extensions.BLOB,
        0x10: MAX_PIN_RP_IDS,
        0x14: profile.max_credentials - len(memory.residents),
        0x16: ["none"] if profile.attestation == "none" else ["packed"],
    }
    if profile.bio:
        answer |= {0x11: UV_RETRIES - 2, 0x12: FINGERPRINT}
    return answer


def _options(key: Device) -> dict[str, bool]:
    options = {
        "rk": True,
        "up": True,
        "plat": False,
        "alwaysUv": key.memory.always_uv,
        "authnrCfg": True,
        "clientPin": key.memory.pin is not None,
        "credMgmt": True,
        "ep": key.memory.enterprise,
        "largeBlobs": True,
        "makeCredUvNotRqd": not key.memory.always_uv,
        "pinUvAuthToken": True,
        "setMinPINLength": True,
    }
    return options | ({"uv": key.uv_ready, "bioEnroll": key.uv_ready} if key.profile.bio else {})
