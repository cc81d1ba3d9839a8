"""What the crew and its workers say to each other: u32 little-endian length and MessagePack, over a socket pair."""

from __future__ import annotations

import socket
from typing import Any

import msgspec

from authd.service.evidence.trace.tally import Outcome

LONGEST = 64 << 20
_LENGTH = 4


class Begin(msgspec.Struct, frozen=True, tag=True):
    """First word to a worker: what it may read, whose prints, its bounds."""

    folder: bytes
    prints: tuple[str, ...]
    key: bytes
    parent: int
    heap_mb: int
    """Beyond what a worker has when it is ready."""
    seconds: float
    """For one file."""


class Task(msgspec.Struct, frozen=True, tag=True):
    """A file to read. path: absolute, in the folder; name: for people."""

    number: int
    path: bytes
    name: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The worker stands in its sandbox."""

    in_force: tuple[str, ...]
    missing: tuple[str, ...]


class Done(msgspec.Struct, frozen=True, tag=True):
    """A file's outcome. peak_kb: the most memory the worker has held."""

    outcome: Outcome
    peak_kb: int


class Lost(Exception):
    """The other side is gone, or says what nobody says."""


class Line:
    """One side of the pair."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def send(self, word: Begin | Task | Ready | Done) -> None:
        """Send a word. Raises `Lost`."""
        body = msgspec.msgpack.encode(word)
        try:
            self._channel.sendall(len(body).to_bytes(_LENGTH, "little") + body)
        except OSError as error:
            raise Lost(str(error)) from None

    def receive(self, kinds: Any) -> Any:
        """Return the next word of one of these kinds. Raises `Lost`, `TimeoutError`."""
        length = int.from_bytes(self._exactly(_LENGTH), "little")
        if length > LONGEST:
            raise Lost("too long")
        try:
            return msgspec.msgpack.decode(self._exactly(length), type=kinds)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Lost(str(error)) from None

    def _exactly(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            try:
                piece = self._channel.recv(min(count - len(found), 1 << 20))
            except TimeoutError:
                raise
            except OSError as error:
                raise Lost(str(error)) from None
            if not piece:
                raise Lost("closed")
            found += piece
        return bytes(found)
