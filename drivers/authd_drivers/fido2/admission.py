"""Whether a new credential is good enough: all that is checked once, at the enrolment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from cryptography.exceptions import InvalidSignature
from fido2 import cbor
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorAttestationResponse,
    CollectedClientData,
    RegistrationResponse,
)

from authd.driver import Denial, DriverError, Fault, NotAccepted, challenge_of
from authd_drivers.fido2.messages import Registration
from authd_drivers.fido2.office import Office
from authd_drivers.fido2.place import REQUIRED, Place
from authd_drivers.fido2.record import MAX_KEY_BYTES, Credential

ALGORITHMS: Final = (-7, -8, -35)
"""ES256, EdDSA (Ed25519), ES384."""


def admit(answer: Registration, place: Place, nonce: str) -> Credential:
    """Return what is kept of a registration that is good enough. Raises `NotAccepted`, and `DriverError`."""
    data, made = answer.attestation.auth_data, _made(answer)
    denial = place.framed(answer.client, "create", nonce)
    if denial is not None:
        raise NotAccepted(denial)
    protect = _fit(answer, place.office)
    return Credential(
        made.credential_id,
        cbor.encode(made.public_key),
        data.counter,
        bytes(made.aaguid),
        eligible=data.is_backup_eligible(),
        backed_up=data.is_backed_up(),
        sensor=answer.sensor,
        attested=_registered(answer, place, nonce),
        protect=protect,
        label=answer.label,
    )


def _made(answer: Registration) -> AttestedCredentialData:
    """Return the new credential, if it is one that can ever be checked."""
    made = answer.attestation.auth_data.credential_data
    if made is None or made.credential_id != answer.id or len(cbor.encode(made.public_key)) > MAX_KEY_BYTES:
        raise DriverError(Fault.PROTOCOL, "another credential than it says")
    if made.public_key.get(3) not in ALGORITHMS:  # pyright: ignore[reportUnknownMemberType]  # a bare dict
        raise NotAccepted(Denial.NOT_ALLOWED)
    try:
        made.public_key.verify(b"", b"")  # which no key signed: but one that is none says something else
    except InvalidSignature:
        return made
    except Exception as error:
        raise DriverError(Fault.PROTOCOL, f"public key: {type(error).__name__}") from None
    raise NotAccepted(Denial.SIGNATURE)


def _fit(answer: Registration, office: Office) -> int:
    """Check what the authenticator says of itself and the act; return its credProtect, 0 where it has none."""
    data = answer.attestation.auth_data
    if not data.is_user_present():
        raise NotAccepted(Denial.ABSENT)
    if not data.is_user_verified():
        raise NotAccepted(Denial.UNVERIFIED)
    if data.is_backed_up() and not data.is_backup_eligible():
        raise NotAccepted(Denial.SYNCED)
    if data.is_backup_eligible() and not office.synced:
        raise NotAccepted(Denial.SYNCED)
    said = cast("object", data.extensions)  # pyright: ignore[reportUnknownMemberType]  # of CBOR: anything
    protect = cast("Mapping[object, object]", said).get("credProtect", 0) if isinstance(said, Mapping) else 0
    if answer.discoverable is False or type(protect) is not int or protect not in (0, 2, 3):
        raise NotAccepted(Denial.NOT_ALLOWED)
    return protect


def _registered(answer: Registration, place: Place, nonce: str) -> bool:
    """Let the library check it once more as a whole, and the model; return whether its maker vouches for it."""
    attested = False

    def verify(attestation: AttestationObject, client_hash: bytes) -> None:
        nonlocal attested
        attested = place.models.admit(bytes(_made(answer).aaguid), attestation, client_hash)

    server = place.enrolment(verify)
    _, state = server.register_begin(
        {"id": b"-", "name": "-"},  # the answer does not repeat whom it was made for
        user_verification=REQUIRED,
        challenge=challenge_of(nonce),
    )
    made = AuthenticatorAttestationResponse(
        client_data=CollectedClientData(answer.client.raw), attestation_object=answer.attestation
    )
    try:
        server.register_complete(state, RegistrationResponse(raw_id=answer.id, response=made))
    except NotAccepted:
        raise
    except Exception:
        raise NotAccepted(Denial.SIGNATURE) from None
    return attested
