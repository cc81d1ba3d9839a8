"""BER-TLV as cards speak it, and the few X.509 fields that are needed of a certificate. Pure, and strict.

Parsers: `parse`, `certificate_of`, `public_key`: bytes in, a value or `DriverError(Fault.PROTOCOL)` out; `public_key`
also `NotAllowed`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from authd.driver import DriverError, Fault

MAX_OBJECTS = 64
MAX_CERTIFICATE = 8_192
_GZIP = 31
_RSA = bytes.fromhex("2a864886f70d010101")
_EC = bytes.fromhex("2a8648ce3d0201")
_P256 = bytes.fromhex("2a8648ce3d030107")
SEQUENCE, INTEGER, BITS, OID, VERSION = 0x30, 0x02, 0x03, 0x06, 0xA0


class NotAllowed(Exception):
    """A well-formed key of a kind that authd does not take."""


class Algorithm(StrEnum):
    """The kinds of keys that are taken."""

    RSA_2048 = "rsa2048"
    P_256 = "p256"


@dataclass(frozen=True, slots=True)
class Tlv:
    """One object; `raw` is all of it, head included."""

    tag: int
    value: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key as it stands in a certificate: DER of SubjectPublicKeyInfo."""

    algorithm: Algorithm
    spki: bytes


def parse(data: bytes) -> list[Tlv]:
    """Return the objects that follow one another in `data`, all of it, at most `MAX_OBJECTS`."""
    found = list[Tlv]()
    at = 0
    while at < len(data):
        if len(found) == MAX_OBJECTS:
            raise _bad("too many objects")
        tag, start = _tag(data, at)
        length, start = _length(data, start)
        if length > len(data) - start:
            raise _bad("an object longer than what holds it")
        found.append(Tlv(tag, data[start : start + length], data[at : start + length]))
        at = start + length
    return found


def value_of(data: bytes, tag: int) -> bytes:
    """Return the value of the only object with this tag."""
    found = [each.value for each in parse(data) if each.tag == tag]
    if len(found) != 1:
        raise _bad(f"{len(found)} objects of tag {tag:X}")
    return found[0]


def certificate_of(data: bytes) -> bytes:
    """Return the DER certificate of a PIV data object (SP 800-73-4 part 1, table 10), unpacked."""
    inner = value_of(data, 0x53)
    certificate = value_of(inner, 0x70)
    info = value_of(inner, 0x71) if any(each.tag == 0x71 for each in parse(inner)) else b"\0"
    if info[:1] == b"\x01":
        unzip = zlib.decompressobj(_GZIP)
        try:
            certificate = unzip.decompress(certificate, MAX_CERTIFICATE + 1)
        except zlib.error:
            raise _bad("a packed certificate that does not unpack") from None
    if not 0 < len(certificate) <= MAX_CERTIFICATE:
        raise _bad("a certificate too long or empty")
    return certificate


def public_key(certificate: bytes) -> PublicKey:
    """Return the key that a DER certificate is of. Nothing else of it is looked at. Raises `NotAllowed`."""
    if len(certificate) > MAX_CERTIFICATE:
        raise _bad("a certificate too long")
    whole = _only(parse(certificate))
    fields = _fields(_fields([whole], 0, SEQUENCE), 0, SEQUENCE)
    if fields and fields[0].tag == VERSION:
        fields = fields[1:]
    # serial number, signature, issuer, validity, subject, key
    if len(fields) < 6 or fields[5].tag != SEQUENCE:
        raise _bad("not a certificate")
    return PublicKey(_algorithm(fields[5]), fields[5].raw)


def _algorithm(spki: Tlv) -> Algorithm:
    names = _fields(_fields([spki], 0, SEQUENCE), 0, SEQUENCE)
    bits = parse(spki.value)[1:]
    if not names or names[0].tag != OID or len(bits) != 1 or bits[0].tag != BITS or bits[0].value[:1] != b"\0":
        raise _bad("not a public key")
    key = bits[0].value[1:]
    if names[0].value == _RSA:
        numbers = _fields(parse(key), 0, SEQUENCE)
        if len(numbers) != 2 or any(each.tag != INTEGER for each in numbers):
            raise _bad("not an RSA key")
        if int.from_bytes(numbers[0].value, "big").bit_length() == 2048:
            return Algorithm.RSA_2048
    elif names[0].value == _EC and len(names) > 1 and names[1].value == _P256 and len(key) == 65:
        return Algorithm.P_256
    raise NotAllowed("RSA of 2048 bits or P-256 is expected")


def _fields(objects: Sequence[Tlv], at: int, tag: int) -> list[Tlv]:
    if len(objects) <= at or objects[at].tag != tag:
        raise _bad("another object was expected")
    return parse(objects[at].value)


def _only(objects: Sequence[Tlv]) -> Tlv:
    if len(objects) != 1:
        raise _bad("one object was expected")
    return objects[0]


def _tag(data: bytes, at: int) -> tuple[int, int]:
    """Return the tag at `at`, of one to three bytes, and where its length begins."""
    tag, end = data[at], at + 1
    if tag & 0x1F == 0x1F:
        while True:
            if end >= len(data) or end - at >= 3:
                raise _bad("a tag that does not end")
            tag, end = tag << 8 | data[end], end + 1
            if not data[end - 1] & 0x80:
                break
    return tag, end


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return the length at `at`, definite and of one to three bytes, and where the value begins."""
    if at >= len(data):
        raise _bad("a length that is not there")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if not 1 <= count <= 2 or at + 1 + count > len(data):
        raise _bad("a length of another form")
    return int.from_bytes(data[at + 1 : at + 1 + count], "big"), at + 1 + count


def _bad(detail: str) -> DriverError:
    return DriverError(Fault.PROTOCOL, detail)
