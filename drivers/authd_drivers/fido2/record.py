"""One enrolled credential, as it is sealed and kept: our own versioned record, big endian.

    version 1 | flags 1 | signature counter 4 | AAGUID 16 | length 2 | id | length 2 | COSE key | label (UTF-8)

Parsers: `unpack`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from authd.driver import DriverError, Fault

VERSION = 1
MAX_ID_BYTES = 1_023
"""WebAuthn, section 4."""
MAX_KEY_BYTES = 1_024
MAX_LABEL_BYTES = 256
_HEAD = struct.Struct(">BBI16sH")
_ELIGIBLE, _BACKED_UP, _SENSOR, _ATTESTED = 1, 2, 4, 8
_PROTECT_SHIFT = 4


@dataclass(frozen=True, slots=True)
class Credential:
    """What is kept of a key."""

    id: bytes
    key: bytes
    """COSE, as the authenticator gave it."""
    counter: int
    """At the registration."""
    aaguid: bytes
    eligible: bool = False
    """Can be copied to other devices (BE)."""
    backed_up: bool = False
    sensor: bool = False
    """Said at enrolment to have a sensor of its own. A label: nobody signed it."""
    attested: bool = False
    """Its maker's signature was checked against the office's roots."""
    protect: int = 0
    """credProtect, 1 to 3; 0: the key does not say."""
    label: str = ""

    def pack(self) -> bytes:
        """Return the record's bytes."""
        flags = _ELIGIBLE * self.eligible | _BACKED_UP * self.backed_up | _SENSOR * self.sensor
        flags |= _ATTESTED * self.attested | self.protect << _PROTECT_SHIFT
        head = _HEAD.pack(VERSION, flags, self.counter, self.aaguid, len(self.id))
        return b"".join((head, self.id, struct.pack(">H", len(self.key)), self.key, self.label.encode()))


def unpack(data: bytes) -> Credential:
    """Read a record. Raises `DriverError` with `Fault.PROTOCOL`."""
    try:
        version, flags, counter, aaguid, size = _HEAD.unpack_from(data)
        rest = data[_HEAD.size :]
        (length,) = struct.unpack_from(">H", rest, size)
        key, label = rest[size + 2 : size + 2 + length], rest[size + 2 + length :]
        whole = version == VERSION and 0 < size <= MAX_ID_BYTES and 0 < length == len(key) <= MAX_KEY_BYTES
        if not whole or len(label) > MAX_LABEL_BYTES or flags >> _PROTECT_SHIFT > 3:
            raise ValueError("not a record of this version")
        return Credential(
            rest[:size], key, counter, aaguid,
            bool(flags & _ELIGIBLE), bool(flags & _BACKED_UP), bool(flags & _SENSOR), bool(flags & _ATTESTED),
            flags >> _PROTECT_SHIFT, label.decode(),
        )  # fmt: skip
    except (struct.error, ValueError) as error:
        raise DriverError(Fault.PROTOCOL, f"stored credential: {error}") from None
