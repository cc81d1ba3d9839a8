"""Whether a new credential comes from a model that the office takes: AAGUID and attestation (WebAuthn, section 8).

What makes a certificate chain good here: each certificate signs the one before, all but the first may sign at all, and
the last is signed by, or is, one of the office's roots. Dates are not looked at: keys live longer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fido2.attestation.base import Attestation, InvalidSignature, NoneAttestation, verify_x509_chain
from fido2.attestation.packed import PackedAttestation
from fido2.webauthn import AttestationObject

from authd.driver import Denial, DriverError, Fault, NotAccepted
from authd_drivers.fido2.office import Office

MAX_CHAIN: Final = 4
_KNOWN: Final[Mapping[str, type[Attestation]]] = {"packed": PackedAttestation, "none": NoneAttestation}
_CHAIN = "x5c"


class Models:
    """The models that an office takes."""

    def __init__(self, office: Office) -> None:
        self._office = office
        try:
            self._roots = x509.load_pem_x509_certificates(office.roots.encode()) if office.roots.strip() else []
        except ValueError:
            raise DriverError(Fault.NOT_PERMITTED, "office file: roots: PEM certificates are expected") from None
        self._exact = {root.public_bytes(Encoding.DER) for root in self._roots}

    def admit(self, aaguid: bytes, attestation: AttestationObject, client_hash: bytes) -> bool:
        """Return whether the maker's word for it was checked. Raises `NotAccepted`."""
        office = self._office
        if aaguid in office.deny or (office.allow and aaguid not in office.allow):
            raise NotAccepted(Denial.NOT_ALLOWED)
        chain = self._signed(attestation, client_hash)
        if chain and self._trusts(chain):
            return True
        if office.attested:
            raise NotAccepted(Denial.NOT_ALLOWED)
        return False

    def _signed(self, attestation: AttestationObject, client_hash: bytes) -> Sequence[bytes]:
        """Check the statement's own signature; return its certificates (none of `self` and `none`)."""
        form, statement = _KNOWN.get(attestation.fmt), attestation.att_stmt
        if form is None:  # of a platform, not of a key: as good as none
            return ()
        chain = statement.get(_CHAIN)
        if chain is not None and not (isinstance(chain, list) and len(cast("list[object]", chain)) <= MAX_CHAIN):
            raise NotAccepted(Denial.NOT_ALLOWED)
        try:
            return form().verify(statement, attestation.auth_data, client_hash).trust_path
        except InvalidSignature:
            raise NotAccepted(Denial.SIGNATURE) from None
        except Exception:  # of the library's, and of certificates that are none: at least six kinds
            raise NotAccepted(Denial.NOT_ALLOWED) from None

    def _trusts(self, chain: Sequence[bytes]) -> bool:
        if chain[0] in self._exact:
            return True
        with contextlib.suppress(Exception):  # a certificate of unknown make is not trusted, whatever is wrong with it
            certificates = [x509.load_der_x509_certificate(each) for each in chain]
            if not all(map(_may_sign, certificates[1:])):
                return False
            return any(
                _chained([*chain, root.public_bytes(Encoding.DER)])
                for root in self._roots
                if root.subject == certificates[-1].issuer
            )
        return False


def _chained(chain: list[bytes]) -> bool:
    with contextlib.suppress(InvalidSignature):
        verify_x509_chain(chain)
        return True
    return False


def _may_sign(certificate: x509.Certificate) -> bool:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
