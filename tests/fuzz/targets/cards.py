"""What a card answers, and what its reader says of it: `authd_drivers.pcsc`."""

from __future__ import annotations

import datetime
import gzip
from collections.abc import Callable, Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authd.driver import DriverError, Fault, NotAccepted, Reference, challenge_of
from authd_drivers.pcsc import apdu, record, tlv
from authd_drivers.pcsc.checker import CardChecker

NONCE = "0123456789abcdef" * 2
HEAD = bytes.fromhex("00cb3fff")
SELECTED = bytes.fromhex("61114f0600001000010079074f05a000000308") + b"\x90\x00"


def _objects(data: bytes) -> None:
    for each in tlv.parse(data):
        assert each.value in each.raw
    tlv.public_key(tlv.certificate_of(data))


def _exchange(data: bytes) -> None:
    """A card that gives these answers one after the other, each behind its length, and then nothing."""
    answers: list[bytes] = []
    while data:
        length = int.from_bytes(data[:2], "big")
        answers.append(data[2 : 2 + length])
        data = data[2 + length :]
    waiting = iter(answers)
    response = apdu.exchange(lambda command: next(waiting, b""), HEAD, bytes(300))
    assert len(response.data) <= 65_536
    response.expected()


def _records(data: bytes) -> None:
    checker = CardChecker()
    reads: tuple[Callable[[bytes], object], ...] = (
        record.read_given,
        lambda given: checker.check(given, NONCE, ["sub_1"]),
        lambda given: checker.admit(given, NONCE, "sub_1"),
        lambda given: checker.load([Reference("sub_1", "tpl_1@1", given)], {}),
    )
    for read in reads:
        try:
            read(data)
        except (DriverError, NotAccepted) as error:
            if not declared(error):
                raise


def _certificate(data: bytes) -> None:
    key = tlv.public_key(data)
    assert key.spki in data


WAYS: tuple[Callable[[bytes], None], ...] = (_objects, _certificate, _exchange, _records)


def one(data: bytes) -> None:
    """The first byte says what the rest is: a data object, a certificate, a chain of responses, a record."""
    if data:
        WAYS[data[0] % len(WAYS)](data[1:])


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant; the words of a card mean more (tests of `words`)."""
    meant = apdu.Better | apdu.Refused | tlv.NotAllowed | NotAccepted
    return isinstance(error, meant) or (isinstance(error, DriverError) and error.fault is Fault.PROTOCOL)


def seeds() -> Iterator[bytes]:
    """Yield certificates as cards keep them, answers in parts, and records."""
    for key in (_EC, _RSA):
        der = _signed(key)
        yield b"\1" + der
        yield b"\0" + _object(der, packed=False)
    yield b"\0" + _object(_signed(_EC), packed=True)
    yield b"\2" + _said(b"\x90\0", SELECTED)
    yield b"\2" + _said(b"\x90\0", b"ab\x61\2", b"cd\x90\0")
    yield b"\2" + _said(b"\x90\0", b"\x6c\4", b"\x69\x83")
    spki = _EC.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    challenge = challenge_of(NONCE)
    proof = _EC.sign(record.message(challenge), ec.ECDSA(hashes.SHA256()))
    yield b"\3" + record.write_enrolled(record.Offered(challenge, {"9e": (spki, proof)}))
    signed = record.Signed(bytes(32), "9e", bytes(32), b"signature")
    yield b"\3" + record.write_given(signed)
    yield b"\3" + record.write_given(record.Number(bytes(7)))
    yield b"\3" + record.write_enrolled(record.Offered(bytes(32), {"9e": (b"key", b"signature")}))
    yield b"\3" + record.write_credential(record.Credential({"9a": b"key"}))


_EC = ec.derive_private_key(7, ec.SECP256R1())
_RSA = rsa.generate_private_key(65_537, 2_048)
"""Another one each time: what is found does not depend on it."""


def _signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Card")])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _object(der: bytes, *, packed: bool) -> bytes:
    body = gzip.compress(der, mtime=0) if packed else der
    return _tlv(0x53, _tlv(0x70, body) + _tlv(0x71, b"\1" if packed else b"\0") + _tlv(0xFE, b""))


def _tlv(tag: int, value: bytes) -> bytes:
    return bytes([tag, 0x82]) + len(value).to_bytes(2, "big") + value


def _said(*answers: bytes) -> bytes:
    """Return the answers, the first two times: a command of 300 bytes takes two APDUs."""
    return b"".join(len(each).to_bytes(2, "big") + each for each in answers)
