"""What a key signed, checked: the half of the modality that runs in the verifier child, without any device.

python-fido2's server verifies type, origin, challenge, relying party, flags and signature, with its state rebuilt from
the nonce at each check. Here is what it leaves out: reasons that stand in the ledger, the signature counter, backup
flags, whose credential it is and who may be named, revocation, models, and lengths before anything is parsed.

A silent answer (`Confirm`) says that a credential is there; it carries no factor, since nobody did anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fido2 import cbor
from fido2.cose import CoseKey
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorAssertionResponse,
    AuthenticatorData,
    CollectedClientData,
)

from authd.driver import Checked, Denial, DriverError, Fault, NotAccepted, Reference, challenge_of
from authd_drivers.fido2 import office as office_file
from authd_drivers.fido2.admission import admit
from authd_drivers.fido2.messages import Assertion, Registration, parse_response
from authd_drivers.fido2.place import REQUIRED, Place
from authd_drivers.fido2.record import Credential, unpack

_SIGNED: Final = "A"
_WITH_SENSOR, _WITH_PIN = ("key", "fingerprint"), ("key", "pin")


@dataclass(slots=True)
class _Held:
    subject: str
    reference: str
    credential: Credential
    key: AttestedCredentialData
    counter: int


class Fido2Checker:
    """Implements `authd.driver.Checker`; `shared`: the texts of the office files."""

    def __init__(self, shared: Sequence[str] = ()) -> None:
        offices = {office.rp_id_hash: office for office in map(office_file.parse, shared)}
        if len(offices) < len(set(shared)):
            raise DriverError(Fault.NOT_PERMITTED, "two office files for one rp_id")
        self._places = {rp: Place(office) for rp, office in offices.items()}
        self._held = dict[bytes, _Held]()
        self._revoked = dict[bytes, tuple[str, str]]()
        """SHA-256 of the id: subject and reference, both empty of a person who is forgotten."""

    def load(self, references: Sequence[Reference], counters: Mapping[str, int]) -> None:
        """Replace all credentials. counters: signature counter by reference, as last kept."""
        held = [_hold(each, counters.get(each.id, 0)) for each in references]
        self._held = {each.credential.id: each for each in held}

    def add(self, references: Sequence[Reference]) -> None:
        """Add credentials."""
        self._held |= {each.credential.id: each for each in (_hold(each, 0) for each in references)}
        for each in self._held:
            self._revoked.pop(_digest(each), None)

    def remove(self, subject: str, reference: str = "") -> None:
        """Forget a person's credentials, or the one that was revoked."""
        going = [each for each in self._held.values() if each.subject == subject and reference in ("", each.reference)]
        for each in going:
            self._revoked[_digest(each.credential.id)] = (subject, reference) if reference else ("", "")
            del self._held[each.credential.id]

    def credential(self, reference: str) -> bytes:
        """Return the credential's id. Raises `DriverError` for one that is not held."""
        for each in self._held.values():
            if each.reference == reference:
                return each.credential.id
        raise DriverError(Fault.PROTOCOL, "no such credential")

    def name(self, reference: str) -> str:
        """Return nothing: a key keeps its credentials under names of its own."""
        del reference
        return ""

    # Login

    def check(self, given: bytes, nonce: str, scope: Sequence[str], *, silent: bool = False) -> Checked:
        """Check an AuthenticationResponse. Raises `DriverError` where it is not one."""
        answer = parse_response(given)
        if not isinstance(answer, Assertion):
            raise DriverError(Fault.PROTOCOL, "no assertion")
        held = self._held.get(answer.id)
        if held is None:
            return self._not_held(answer, nonce)
        denial = self._judged(answer, held, nonce, silent) or _standing(answer, held, scope, silent)
        if denial is not None:
            return Checked(held.subject, held.reference, denial=denial)
        counter = answer.data.counter if answer.data.counter > held.counter else None  # None: nothing to be counted
        held.counter = max(held.counter, answer.data.counter)
        factors = () if silent else _WITH_SENSOR if held.credential.sensor else _WITH_PIN
        return Checked(held.subject, held.reference, factors, _SIGNED, counter)

    def _not_held(self, answer: Assertion, nonce: str) -> Checked:
        """A stranger's, or one that was revoked: nothing of it can be verified, but it may be foreign or old."""
        subject, reference = self._revoked.get(_digest(answer.id), ("", ""))
        place = self._places.get(answer.data.rp_id_hash)
        denial = Denial.FOREIGN if place is None else place.framed(answer.client, "get", nonce)
        known = Denial.REVOKED if _digest(answer.id) in self._revoked else Denial.UNKNOWN
        return Checked(subject, reference, denial=denial or known)

    def _judged(self, answer: Assertion, held: _Held, nonce: str, silent: bool) -> Denial | None:
        """Check frame and signature, and the flags of an act."""
        place = self._places.get(answer.data.rp_id_hash)
        if place is None:
            return Denial.FOREIGN
        denial = place.framed(answer.client, "get", nonce)
        if denial is not None:
            return denial
        if silent:
            return _signature(answer, held)
        if not answer.data.is_user_present():
            return Denial.ABSENT
        if not answer.data.is_user_verified():
            return Denial.UNVERIFIED
        server = place.login
        _, state = server.authenticate_begin(user_verification=REQUIRED, challenge=challenge_of(nonce))
        try:
            server.authenticate_complete(state, [held.key], _response(answer))
        except Exception:  # all but the signature was checked above, with its reason
            return Denial.SIGNATURE
        return None

    # Enrolment

    def admit(self, enrolled: bytes, nonce: str, account: str) -> bytes:
        """Return the record of a new credential. Raises `NotAccepted`, and `DriverError` where it is not one."""
        del account  # the key was given it as the user's handle, which a registration does not repeat
        answer = parse_response(enrolled)
        if not isinstance(answer, Registration):
            raise DriverError(Fault.PROTOCOL, "no registration")
        place = self._places.get(answer.attestation.auth_data.rp_id_hash)
        if place is None:
            raise NotAccepted(Denial.FOREIGN)
        made = admit(answer, place, nonce)
        if made.id in self._held or any(each.credential.key == made.key for each in self._held.values()):
            raise NotAccepted(Denial.DUPLICATE)
        return made.pack()


