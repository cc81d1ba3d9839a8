"""Which models an office takes: AAGUIDs, and the word of their makers."""

from __future__ import annotations

import datetime
import hashlib
import threading
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fido2.ctap import STATUS, CtapDevice
from fido2.hid import CAPABILITY

from authd.driver import Denial, DriverError, Enroll, NotAccepted
from authd_drivers.fido2 import dialogue, office
from authd_drivers.fido2.checker import Fido2Checker
from authd_drivers.fido2.ctap import Ctap
from authd_drivers.fido2.record import unpack
from authd_simulators.fido_key import BIO, Finger, Key, Profile
from tests.drivers.softkey import AAGUID, ANN, NONCE, OFFICE, Said, SoftKey

OTHER_MODEL = UUID(int=7)


class InProcess(CtapDevice):
    """The simulated key without any transport."""

    def __init__(self, key: Key) -> None:
        self._key = key

    @property
    def capabilities(self) -> int:
        return CAPABILITY.CBOR

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: threading.Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        return self._key.call(data)

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        return iter(())


def simulated(attestation: str = "basic", secret: bytes | None = None) -> Key:
    key = Key(Profile(aaguid=AAGUID, bio=True, attestation=attestation), seed=1)
    key.memory.fingers.append(Finger(b"1234", 1))
    key.presence.hand.auto = True
    if secret is not None:
        key.memory.maker = secret
    return key


def pem(key: Key) -> str:
    return x509.load_der_x509_certificate(key.attestation.root).public_bytes(Encoding.PEM).decode()


def settings(*lines: str, roots: str = "") -> str:
    return "\n".join((OFFICE, *lines, f"roots = '''{roots}'''" if roots else ""))


def register(key: Key, text: str) -> bytes:
    return dialogue.make(Ctap(InProcess(key)), office.parse(text), Enroll(NONCE, ANN), None, lambda _: None)


def admit(registration: bytes, text: str) -> bytes:
    return Fido2Checker([text]).admit(registration, NONCE, ANN)


def refusal(registration: bytes, text: str) -> Denial:
    with pytest.raises(NotAccepted) as bad:
        admit(registration, text)
    return bad.value.why


@pytest.mark.parametrize("attestation", ["basic", "self", "none"])
def test_an_office_that_asks_for_nothing_takes_any(attestation: str) -> None:
    key = simulated(attestation)
    record = unpack(admit(register(key, OFFICE), OFFICE))
    assert (record.aaguid, record.attested, record.sensor, record.protect) == (AAGUID, False, True, 2)


def test_the_makers_word_is_checked_against_the_offices_roots() -> None:
    key = simulated()
    required = settings('attestation = "required"', roots=pem(key))
    assert unpack(admit(register(key, required), required)).attested


@pytest.mark.parametrize("attestation", ["self", "none"])
def test_where_it_is_required_nobodys_word_is_not_enough(attestation: str) -> None:
    key = simulated(attestation)
    required = settings('attestation = "required"', roots=pem(key))
    assert refusal(register(key, required), required) is Denial.NOT_ALLOWED


def test_another_maker_is_not_trusted() -> None:
    required = settings('attestation = "required"', roots=pem(simulated()))
    key = simulated(secret=hashlib.sha256(b"another maker").digest())
    assert refusal(register(key, required), required) is Denial.NOT_ALLOWED


def test_a_root_need_not_sign_itself_to_be_named() -> None:
    """A maker's list may name the model's own certificate."""
    key = simulated()
    certificate = x509.load_der_x509_certificate(key.attestation.certificate).public_bytes(Encoding.PEM).decode()
    required = settings('attestation = "required"', roots=certificate)
    assert unpack(admit(register(key, required), required)).attested


@pytest.mark.parametrize(
    ("line", "good"),
    [
        (f'allow = ["{UUID(bytes=AAGUID)}"]', True),
        (f'allow = ["{OTHER_MODEL}"]', False),
        (f'deny = ["{UUID(bytes=AAGUID)}"]', False),
        (f'deny = ["{OTHER_MODEL}"]', True),
        (f'allow = ["{UUID(bytes=AAGUID)}"]\ndeny = ["{UUID(bytes=AAGUID)}"]', False),
    ],
)
def test_models_are_allowed_and_denied(line: str, good: bool) -> None:
    text, key = settings(line), simulated()
    if good:
        assert admit(register(key, text), text)
    else:
        assert refusal(register(key, text), text) is Denial.NOT_ALLOWED


