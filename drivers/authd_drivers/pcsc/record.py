"""What goes from a card's reader to its checker, and what is kept: JSON, short, checked field by field.

    Proof       {"challenge": b64, "slot": "9e", "key": b64 of the key's SHA-256, "signature": b64}
    Identifier  {"uid": hex}
    Enrolled    {"challenge": b64, "keys": {"9e": {"spki": b64, "signature": b64}, "9a": ...}}, or {"uid": hex}
    credential  {"keys": {"9e": b64 of the SubjectPublicKeyInfo, ...}}, or {"uid": hex}

Parsers: `read_given`, `read_enrolled`, `read_credential`: bytes in, a value or `DriverError(Fault.PROTOCOL)` out.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from authd.driver import DriverError, Fault

MAX_RECORD = 8_192
MAX_FIELD = 1_024
SILENT_SLOT, PIN_SLOT = "9e", "9a"
SLOTS = (SILENT_SLOT, PIN_SLOT)
UID_BYTES = range(4, 11)
"""4, 7 or 10 bytes of ISO/IEC 14443, 8 of FeliCa."""
NO_KEY = bytes(32)


@dataclass(frozen=True, slots=True)
class Signed:
    """A proof: made in `slot` over `challenge` with the key of this SHA-256."""

    challenge: bytes
    slot: str
    key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Number:
    """A card's number."""

    uid: bytes


@dataclass(frozen=True, slots=True)
class Offered:
    """What enrolment read: of each slot the public key (SubjectPublicKeyInfo) and a signature over the challenge."""

    challenge: bytes
    keys: Mapping[str, tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Credential:
    """What is kept of a card: public keys by slot, or its number."""

    keys: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    uid: bytes = b""

    @property
    def ids(self) -> frozenset[bytes]:
        """By what it is recognised: the keys' SHA-256, or the number."""
        return frozenset({key_id(spki) for spki in self.keys.values()} | ({self.uid} if self.uid else set()))

    @property
    def name(self) -> bytes:
        """What a reader needs to find the card again: 9E's and 9A's key, each by its SHA-256; or the number."""
        if self.uid:
            return self.uid
        return b"".join(key_id(self.keys[slot]) if slot in self.keys else NO_KEY for slot in SLOTS)


def key_id(spki: bytes) -> bytes:
    """Return the name of a public key."""
    return hashlib.sha256(spki).digest()


def named(name: bytes) -> list[bytes]:
    """Return the keys' names, or the number, that a `Credential.name` holds; whatever it is, never an error."""
    if len(name) != 64:
        return [name]
    return [each for each in (name[:32], name[32:]) if each != NO_KEY]


def message(challenge: bytes) -> bytes:
    """Return what a card signs the SHA-256 of: so it never signs bare bytes of another's choosing."""
    return b"authd piv 1\0" + challenge


def write_given(given: Signed | Number) -> bytes:
    """Return the data of a `Proof` or `Identifier`."""
    if isinstance(given, Number):
        return _write({"uid": given.uid.hex()})
    return _write(
        {
            "challenge": _b64(given.challenge),
            "slot": given.slot,
            "key": _b64(given.key),
            "signature": _b64(given.signature),
        }
    )


def read_given(data: bytes) -> Signed | Number:
    """Read the data of a `Proof` or `Identifier`."""
    what = _read(data)
    if set(what) == {"uid"}:
        return Number(_uid(what))
    if set(what) != {"challenge", "slot", "key", "signature"} or what["slot"] not in SLOTS:
        raise _bad("neither a signature nor a number")
    challenge, key = _bytes(what["challenge"]), _bytes(what["key"])
    if len(challenge) != 32 or len(key) != 32:
        raise _bad("32 bytes are expected")
    return Signed(challenge, what["slot"], key, _bytes(what["signature"]))


def write_enrolled(offered: Offered | Number) -> bytes:
    """Return the data of an `Enrolled`."""
    if isinstance(offered, Number):
        return _write({"uid": offered.uid.hex()})
    keys = {slot: {"spki": _b64(spki), "signature": _b64(made)} for slot, (spki, made) in offered.keys.items()}
    return _write({"challenge": _b64(offered.challenge), "keys": keys})


def read_enrolled(data: bytes) -> Offered | Number:
    """Read the data of an `Enrolled`."""
    what = _read(data)
    if set(what) == {"uid"}:
        return Number(_uid(what))
    if set(what) != {"challenge", "keys"}:
        raise _bad("neither keys nor a number")
    keys = dict[str, tuple[bytes, bytes]]()
    for slot, each in _slots(what["keys"]).items():
        fields = _object(each)
        if set(fields) != {"spki", "signature"}:
            raise _bad("a key and a signature are expected")
        keys[slot] = _bytes(fields["spki"]), _bytes(fields["signature"])
    return Offered(_bytes(what["challenge"]), keys)


def write_credential(credential: Credential) -> bytes:
    """Return what is sealed and kept."""
    if credential.uid:
        return _write({"uid": credential.uid.hex()})
    return _write({"keys": {slot: _b64(spki) for slot, spki in credential.keys.items()}})


def read_credential(data: bytes) -> Credential:
    """Read what was kept."""
    what = _read(data)
    if set(what) == {"uid"}:
        return Credential(uid=_uid(what))
    if set(what) != {"keys"}:
        raise _bad("not a credential")
    return Credential({slot: _bytes(spki) for slot, spki in _slots(what["keys"]).items()})


def _write(what: Mapping[str, Any]) -> bytes:
    return json.dumps(what, separators=(",", ":"), sort_keys=True).encode()


def _read(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_RECORD:
        raise _bad("too long")
    try:
        return _object(json.loads(data))
    except (ValueError, RecursionError):
        raise _bad("not JSON") from None


def _object(what: object) -> dict[str, Any]:
    if not isinstance(what, dict):
        raise _bad("an object is expected")
    return cast("dict[str, Any]", what)


def _slots(what: object) -> dict[str, Any]:
    slots = _object(what)
    if not slots or not set(slots) <= set(SLOTS):
        raise _bad("keys of 9e and 9a are expected")
    return slots


def _bytes(what: object) -> bytes:
    if not isinstance(what, str) or len(what) > 2 * MAX_FIELD:
        raise _bad("base64 is expected")
    try:
        return b64decode(what, validate=True)
    except ValueError:
        raise _bad("base64 is expected") from None


def _uid(what: Mapping[str, Any]) -> bytes:
    text = what["uid"]
    try:
        uid = bytes.fromhex(text) if isinstance(text, str) and len(text) <= 64 else b""
    except ValueError:
        uid = b""
    if len(uid) not in UID_BYTES:
        raise _bad("a number of 4 to 10 bytes is expected")
    return uid


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


def _bad(detail: str) -> DriverError:
    return DriverError(Fault.PROTOCOL, detail)
