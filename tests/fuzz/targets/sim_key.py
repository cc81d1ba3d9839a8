"""What is sent to the simulated key: CBOR of CTAP2, a few commands one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from authd_simulators.fido_key import Key, Memory
from authd_simulators.fido_key.cbor import decode, encode
from authd_simulators.fido_key.status import CtapError, Unplugged

_FRESH = Key(seed=1)
_MEMORY = _FRESH.memory.pack()
RP = {"id": "office.example", "name": "Office"}
MAKE = {
    1: bytes(32),
    2: RP,
    3: {"id": b"sub_1", "name": "sub_1"},
    4: [{"alg": -7, "type": "public-key"}],
    7: {"rk": True},
}


def one(data: bytes) -> None:
    """Say each command, and read it as CBOR: the key answers every one, and what it reads it would write the same."""
    key = Key(memory=Memory.unpack(_MEMORY), seed=1)
    key.presence.hand.auto = True
    for command in _commands(data):
        key.call(command)
        if len(command) > 1:
            assert encode(decode(command[1:])) == command[1:]


def _commands(data: bytes) -> Iterator[bytes]:
    """Yield commands of a length of two bytes each."""
    while len(data) > 2:
        length = int.from_bytes(data[:2], "big")
        yield data[2 : 2 + length]
        data = data[2 + length :]


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant."""
    return isinstance(error, CtapError | Unplugged)


def seeds() -> Iterator[bytes]:
    """Yield commands that the key carries out."""
    pin = {1: 2, 2: 2}
    get = {1: RP["id"], 2: bytes(32)}
    made = b"\1" + encode(MAKE)
    yield _said(b"\4")
    yield _said(made, b"\2" + encode(get), b"\x08")
    yield _said(b"\6" + encode(pin), b"\6" + encode({2: 1}))
    yield _said(b"\x0a" + encode({1: 1}))
    yield _said(b"\x0c" + encode({1: 64, 3: 0}))
    yield _said(b"\x09" + encode({1: 1, 2: 7}), b"\x0b")


def _said(*commands: bytes) -> bytes:
    return b"".join(len(command).to_bytes(2, "big") + command for command in commands)
