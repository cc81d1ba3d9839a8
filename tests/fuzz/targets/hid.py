"""What comes over the wires to a key: report descriptors and packets of CTAPHID, and APDUs of NFC."""

from __future__ import annotations

from collections.abc import Iterator

from authd.driver import DriverError, Fault
from authd.service.host.nodes import is_fido
from authd_drivers.fido2 import hid, nfc

CHANNEL = 7
KEY = bytes.fromhex("06d0f10901a1010920150026ff00750895408102092115002 6ff00750895409102c0".replace(" ", ""))


def one(data: bytes) -> None:
    """The first byte says what the rest is: a descriptor, packets, or a response APDU."""
    if not data:
        return
    match data[0] % 3:
        case 0:
            is_fido(data[1:])  # core looks first, and never raises
            assert not hid.parse_descriptor(data[1:]) or is_fido(data[1:])
        case 1:
            assembler = hid.Assembler(CHANNEL)
            for at in range(1, len(data), hid.PACKET):
                message = assembler.feed(data[at : at + hid.PACKET])
                assert message is None or len(message[1]) <= hid.MAX_MESSAGE
        case _:
            body, word = nfc.parse_apdu(data[1:])
            assert body + word.to_bytes(2, "big") == data[1:]


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant."""
    return isinstance(error, DriverError) and error.fault is Fault.PROTOCOL


def seeds() -> Iterator[bytes]:
    """Yield a key's descriptor, another device's, messages of one and several packets, and a response."""
    yield b"\0" + KEY
    yield b"\0" + bytes.fromhex("05010906a101050719e029e715002501750195088102c0")
    for command, body in ((0x10, bytes(150)), (0x3F, b"\6"), (0x3B, b"\2")):
        yield b"\1" + b"".join(hid.packets(CHANNEL, command, body))
    yield b"\2" + b"U2F_V2\x90\x00"