def _digest(credential: bytes) -> bytes:
    return hashlib.sha256(credential).digest()


def _hold(reference: Reference, counter: int) -> _Held:
    credential = unpack(reference.data)
    try:
        key = CoseKey.parse(cbor.decode(credential.key))  # type: ignore[arg-type]  # of anything but a map: an error
        made = AttestedCredentialData.create(credential.aaguid, credential.id, key)
    except Exception as error:
        raise DriverError(Fault.PROTOCOL, f"stored credential: {type(error).__name__}") from None
    return _Held(reference.subject, reference.id, credential, made, max(counter, credential.counter))


def _signature(answer: Assertion, held: _Held) -> Denial | None:
    try:
        held.key.public_key.verify(answer.data + hashlib.sha256(answer.client.raw).digest(), answer.signature)
    except Exception:  # InvalidSignature, and what a signature of no known form makes of it
        return Denial.SIGNATURE
    return None


def _standing(answer: Assertion, held: _Held, scope: Sequence[str], silent: bool) -> Denial | None:
    """Check what is signed and true against what is kept: the copy, the clone, the person."""
    data, credential = answer.data, held.credential
    if data.is_backup_eligible() != credential.eligible or (data.is_backed_up() and not credential.eligible):
        return Denial.SYNCED
    if not _counts(data, held.counter, silent):
        return Denial.CLONED
    if held.subject not in scope:
        return Denial.UNKNOWN
    if answer.handle is None:
        return None if silent else Denial.UNKNOWN
    return None if answer.handle == held.subject.encode() else Denial.UNKNOWN


def _counts(data: AuthenticatorData, before: int, silent: bool) -> bool:
    """Whether the counter says that there is one key: it grows by any step, or there is none (0 for ever).

    Some keys do not count what they sign without a touch: a silent answer, which opens nothing, may stand still.
    """
    return data.counter > before or data.counter == before == 0 or (silent and data.counter == before)


def _response(answer: Assertion) -> AuthenticationResponse:
    return AuthenticationResponse(
        raw_id=answer.id,
        response=AuthenticatorAssertionResponse(
            client_data=CollectedClientData(answer.client.raw),
            authenticator_data=answer.data,
            signature=answer.signature,
            user_handle=answer.handle,
        ),
    )
