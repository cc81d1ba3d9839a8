"""Step 4: a picture of veins as 32 x 64 bits, and the record `AVT1` in which it is kept and sent.

272 bytes, big-endian: `AVT1`, version of the algorithm (1), finger code of ISO/IEC 19794 (0 in a probe), quality in
255ths, 0, id of the sensor's profile (4), 256 bytes of bits: rows from the upper to the lower side, in each the columns
from the left, lowest bit first; CRC-32 of all before it (4). The checksum finds accidents; forgery is the sealed
store's and the sandbox's matter.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from authd.driver import DriverError, Fault

if TYPE_CHECKING:
    import numpy.typing as npt

ROWS, COLUMNS = 32, 64
TEMPLATE_BYTES = ROWS * COLUMNS // 8
MAGIC = b"AVT1"
ALGORITHM = 1
"""Raised whenever the steps before this one change so that old templates would be compared with new probes in vain."""
_HEAD = struct.Struct(">4sBBBxI")
_SUM = struct.Struct(">I")
WIRE_BYTES = _HEAD.size + TEMPLATE_BYTES + _SUM.size
FEWEST, MOST = ROWS * COLUMNS // 50, ROWS * COLUMNS * 4 // 5
"""Bits set that a picture of veins can have; an empty or full map would be like everything."""
FINGERS = (
    "unknown",
    *(f"right_{name}" for name in ("thumb", "index", "middle", "ring", "little")),
    *(f"left_{name}" for name in ("thumb", "index", "middle", "ring", "little")),
)
"""Names by finger code (ISO/IEC 19794-1, finger positions)."""


@dataclass(frozen=True, slots=True)
class Template:
    """The features of one sample. profile: id of the sensor's profile; quality: 0 to 1; bits: 256 bytes.

    finger: its code, an index of `FINGERS`.
    """

    profile: int
    quality: float
    bits: bytes
    finger: int = 0


def pool(pixels: npt.NDArray[np.bool_]) -> bytes:
    """Shrink a map to 32 x 64 (a cell is set where any of its pixels is) and pack it."""
    height, width = pixels.shape
    cells = pixels.reshape(ROWS, height // ROWS, COLUMNS, width // COLUMNS).any(axis=(1, 3))
    return np.packbits(cells, axis=1, bitorder="little").tobytes()


def pack(template: Template) -> bytes:
    """Write the record."""
    head = _HEAD.pack(MAGIC, ALGORITHM, template.finger, round(255 * template.quality), template.profile)
    body = head + template.bits
    return body + _SUM.pack(zlib.crc32(body))


def parse(data: bytes) -> Template:
    """Read a record. Raises `DriverError` (`Fault.PROTOCOL`) for anything else, in constant time and memory."""
    if len(data) != WIRE_BYTES:
        raise DriverError(Fault.PROTOCOL, f"a template of {WIRE_BYTES} bytes is expected")
    magic, algorithm, finger, quality, profile = _HEAD.unpack_from(data)
    if magic != MAGIC or algorithm != ALGORITHM:
        raise DriverError(Fault.PROTOCOL, f"a template {MAGIC.decode()} of algorithm {ALGORITHM} is expected")
    if _SUM.unpack_from(data, WIRE_BYTES - _SUM.size)[0] != zlib.crc32(data[: -_SUM.size]):
        raise DriverError(Fault.PROTOCOL, "the checksum does not fit")
    bits = bytes(data[_HEAD.size : -_SUM.size])
    if finger >= len(FINGERS) or data[7] or not FEWEST <= int.from_bytes(bits).bit_count() <= MOST:
        raise DriverError(Fault.PROTOCOL, "this is no picture of veins")
    return Template(profile, quality / 255, bits, finger)


def of_finger(data: bytes, name: str) -> bytes:
    """Return the record with the code of a finger's name. Raises `DriverError` for a malformed record, `ValueError`."""
    return pack(replace(parse(data), finger=FINGERS.index(name)))
