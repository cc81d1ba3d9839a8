"""Command APDUs of ISO/IEC 7816-4, short and extended, and the status words that the key gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import reduce

MOST_SHORT, MOST_EXTENDED = 256, 65_536


class SW(IntEnum):
    """Status words."""

    OK = 0x9000
    MORE_DATA = 0x6100
    UPDATE = 0x9100
    """FIDO over NFC: still busy; ask again."""
    LENGTH = 0x6700
    CONDITIONS = 0x6985
    DATA = 0x6A80
    NOT_FOUND = 0x6A82
    PARAMETERS = 0x6A86
    INSTRUCTION = 0x6D00
    CLASS = 0x6E00


class ApduError(Exception):
    """The command ends with this status word and no data."""

    def __init__(self, sw: SW) -> None:
        super().__init__(sw.name)
        self.sw = sw


@dataclass(frozen=True, slots=True)
class Apdu:
    """A command: header, data, and how many bytes of response it has room for."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int = MOST_SHORT

    @property
    def chained(self) -> bool:
        """Whether more of the same command follows."""
        return bool(self.cla & 0x10)


def parse(raw: bytes) -> Apdu:
    """Read a command APDU of any of the seven cases. Raises `ApduError`."""
    if len(raw) < 4:
        raise ApduError(SW.LENGTH)
    data, le = _body(raw[4:])
    return Apdu(raw[0], raw[1], raw[2], raw[3], data, le)


def _body(body: bytes) -> tuple[bytes, int]:
    if not body:
        return b"", MOST_SHORT
    if len(body) == 1:
        return b"", body[0] or MOST_SHORT
    if body[0] == 0 and len(body) >= 3:
        return _extended(body[1:])
    return _split(body[1:], body[0], 1, MOST_SHORT)


def _extended(body: bytes) -> tuple[bytes, int]:
    number = int.from_bytes(body[:2], "big")
    if len(body) == 2:
        return b"", number or MOST_EXTENDED
    return _split(body[2:], number, 2, MOST_EXTENDED)


def _split(rest: bytes, length: int, width: int, most: int) -> tuple[bytes, int]:
    data, tail = rest[:length], rest[length:]
    if len(data) != length or len(tail) not in (0, width):
        raise ApduError(SW.LENGTH)
    return data, int.from_bytes(tail, "big") or most


def contactless_atr(historical: bytes) -> bytes:
    """Return the ATR that a reader makes up for a contactless card (PC/SC part 3, 3.1.3.2.3)."""
    body = bytes([0x80 | len(historical), 0x80, 0x01]) + historical
    return b"\x3b" + body + bytes([reduce(lambda check, byte: check ^ byte, body)])
