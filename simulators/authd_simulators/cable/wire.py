"""Frames of the cable, without any I/O: u32 length, one letter, u32 number of the question, body."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

MAX_WIDTH = 1280
MAX_HEIGHT = 1024
_HEAD = struct.Struct(">I")
_ANSWER = struct.Struct(">cI")
_SIZE = struct.Struct(">HHBc")
LAMPS = b"10s"
"""Lamp states, a letter each: the one above is lit, none is, the one beside the camera is."""
MAX_ANSWER = _ANSWER.size + _SIZE.size + MAX_WIDTH * MAX_HEIGHT
MAX_ASK = 64


class CableError(Exception):
    """The other end does not keep to the frames."""


class Want(Enum):
    """What a driver may ask for."""

    FINGER = b"F"
    """A picture of the next finger that comes down."""
    FRAME = b"N"
    """Another picture of the finger that is down."""
    BURST = b"M"
    """As many more as the body has letters of `LAMPS`, under those lamps; one answer each, or one that it is gone."""
    LIFTED = b"L"
    """An answer once no finger is down."""
    NOTHING = b"X"
    """Forget the question before."""
    PRESENCE = b"W"
    """Whether somebody is there; the body is what the driver believes (b"1", b"0", b"?"), answered once it differs."""


class Say(Enum):
    """What a device may answer."""

    READY = b"H"
    BUSY = b"B"
    """Another driver holds the device."""
    SUSPENDED = b"S"
    BEAT = b"."
    IMAGE = b"I"
    """Body: u16 width, u16 height, u8 depth in bits, a letter of `LAMPS`, then the rows."""
    GONE = b"G"
    """The finger was lifted before another picture could be taken."""
    UP = b"U"
    PRESENT = b"P"
    """Body: b"1" somebody, b"0" nobody."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A driver's question."""

    want: Want
    number: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """A device's answer; number 0 where nothing was asked."""

    say: Say
    number: int
    body: bytearray


def frame(payload: bytes) -> bytes:
    """Put the length in front."""
    return _HEAD.pack(len(payload)) + payload


def frame_length(head: bytes | bytearray | memoryview, most: int) -> int:
    """Return the length of the payload that follows four bytes of head. Raises `CableError` if it is out of bounds."""
    (length,) = _HEAD.unpack(head)
    if not _ANSWER.size <= length <= most:
        raise CableError(f"a frame of {length} bytes")
    return int(length)


def pack_ask(ask: Ask) -> bytes:
    """Return the whole frame of a question."""
    return frame(_ANSWER.pack(ask.want.value, ask.number) + ask.body)


def parse_ask(payload: bytes) -> Ask:
    """Read a question's payload. Raises `CableError`."""
    letter, number = _ANSWER.unpack_from(payload)
    try:
        return Ask(Want(letter), number, payload[_ANSWER.size :])
    except ValueError:
        raise CableError("an unknown question") from None


def pack_answer(say: Say, number: int = 0, body: bytes = b"") -> bytes:
    """Return the whole frame of an answer."""
    return frame(_ANSWER.pack(say.value, number) + body)


def parse_answer(payload: memoryview) -> Answer:
    """Read an answer's payload into a buffer of its own. Raises `CableError`."""
    letter, number = _ANSWER.unpack_from(payload)
    try:
        return Answer(Say(letter), number, bytearray(payload[_ANSWER.size :]))
    except ValueError:
        raise CableError("an unknown answer") from None


def pack_image(number: int, width: int, height: int, pixels: bytes, lamp: bytes = b"1") -> bytes:
    """Return the whole frame of an 8-bit picture."""
    return pack_answer(Say.IMAGE, number, _SIZE.pack(width, height, 8, lamp) + pixels)


def image_size(body: bytearray) -> tuple[int, int, int]:
    """Return (width, height, offset of the first pixel) once the header and the length agree. Raises `CableError`."""
    if len(body) < _SIZE.size:
        raise CableError("a picture without a header")
    width, height, depth, lamp = _SIZE.unpack_from(body)
    if depth != 8 or lamp not in LAMPS or not 0 < width <= MAX_WIDTH or not 0 < height <= MAX_HEIGHT:
        raise CableError(f"a picture of {width}x{height}, {depth} bits")
    if len(body) != _SIZE.size + width * height:
        raise CableError("a picture whose length is not its size")
    return width, height, _SIZE.size


def image_lamp(body: bytearray) -> bytes:
    """Return the letter of the lamp of a picture that `image_size` has found to be one."""
    return bytes(_SIZE.unpack_from(body)[3])
