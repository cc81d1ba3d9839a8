"""Step 4: a picture of veins as 32 x 64 bits, and its form on the wire.

Wire form, 266 bytes: `AV`, version 1, profile code, quality in 255ths, 0, CRC-32 (big-endian) of all else, 256 bytes of
bits: rows from the upper to the lower side, in each the columns from the left, lowest bit first. The checksum finds
accidents; forgery is the sealed store's and the sandbox's matter.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from authd.driver import DriverError, Fault

if TYPE_CHECKING:
    import numpy.typing as npt

ROWS, COLUMNS = 32, 64
TEMPLATE_BYTES = ROWS * COLUMNS // 8
VERSION = 1
_HEAD = struct.Struct(">2sBBBx")
_SUM = struct.Struct(">I")
WIRE_BYTES = _HEAD.size + _SUM.size + TEMPLATE_BYTES
FEWEST, MOST = ROWS * COLUMNS // 50, ROWS * COLUMNS * 4 // 5
"""Bits set that a picture of veins can have; an empty or full map would be like everything."""


@dataclass(frozen=True, slots=True)
class Template:
    """The features of one sample. bits: 256 bytes; profile: code of the sensor's profile; quality: 0 to 1."""

    profile: int
    quality: float
    bits: bytes


def pool(pixels: npt.NDArray[np.bool_]) -> bytes:
    """Shrink a map to 32 x 64 (a cell is set where any of its pixels is) and pack it."""
    height, width = pixels.shape
    cells = pixels.reshape(ROWS, height // ROWS, COLUMNS, width // COLUMNS).any(axis=(1, 3))
    return np.packbits(cells, axis=1, bitorder="little").tobytes()


def pack(template: Template) -> bytes:
    """Write the wire form."""
    head = _HEAD.pack(b"AV", VERSION, template.profile, round(255 * template.quality))
    return head + _SUM.pack(zlib.crc32(template.bits, zlib.crc32(head))) + template.bits


def parse(data: bytes) -> Template:
    """Read the wire form. Raises `DriverError` (`Fault.PROTOCOL`) for anything else, in constant time and memory."""
    if len(data) != WIRE_BYTES:
        raise DriverError(Fault.PROTOCOL, f"a probe of {WIRE_BYTES} bytes is expected")
    head, bits = data[: _HEAD.size], data[-TEMPLATE_BYTES:]
    magic, version, profile, quality = _HEAD.unpack(head)
    if magic != b"AV" or version != VERSION or head[-1]:
        raise DriverError(Fault.PROTOCOL, "a probe of version 1 is expected")
    if _SUM.unpack_from(data, _HEAD.size)[0] != zlib.crc32(bits, zlib.crc32(head)):
        raise DriverError(Fault.PROTOCOL, "the checksum does not fit")
    if not FEWEST <= int.from_bytes(bits).bit_count() <= MOST:
        raise DriverError(Fault.PROTOCOL, "this is no picture of veins")
    return Template(profile, quality / 255, bytes(bits))