def test_a_statement_that_somebody_else_signed_is_refused_even_where_none_is_asked_for() -> None:
    key, other = SoftKey(), SoftKey()
    said = Said("create")
    signature = other.sign(said.data(key.attested) + hashlib.sha256(said.client).digest())
    registration = key.registration(said, form="packed", statement={"alg": -7, "sig": signature})
    assert refusal(registration, OFFICE) is Denial.SIGNATURE
    assert admit(key.registration(form="self"), OFFICE)


@pytest.mark.parametrize(
    "statement",
    [
        {},
        {"alg": -7},
        {"alg": "ES256", "sig": b""},
        {"alg": -7, "sig": b"", "x5c": [b"no certificate"]},
        {"alg": -7, "sig": b"", "x5c": []},
        {"alg": -7, "sig": b"", "x5c": "text"},
        {"alg": -7, "sig": b"", "x5c": [b""] * 5},
        {"alg": -7, "sig": b"", "ecdaaKeyId": b""},
    ],
)
def test_a_statement_that_is_none_is_refused(statement: dict[str, object]) -> None:
    refusal(SoftKey().registration(form="packed", statement=statement), OFFICE)


def test_a_platforms_statement_counts_as_none() -> None:
    registration = SoftKey().registration(form="tpm", statement={"ver": "2.0"})
    assert not unpack(admit(registration, OFFICE)).attested
    required = settings('attestation = "required"', roots=pem(simulated()))
    assert refusal(registration, required) is Denial.NOT_ALLOWED


def test_a_certificate_that_may_not_sign_makes_no_chain() -> None:
    """A model's own certificate signs a stranger's: its maker never meant it to."""
    maker, issuer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    stranger = ec.generate_private_key(ec.SECP256R1())
    root = certificate("Root", maker, "Root", maker, ca=True)
    for ca, trusted in ((True, True), (False, False)):
        middle = certificate("Model", issuer, "Root", maker, ca=ca)
        leaf = certificate("Stranger", stranger, "Model", issuer, ca=False)
        assert believed(stranger, [leaf, middle], root) is trusted


def certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    """Return a certificate as WebAuthn asks for in packed attestation (8.2.1)."""

    def title(text: str) -> x509.Name:
        words = {"C": "JP", "O": "Maker", "OU": "Authenticator Attestation", "CN": text}
        return x509.Name.from_rfc4514_string(",".join(f"{each}={word}" for each, word in reversed(words.items())))

    begun = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().issuer_name(title(issuer)).subject_name(title(name)).serial_number(7)
    builder = builder.public_key(key.public_key()).not_valid_before(begun)
    builder = builder.not_valid_after(begun + datetime.timedelta(days=10_000))
    extension = x509.BasicConstraints(ca=ca, path_length=None)
    return builder.add_extension(extension, critical=True).sign(issuer_key, hashes.SHA256())


def believed(signer: ec.EllipticCurvePrivateKey, chain: list[x509.Certificate], root: x509.Certificate) -> bool:
    key, said = SoftKey(), Said("create")
    message = said.data(key.attested) + hashlib.sha256(said.client).digest()
    signature = signer.sign(message, ec.ECDSA(hashes.SHA256()))
    statement = {"alg": -7, "sig": signature, "x5c": [each.public_bytes(Encoding.DER) for each in chain]}
    required = settings('attestation = "required"', roots=root.public_bytes(Encoding.PEM).decode())
    try:
        return unpack(admit(key.registration(said, form="packed", statement=statement), required)).attested
    except NotAccepted as bad:
        assert bad.why is Denial.NOT_ALLOWED  # noqa: PT017  # or it is believed
        return False


def test_a_bio_key_says_so() -> None:
    key = Key(BIO)
    key.memory.fingers.append(Finger(b"1234", 1))
    key.presence.hand.auto = True
    assert unpack(admit(register(key, OFFICE), OFFICE)).sensor


def test_roots_that_are_none_are_named() -> None:
    with pytest.raises(DriverError, match="roots"):
        Fido2Checker([settings(roots="rubbish")])
