"""What this driver says to a card: NIST SP 800-73-4 part 2, PC/SC part 3 for numbers. All of it within one transaction.

`Card` is what a visit (visit.py) is given; its calls block, and raise `Better`, `Refused` and `DriverError`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from authd.driver import Denial, DriverError, Fault, Hint
from authd_drivers.pcsc import tlv
from authd_drivers.pcsc.apdu import Better, Refused, Response, Transmit, exchange
from authd_drivers.pcsc.atr import parse_atr
from authd_drivers.pcsc.record import PIN_SLOT, SILENT_SLOT, UID_BYTES, key_id, message
from authd_drivers.pcsc.tlv import Algorithm, PublicKey
from authd_drivers.pcsc.words import tries_left

FIDO: Final = bytes.fromhex("a0000006472f0001")
PIV: Final = bytes.fromhex("a000000308000010000100")
_CERTIFICATES: Final = {SILENT_SLOT: bytes.fromhex("5fc101"), PIN_SLOT: bytes.fromhex("5fc105")}
_ALGORITHMS: Final = {Algorithm.RSA_2048: 0x07, Algorithm.P_256: 0x11}
_SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")
_RSA_BYTES: Final = 256
_ECDSA_BYTES: Final = range(8, 73)
_PIN_BYTES: Final = range(6, 9)
_RANDOM_UID: Final = 0x08


@dataclass(frozen=True, slots=True)
class Look:
    """What a card turned out to be: a FIDO applet, a PIV applet with keys, or a number (`uid`)."""

    fido: bool = False
    piv: bool = False
    keys: dict[str, PublicKey] = field(default_factory=dict[str, PublicKey])
    left: int | None = None
    """Tries that the PIN has, if the card says it."""
    uid: bytes = b""


class Card:
    """One card in one transaction."""

    def __init__(self, transmit: Transmit, atr: bytes) -> None:
        self._transmit = transmit
        self._storage = parse_atr(atr).storage
        self.reset_wanted = False
        """Whether the card is still open for its PIN's holder, and is to be reset as it is left."""

    def look(self, *, pin: bool) -> Look:
        """Find out what it is. Raises `Refused` where it is nothing that anybody here knows.

        pin: whether somebody is to be asked for one, so that the tries left are of interest.
        """
        if not self._storage:
            if self._select(FIDO):
                return Look(fido=True)
            if self._select(PIV):
                keys = {slot: key for slot in _CERTIFICATES if (key := self._key(slot)) is not None}
                return Look(piv=True, keys=keys, left=self.tries_left() if pin and PIN_SLOT in keys else None)
        return Look(uid=self._uid())

    def tries_left(self) -> int | None:
        """Ask how many tries the PIN has, without one; None: the card does not say.

        A PIN that another program left open is closed first: it was not typed for us. Raises `Refused` where the card
        cannot do that: only taking it out helps.
        """
        self._close_pin()
        response = self._say(bytes.fromhex("00200080"), le=False)
        if response.word == 0x9000:
            raise Refused(Denial.UNVERIFIED)
        left = tries_left(response.word)
        if left is None and response.word != 0x6300:
            response.expected()
        return left

    def sign(self, slot: str, key: PublicKey, challenge: bytes) -> bytes:
        """Sign a challenge with the key of this slot; of a card whose applet is selected."""
        digest = hashlib.sha256(message(challenge)).digest()
        data = _padded(digest) if key.algorithm is Algorithm.RSA_2048 else digest
        inner = b"\x82\x00\x81" + _sized(data)
        head = bytes([0x00, 0x87, _ALGORITHMS[key.algorithm], int(slot, 16)])
        answer = self._say(head, b"\x7c" + _sized(inner)).expected()
        signature = tlv.value_of(tlv.value_of(answer, 0x7C), 0x82)
        rsa = key.algorithm is Algorithm.RSA_2048
        if len(signature) not in ({_RSA_BYTES} if rsa else _ECDSA_BYTES):
            raise DriverError(Fault.PROTOCOL, "a signature of another length")
        return signature

    def sign_with_pin(self, pin: str, key: PublicKey, challenge: bytes) -> bytes | int:
        """Verify the PIN once and sign with 9A; a wrong one gives the tries that are left instead.

        Raises `Refused` (blocked, or one try left), `Better` (another card, not a PIN). The PIN is closed again.
        """
        if not self._select(PIV) or self._key(PIN_SLOT) != key:
            raise Better(Hint.REMOVE_AND_RETRY)
        left = self.tries_left()
        if left is not None and left < 2:
            raise Refused(Denial.BLOCKED)
        self.reset_wanted = True
        response = self._say(bytes.fromhex("00200080"), pin_block(pin), le=False)
        wrong = tries_left(response.word)
        if wrong == 0:
            raise Refused(Denial.BLOCKED)
        if wrong is not None:
            self.reset_wanted = False
            return wrong
        response.expected()
        signature = self.sign(PIN_SLOT, key, challenge)
        self._close_pin()
        return signature

    def find(self, names: list[bytes]) -> PublicKey | None:
        """Return the key of 9E, if the card is PIV and one of these names is its."""
        if self._storage or not self._select(PIV):
            return None
        key = self._key(SILENT_SLOT)
        return key if key is not None and key_id(key.spki) in names else None

    def _select(self, aid: bytes) -> bool:
        return self._say(b"\x00\xa4\x04\x00", aid).word == 0x9000

    def _key(self, slot: str) -> PublicKey | None:
        """Return the key of a slot, None where there is none of a kind that is taken."""
        response = self._say(b"\x00\xcb\x3f\xff", b"\x5c" + _sized(_CERTIFICATES[slot]))
        try:
            return tlv.public_key(tlv.certificate_of(response.expected()))
        except (Refused, tlv.NotAllowed):
            return None

    def _close_pin(self) -> None:
        """Have the card forget that a PIN was verified (SP 800-73-4 part 2, 3.2.1); older cards want a reset."""
        self.reset_wanted = self._say(bytes.fromhex("0020ff80"), le=False).word != 0x9000 and self.reset_wanted

    def _uid(self) -> bytes:
        response = self._say(b"\xff\xca\x00\x00")
        if response.word != 0x9000:  # cards with contacts hear the question themselves, and answer as they please
            raise Refused(Denial.UNKNOWN)
        uid = response.data
        if len(uid) not in UID_BYTES:
            raise DriverError(Fault.PROTOCOL, f"a number of {len(uid)} bytes")
        if len(uid) == 4 and uid[0] == _RANDOM_UID:  # another one at each insertion (ISO/IEC 14443-3, 6.5.4)
            raise Refused(Denial.UNKNOWN)
        return uid

    def _say(self, head: bytes, data: bytes = b"", *, le: bool = True) -> Response:
        return exchange(self._transmit, head, data, le=le)


def pin_block(pin: str) -> bytes:
    """Return a PIN as PIV takes it, 8 bytes. Raises `Better` for what cannot be one, before the card hears of it."""
    if len(pin) not in _PIN_BYTES or not (pin.isascii() and pin.isprintable()):
        raise Better(Hint.PIN_INVALID)
    return pin.encode().ljust(8, b"\xff")


def _padded(digest: bytes) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017, 9.2) for 2048 bits."""
    info = _SHA256_INFO + digest
    return b"\x00\x01" + b"\xff" * (_RSA_BYTES - 3 - len(info)) + b"\x00" + info


def _sized(value: bytes) -> bytes:
    """Put a BER length before it."""
    if len(value) < 0x80:
        return bytes([len(value)]) + value
    size = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(size)]) + size + value
