"""The other half of the modality: checks what cards signed, in the verifier child. No device, file or network.

A signature is grade A: with 9E the card was there (`card`), with 9A its PIN was typed as well (`card`, `pin`). A number
is grade C: it names somebody and proves nothing. Nothing is believed of a certificate but the key that was enrolled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from authd.driver import Checked, Denial, DriverError, Fault, NotAccepted, Reference, challenge_of
from authd_drivers.pcsc.record import (
    PIN_SLOT,
    SILENT_SLOT,
    Credential,
    Number,
    Offered,
    Signed,
    key_id,
    message,
    read_credential,
    read_enrolled,
    read_given,
    write_credential,
)

_FACTORS = {SILENT_SLOT: ("card",), PIN_SLOT: ("card", "pin")}
_SIGNED, _NUMBER = "A", "C"
_MAX_REVOKED = 10_000


class CardChecker:
    """Checks cards. Implements `authd.driver.Checker`."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, Credential]] = {}
        """Subject and credential by reference."""
        self._by_id: dict[bytes, str] = {}
        self._revoked: dict[bytes, tuple[str, str]] = {}
        """Subject and reference of what was revoked since the last `load`."""

    def admit(self, enrolled: bytes, nonce: str, account: str) -> bytes:
        """Return the credential of a card that signed the nonce, or of a number. Raises `NotAccepted`."""
        del account  # a card carries no name of ours
        offered = read_enrolled(enrolled)
        if isinstance(offered, Number):
            credential = Credential(uid=offered.uid)
        else:
            _prove(offered, nonce)
            credential = Credential({slot: spki for slot, (spki, _) in offered.keys.items()})
        if credential.ids & self._by_id.keys():
            raise NotAccepted(Denial.DUPLICATE)
        return write_credential(credential)

    def credential(self, reference: str) -> bytes:
        """Return by what a reader finds the card again: names of its keys, or its number."""
        return self._held[reference][1].name if reference in self._held else b""

    def name(self, reference: str) -> str:
        """Cards keep no name of ours."""
        del reference
        return ""

    def load(self, references: Sequence[Reference], counters: Mapping[str, int]) -> None:
        """Replace all credentials. Cards have no counter."""
        del counters
        self._held.clear()
        self._by_id.clear()
        self._revoked.clear()
        self.add(references)

    def add(self, references: Sequence[Reference]) -> None:
        """Add credentials; a newer version in place of the older one."""
        for reference in references:
            credential = read_credential(reference.data)
            name = reference.id.partition("@")[0]
            for old in [each for each in self._held if each.partition("@")[0] == name]:
                self._forget(old)
            self._held[reference.id] = reference.subject, credential
            for each in credential.ids:
                self._by_id[each] = reference.id
                self._revoked.pop(each, None)

    def remove(self, subject: str, reference: str = "") -> None:
        """Forget a person, or the one credential that was revoked."""
        for held, (owner, credential) in list(self._held.items()):
            if owner == subject and reference in ("", held):
                self._forget(held)
                if reference and len(self._revoked) < _MAX_REVOKED:  # a card that was enrolled again since is good
                    self._revoked |= dict.fromkeys(credential.ids - self._by_id.keys(), (owner, held))
        if not reference:
            self._revoked = {key: each for key, each in self._revoked.items() if each[0] != subject}

    def check(self, given: bytes, nonce: str, scope: Sequence[str], *, silent: bool = False) -> Checked:
        """Check a proof or a number under the nonce that it was asked with. Raises `DriverError`."""
        what = read_given(given)
        key = what.uid if isinstance(what, Number) else what.key
        if key in self._revoked:
            subject, reference = self._revoked[key]
            return Checked(subject, reference, denial=Denial.REVOKED)
        reference = self._by_id.get(key, "")
        subject, credential = self._held.get(reference, ("", Credential()))
        if not subject or subject not in scope:
            return Checked(denial=Denial.UNKNOWN)
        if isinstance(what, Number):
            # Silence asks whether the very card is there, and any fake knows a number.
            denial = Denial.UNVERIFIED if silent else None
            return Checked(subject, reference, ("card",), _NUMBER, denial=denial)
        return self._signed(what, credential, nonce, Checked(subject, reference), silent=silent)

    def _signed(self, given: Signed, credential: Credential, nonce: str, whose: Checked, *, silent: bool) -> Checked:
        spki = credential.keys.get(given.slot, b"")
        denial = None
        if key_id(spki) != given.key or not _verifies(spki, given.signature, given.challenge):
            denial = Denial.SIGNATURE
        elif given.challenge != challenge_of(nonce):
            denial = Denial.REPLAYED
        elif silent and given.slot != SILENT_SLOT:
            denial = Denial.UNVERIFIED
        return Checked(whose.subject, whose.reference, _FACTORS[given.slot], _SIGNED, denial=denial)

    def _forget(self, reference: str) -> None:
        _, credential = self._held.pop(reference)
        for each in credential.ids:
            if self._by_id.get(each) == reference:
                del self._by_id[each]


def _prove(offered: Offered, nonce: str) -> None:
    """See that each key signed this very question. Raises `NotAccepted`."""
    for spki, signature in offered.keys.values():
        if _key(spki) is None:
            raise NotAccepted(Denial.NOT_ALLOWED)
        if not _verifies(spki, signature, offered.challenge):
            raise NotAccepted(Denial.SIGNATURE)
    if offered.challenge != challenge_of(nonce):
        raise NotAccepted(Denial.REPLAYED)
    if len({spki for spki, _ in offered.keys.values()}) != len(offered.keys):
        raise NotAccepted(Denial.NOT_ALLOWED)  # one key in both slots: what 9E signs without a PIN would pass for 9A


def _verifies(spki: bytes, signature: bytes, challenge: bytes) -> bool:
    key = _key(spki)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message(challenge), padding.PKCS1v15(), SHA256())
        elif key is not None:
            key.verify(signature, message(challenge), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return key is not None


def _key(spki: bytes) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey | None:
    """Return the key if it is of a kind that is taken. Raises `DriverError` for what is no key."""
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm):
        raise DriverError(Fault.PROTOCOL, "not a public key") from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048 and key.public_numbers().e == 65_537:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    return None
