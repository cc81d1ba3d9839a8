"""What the core certifies for databases, and above all what it does not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from authd.core.model import SeatId, SessionId
from authd.service.certificates import CertificateRefused, Certificates, Why
from tests.service.tokens.signing import ONE, TWO, Host, signing

SES = SessionId("ses_1")
KEY = ec.generate_private_key(ec.SECP256R1())
POINT = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncGenerator[Host]:
    async with signing(tmp_path) as made:
        made.ground.config.host = "host-1"  # type: ignore[misc]  # a stand-in that is not frozen
        yield made


@pytest.fixture
def certificates(host: Host) -> Certificates:
    return Certificates(host.ground)


def issue(
    certificates: Certificates, seat: SeatId = ONE, session: SessionId = SES, account: str = "staff_1001"
) -> x509.Certificate:
    issued = certificates.issue(frozenset({seat}), session, account, POINT)
    return x509.load_pem_x509_certificate(issued.pem.encode())


async def test_a_certificate_says_who_and_in_which_session(host: Host, certificates: Certificates) -> None:
    host.open()
    made = issue(certificates)
    assert made.subject.rfc4514_string() == "CN=staff_1001,OU=ses_1"
    assert made.public_key() == KEY.public_key()
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["authd://host-1/counter-1"]


async def test_it_is_good_for_a_minute(host: Host, certificates: Certificates) -> None:
    host.open()
    now = datetime.fromtimestamp(host.hand.wall_ms // 1000, UTC)
    made = issue(certificates)
    assert made.not_valid_after_utc == now + timedelta(seconds=60)
    assert made.not_valid_before_utc == now - timedelta(seconds=60)


async def test_whoever_trusts_the_authority_believes_it_until_then(host: Host, certificates: Certificates) -> None:
    host.open()
    store = Store([x509.load_pem_x509_certificate(certificates.authority().encode())])
    made = issue(certificates)
    PolicyBuilder().store(store).time(made.not_valid_after_utc).build_client_verifier().verify(made, [])
    late = PolicyBuilder().store(store).time(made.not_valid_after_utc + timedelta(seconds=1))
    with pytest.raises(VerificationError):
        late.build_client_verifier().verify(made, [])


async def test_the_authority_stays_the_same_over_a_restart(host: Host, certificates: Certificates) -> None:
    host.open()
    store = Store([x509.load_pem_x509_certificate(certificates.authority().encode())])
    made = issue(Certificates(host.ground))
    PolicyBuilder().store(store).time(made.not_valid_after_utc).build_client_verifier().verify(made, [])


async def test_a_session_s_certificate_certifies_nothing_itself(host: Host, certificates: Certificates) -> None:
    host.open()
    made = issue(certificates)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not made.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


async def refused(certificates: Certificates, why: Why, seat: SeatId = ONE, account: str = "staff_1001") -> None:
    with pytest.raises(CertificateRefused) as caught:
        issue(certificates, seat, SES, account)
    assert caught.value.why is why


async def test_nothing_is_certified_of_a_session_that_is_over(host: Host, certificates: Certificates) -> None:
    await refused(certificates, Why.NO_SESSION)
    host.open()
    issue(certificates)
    host.end()
    await refused(certificates, Why.NO_SESSION)
    host.open(session="ses_2")
    await refused(certificates, Why.NO_SESSION)


async def test_nothing_is_certified_for_another_application_s_seat(host: Host, certificates: Certificates) -> None:
    host.open()
    await refused(certificates, Why.NO_SESSION, TWO)


async def test_nobody_without_a_name_is_certified(host: Host, certificates: Certificates) -> None:
    host.open()
    await refused(certificates, Why.NO_ACCOUNT, account="")
    await refused(certificates, Why.NO_ACCOUNT, account="a" * 65)


NO_KEYS = {
    "empty": b"",
    "not on the curve": b"\4" + bytes(64),
    "short": POINT[:-1],
    "long": b"\2" + POINT[1:33] + b"x",
    "at infinity": b"\0",
}


@pytest.mark.parametrize("point", NO_KEYS.values(), ids=NO_KEYS.keys())
async def test_what_is_no_key_is_not_certified(host: Host, certificates: Certificates, point: bytes) -> None:
    host.open()
    with pytest.raises(CertificateRefused, match="bad_key"):
        certificates.issue(frozenset({ONE}), SES, "staff_1001", point)
