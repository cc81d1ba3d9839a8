"""The part of a card below its applications: command APDUs, chains of them, answers fetched in parts (ISO 7816-4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

OK, WRONG_LENGTH, LAST_EXPECTED, NOT_FOUND, WRONG_P1P2 = 0x9000, 0x6700, 0x6883, 0x6A82, 0x6A86
UNKNOWN_INS, UNKNOWN_CLA = 0x6D00, 0x6E00
SELECT, GET_RESPONSE = 0xA4, 0xC0
MOST_CHAINED = 4_096


@dataclass(frozen=True, slots=True)
class Command:
    """One command, put together from its chain."""

    ins: int
    p1: int
    p2: int
    data: bytes


class Word(Exception):
    """What an applet answers instead of 9000."""

    def __init__(self, word: int) -> None:
        super().__init__(f"{word:04X}")
        self.word = word


class Applet(Protocol):
    """One application on a card."""

    aid: bytes

    def select(self) -> bytes:
        """Begin; return what SELECT answers."""
        ...

    def deselect(self) -> None:
        """Forget what lasts only as long as it is selected; at power-off too."""
        ...

    def obey(self, command: Command) -> bytes:
        """Carry out one command and return its data. Raises `Word`."""
        ...


class Applets:
    """What a card does with APDUs: finds the applet, collects chains, hands out long answers in parts."""

    def __init__(self, *applets: Applet) -> None:
        self._applets = applets
        self._selected: Applet | None = None
        self._chain = b""
        self._chain_head = b""
        self._rest = b""

    def power(self) -> None:
        """Forget everything that needs power."""
        if self._selected is not None:
            self._selected.deselect()
        self._selected, self._chain, self._chain_head, self._rest = None, b"", b"", b""

    def transmit(self, apdu: bytes) -> bytes:
        """Answer one command APDU."""
        try:
            return self._answer(apdu)
        except Word as word:
            return word.word.to_bytes(2, "big")

    def _answer(self, apdu: bytes) -> bytes:
        if len(apdu) < 4:
            raise Word(WRONG_LENGTH)
        if apdu[0] not in (0x00, 0x10):
            raise Word(UNKNOWN_CLA)
        data, le = _body(apdu)
        if apdu[1] == GET_RESPONSE and apdu[0] == 0:
            return self._part(le)
        self._rest = b""
        whole = self._gather(apdu, data)
        if whole is None:
            return OK.to_bytes(2, "big")
        self._rest = self._obey(Command(apdu[1], apdu[2], apdu[3], whole))
        return self._part(le)

    def _gather(self, apdu: bytes, data: bytes) -> bytes | None:
        """Return the data of the whole chain; None while more follows."""
        head, chain = bytes(apdu[1:4]), self._chain
        if self._chain_head not in (b"", head):
            self._chain, self._chain_head = b"", b""
            raise Word(LAST_EXPECTED)
        more = bool(apdu[0] & 0x10)
        self._chain, self._chain_head = (chain + data, head) if more else (b"", b"")
        if len(chain + data) > MOST_CHAINED:
            self._chain, self._chain_head = b"", b""
            raise Word(WRONG_LENGTH)
        return None if more else chain + data

    def _obey(self, command: Command) -> bytes:
        if command.ins == SELECT and command.p1 == 4:
            return self._select(command.data)
        if self._selected is None:
            raise Word(UNKNOWN_INS)
        return self._selected.obey(command)

    def _select(self, aid: bytes) -> bytes:
        found = next((each for each in self._applets if len(aid) >= 5 and each.aid.startswith(aid)), None)
        if found is None:
            raise Word(NOT_FOUND)
        if self._selected not in (None, found):
            assert self._selected is not None
            self._selected.deselect()
        self._selected = found
        return found.select()

    def _part(self, le: int) -> bytes:
        part, self._rest = self._rest[:le], self._rest[le:]
        word = 0x6100 | min(len(self._rest), 0x100) & 0xFF if self._rest else OK
        return part + word.to_bytes(2, "big")


def _body(apdu: bytes) -> tuple[bytes, int]:
    """Return data and Le of a short or extended APDU. Raises `Word`."""
    rest = apdu[4:]
    wide = len(rest) > 1 and rest[0] == 0
    if not rest or len(rest) == 1:
        return b"", (rest[0] or 256) if rest else 256
    size = int.from_bytes(rest[1:3], "big") if wide else rest[0]
    start = 3 if wide else 1
    if wide and len(rest) == 3:
        return b"", size or 65_536
    if len(rest) < start + size or len(rest) > start + size + (2 if wide else 1):
        raise Word(WRONG_LENGTH)
    end = rest[start + size :]
    le = int.from_bytes(end, "big") or (65_536 if wide else 256)
    return rest[start : start + size], le
