"""What reaches the simulated key below CBOR: packets of CTAPHID, and APDUs of U2F."""

from __future__ import annotations

from collections.abc import Iterator

from authd_simulators.fido_key import Key, Memory
from authd_simulators.fido_key.framing import BROADCAST, PACKET, Assembler, Hid, packets
from authd_simulators.fido_key.status import CtapError
from authd_simulators.fido_key.u2f import answer_u2f

_MEMORY = Key(seed=1).memory.pack()


def one(data: bytes) -> None:
    """First byte even: packets, as they come out they go in again; odd: an APDU, which is always answered."""
    if not data:
        return
    if data[0] % 2:
        key = Key(memory=Memory.unpack(_MEMORY), seed=1)
        key.presence.hand.auto = True
        assert len(answer_u2f(key, data[1:])) >= 2
        return
    assembler = Assembler()
    for start in range(1, len(data) - PACKET + 1, PACKET):
        message = assembler.feed(data[start : start + PACKET])
        if message is not None and message.command != Hid.INIT:
            again = Assembler()
            *_, whole = [again.feed(each) for each in packets(message.channel, message.command, message.body)]
            assert whole == message


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant."""
    return isinstance(error, CtapError)


def seeds() -> Iterator[bytes]:
    """Yield messages of several packets, and each command of U2F."""
    yield b"\0" + b"".join(packets(BROADCAST, Hid.INIT, bytes(8)))
    yield b"\0" + b"".join(packets(7, Hid.CBOR, bytes(150)) + packets(7, Hid.CANCEL, b""))
    yield b"\1" + bytes.fromhex("00030000")
    yield b"\1" + bytes.fromhex("00010300000040") + bytes(64) + b"\0\0"
    yield b"\1" + bytes.fromhex("0002070000") + (65 + 16).to_bytes(2, "big") + bytes(64) + b"\x10" + bytes(16)
