"""Cards as they lie in a reader: bytes in, bytes out, in process (L0) or on pcscd's virtual reader (L2)."""

from __future__ import annotations

import hashlib

from authd_simulators.cards.apdu import UNKNOWN_CLA, WRONG_P1P2, Applet, Applets, Command, Word
from authd_simulators.cards.keys import Kind
from authd_simulators.cards.piv import PivApplet
from authd_simulators.cards.trouble import Trouble

STORAGE_ATR = bytes.fromhex("3b8f8001804f0ca000000306030001000000006a")
"""What a contactless reader says of a MIFARE Classic 1K (PC/SC part 3)."""
_GET_UID = bytes.fromhex("ffca0000")


def atr(historical: bytes) -> bytes:
    """Return the ATR of a T=1 card with these historical bytes, at most 15."""
    body = bytes([0x80 | len(historical), 0x01]) + historical
    check = 0
    for byte in body:
        check ^= byte
    return b"\x3b" + body + bytes([check])


class SimulatedCard:
    """One card: what it is made of, and what is wrong with it. Implements `vpcd.Card`."""

    def __init__(self, kind: str, *applets: Applet, uid: bytes = b"", says: bytes | None = None) -> None:
        """kind: its name in commands; uid: what a contactless reader gives as its number; says: its ATR."""
        self.kind = kind
        self.uid = uid
        self.atr = atr(kind.encode()[:15]) if says is None else says
        self.trouble = Trouble()
        self.heard = list[bytes]()
        """The last APDUs since it was put in."""
        self._applets = Applets(*applets)
        self.piv = next((each for each in applets if isinstance(each, PivApplet)), None)

    def power(self, on: bool) -> None:
        """Forget what needs power."""
        del on
        self._applets.power()

    def transmit(self, apdu: bytes) -> bytes:
        """Answer one APDU, unless something is wrong with the card. Raises `OSError` where it is torn out."""
        del self.heard[:-256]
        self.heard.append(apdu)
        wrong = self.trouble.strikes(apdu)
        return self._answer(apdu) if wrong is None else wrong

    def _answer(self, apdu: bytes) -> bytes:
        if apdu[:4] == _GET_UID:
            return self.uid + b"\x90\x00" if self.uid else b"\x6a\x81"
        return self._applets.transmit(apdu)


class FidoStub:
    """The first answer of a FIDO applet and nothing else: for a card with several applets."""

    aid = bytes.fromhex("a0000006472f0001")

    def select(self) -> bytes:
        """Say its version."""
        return b"U2F_V2"

    def deselect(self) -> None:
        """Nothing lasts."""

    def obey(self, command: Command) -> bytes:
        """Do nothing else."""
        raise Word(UNKNOWN_CLA if command.ins == 0x10 else WRONG_P1P2)


KINDS = ("piv", "uid", "multi", "blank")


def make(kind: str, seed: str = "1", *, keys: Kind = "ecc", pin: str = "123456") -> SimulatedCard:
    """Make a card: PIV; a number and nothing else; FIDO beside PIV; a card that nobody knows. Raises `ValueError`."""
    number = b"\x04" + hashlib.sha256(b"uid\0" + seed.encode()).digest()[:6]
    if kind == "piv":
        return SimulatedCard(kind, PivApplet(seed, kind=keys, pin=pin))
    if kind == "uid":
        return SimulatedCard(kind, uid=number, says=STORAGE_ATR)
    if kind == "multi":
        return SimulatedCard(kind, FidoStub(), PivApplet(seed, kind=keys, pin=pin), uid=number)
    if kind == "blank":
        return SimulatedCard(kind)
    raise ValueError(f"one of {', '.join(KINDS)} is expected")
