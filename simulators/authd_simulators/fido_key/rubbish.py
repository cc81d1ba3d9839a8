"""What a hostile key sends: CBOR, HID packets and APDUs that no platform should trust, each for another reason."""

from __future__ import annotations

import hashlib

from authd_simulators.fido_key.framing import PACKET, Hid

GARBAGE = (
    b"\x00\xbf" + b"\x01\xbf" * 500,  # maps without an end, nested
    b"\x00\xa1\x01" + b"\x81" * 4_000,  # arrays too deep for a recursive reader
    b"\x00\x5b\xff\xff\xff\xff\xff\xff\xff\xff",  # a string of 16 EiB
    b"\x00\xbb\x00\x00\x00\x7f\xff\xff\xff\xff",  # a map that announces half a billion pairs
    b"\x00\xa2\x01\x01\x01\x02",  # a key twice
    b"\x00\xa1\x03\x63\xff\xfe\xfd",  # text that is none
    b"\x00",
    b"",
    b"\x00" + hashlib.shake_128(b"noise").digest(300),
)
"""Answers that say success, and then hold what no key should send."""

APDUS = (
    b"",
    b"\x90",  # half a status word
    b"\x91\x00",  # busy, but not with what
    b"\x61\x00",  # more to come, for ever
    bytes(254) + b"\x61\xff",
    b"\xff\x91\x00",
    b"\x6f\x00",
    bytes(70_000 - 65_536) + b"\x90\x00",  # far more than was asked for
)


def hid_packets(channel: int) -> tuple[bytes, ...]:
    """Return hostile packets for a platform that waits on this channel."""
    mine, other = channel.to_bytes(4, "big"), (channel ^ 1).to_bytes(4, "big")

    def packet(head: bytes) -> bytes:
        return head.ljust(PACKET, b"\xff")

    cbor = bytes([0x80 | Hid.CBOR])
    return (
        packet(other + cbor + b"\x00\x01\x00"),  # another's answer
        packet(mine + cbor + b"\xff\xff\x00") + packet(mine + b"\x05"),  # 64 KiB announced, out of order
        packet(mine + b"\x00"),  # goes on with nothing
        packet(mine + bytes([0x80 | Hid.KEEPALIVE]) + b"\x00\x01\x77"),  # a state that is none
        packet(mine + bytes([0x80 | Hid.ERROR]) + b"\x00\x00"),
        packet(mine + b"\xbc\x00\x01"),  # a command that is none
        packet(mine + cbor + b"\x00\x00"),  # success without a status
    )
