"""One office, as the verifier sees it: python-fido2's server for it, its origins, and its models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestationObject,
    PublicKeyCredentialRpEntity,
    UserVerificationRequirement,
)

from authd.driver import Denial, challenge_of
from authd_drivers.fido2.attestation import Models
from authd_drivers.fido2.messages import ClientData
from authd_drivers.fido2.office import Office

REQUIRED = UserVerificationRequirement.REQUIRED


class Place:
    """One office. Its server keeps nothing: the state of each exchange is made again from the nonce."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.models = Models(office)
        self._origins = office.origins | {office.own_origin}
        self._login = self._server(None, None)

    def framed(self, client: ClientData, kind: str, nonce: str) -> Denial | None:
        """Check what the client says; `kind`: `get` or `create`."""
        if client.type != f"webauthn.{kind}" or client.challenge != challenge_of(nonce):
            return Denial.REPLAYED
        return Denial.FOREIGN if client.origin not in self._origins or client.cross_origin else None

    @property
    def login(self) -> Any:  # its own types have gaps
        """The library's server for logins."""
        return self._login

    def enrolment(self, verify: Callable[[AttestationObject, bytes], None]) -> Any:
        """Return the library's server for one enrolment; `verify` judges attestations, and may raise."""
        return self._server(AttestationConveyancePreference.DIRECT, verify)

    def _server(
        self,
        asked: AttestationConveyancePreference | None,
        verify: Callable[[AttestationObject, bytes], None] | None,
    ) -> Fido2Server:
        rp = PublicKeyCredentialRpEntity(name=self.office.name, id=self.office.rp_id)
        return Fido2Server(rp, asked, self._origins.__contains__, verify)
