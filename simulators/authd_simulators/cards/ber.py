"""BER-TLV as the simulated cards write and read it; nothing shared with the driver's."""

from __future__ import annotations


def ber(tag: int, value: bytes) -> bytes:
    """Return one object. `tag`: as it is written, `0x5FC101`."""
    name = tag.to_bytes((tag.bit_length() + 7) // 8, "big")
    size = len(value)
    if size < 0x80:
        length = bytes([size])
    else:
        length = b"\x81" + bytes([size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    return name + length + value


def unber(data: bytes) -> list[tuple[int, bytes]]:
    """Return the objects of one-byte tags that `data` is made of. Raises `ValueError`."""
    found = list[tuple[int, bytes]]()
    rest = memoryview(data)
    while rest:
        if len(rest) < 2 or rest[0] & 0x1F == 0x1F:
            raise ValueError("no tag of one byte, or no length")
        wide = rest[1] - 0x80 if rest[1] > 0x80 else 0
        if wide > 2 or rest[1] == 0x80 or len(rest) < 2 + wide:
            raise ValueError("no length")
        size = int.from_bytes(rest[2 : 2 + wide], "big") if wide else rest[1]
        start = 2 + wide
        if len(rest) < start + size:
            raise ValueError("cut short")
        found.append((rest[0], bytes(rest[start : start + size])))
        rest = rest[start + size :]
    return found
