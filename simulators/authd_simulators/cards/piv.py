"""A PIV applet of NIST SP 800-73-4, as far as logging in needs it: two keys, two certificates, a PIN that counts."""

from __future__ import annotations

import hashlib

from authd_simulators.cards.apdu import NOT_FOUND, UNKNOWN_INS, WRONG_P1P2, Command, Word
from authd_simulators.cards.ber import ber, unber
from authd_simulators.cards.keys import KeyPair, Kind

TRIES = 3
_VERIFY, _AUTHENTICATE, _GET_DATA = 0x20, 0x87, 0xCB
_BAD_DATA, _NOT_VERIFIED, _BLOCKED, _NO_KEY = 0x6A80, 0x6982, 0x6983, 0x6A88
_PIN_KEY, _CARD_KEY = 0x9A, 0x9E


class PivApplet:
    """Key 9A signs after the PIN, key 9E at once."""

    aid = bytes.fromhex("a000000308000010000100")

    def __init__(self, seed: str = "1", *, kind: Kind = "ecc", pin: str = "123456", closes: bool = True) -> None:
        """Make a card's applet. closes: whether it can be told to forget a verified PIN, as newer cards can."""
        self.pin, self.left, self.closes = pin, TRIES, closes
        self.verified = False
        self.keys = {
            number: KeyPair(kind, f"{seed} {number:X}", f"Simulated {number:X}") for number in (_PIN_KEY, _CARD_KEY)
        }
        self.objects = {
            b"\x5f\xc1\x02": ber(0x34, hashlib.sha256(b"chuid\0" + seed.encode()).digest()[:16]) + ber(0x3E, b""),
            b"\x5f\xc1\x05": _certificate(self.keys[_PIN_KEY]),
            b"\x5f\xc1\x01": _certificate(self.keys[_CARD_KEY]),
        }
        """Data objects by tag, without the outer 53."""

    def select(self) -> bytes:
        """Answer with the application property template."""
        return ber(0x61, ber(0x4F, self.aid[5:]) + ber(0x79, ber(0x4F, self.aid[:5])))

    def deselect(self) -> None:
        """Forget that the PIN was verified."""
        self.verified = False

    def obey(self, command: Command) -> bytes:
        """Carry out VERIFY, GENERAL AUTHENTICATE or GET DATA. Raises `Word`."""
        match command:
            case Command(ins=0x20):
                return self._verify(command)
            case Command(ins=0x87):
                return self._authenticate(command)
            case Command(ins=0xCB, p1=0x3F, p2=0xFF):
                return self._get_data(command.data)
            case _:
                raise Word(WRONG_P1P2 if command.ins == _GET_DATA else UNKNOWN_INS)

    def _verify(self, command: Command) -> bytes:
        if command.p2 != 0x80:
            raise Word(_NO_KEY)
        if command.p1 == 0xFF and self.closes and not command.data:
            self.verified = False
            return b""
        if command.p1 != 0:
            raise Word(WRONG_P1P2)
        if not command.data:
            if self.verified:
                return b""
            raise Word(0x63C0 | self.left if self.left else _BLOCKED)
        return self._try(command.data)

    def _try(self, block: bytes) -> bytes:
        if not self.left:
            raise Word(_BLOCKED)
        if len(block) != 8:
            raise Word(_BAD_DATA)
        self.verified = block == self.pin.encode().ljust(8, b"\xff")
        self.left = TRIES if self.verified else self.left - 1
        if not self.verified:
            raise Word(0x63C0 | self.left)
        return b""

    def _authenticate(self, command: Command) -> bytes:
        key = self.keys.get(command.p2)
        if key is None:
            raise Word(_NO_KEY)
        if command.p1 != key.algorithm:
            raise Word(WRONG_P1P2)
        if command.p2 == _PIN_KEY and not self.verified:
            raise Word(_NOT_VERIFIED)
        try:
            ((tag, template),) = unber(command.data)
            fields = dict(unber(template))
            if tag != 0x7C or fields[0x82] != b"":
                raise Word(_BAD_DATA)
            signature = key.sign(fields[0x81])
        except (ValueError, KeyError):
            raise Word(_BAD_DATA) from None
        return ber(0x7C, ber(0x82, signature))

    def _get_data(self, data: bytes) -> bytes:
        if data[:1] != b"\x5c" or data[1:2] != bytes([len(data) - 2]):
            raise Word(_BAD_DATA)
        found = self.objects.get(data[2:])
        if found is None:
            raise Word(NOT_FOUND)
        return ber(0x53, found)


def _certificate(key: KeyPair) -> bytes:
    return ber(0x70, key.certificate) + ber(0x71, b"\0") + ber(0xFE, b"")
