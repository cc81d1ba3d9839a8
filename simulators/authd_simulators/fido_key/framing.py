"""CTAPHID packets (CTAP 2.1, 11.2.4): 64 bytes each, a message in one to 129 of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from authd_simulators.fido_key.profile import MAX_MESSAGE
from authd_simulators.fido_key.status import CtapError, Status

PACKET = 64
BROADCAST = 0xFFFFFFFF
_FIRST, _NEXT, _START = PACKET - 7, PACKET - 5, 0x80


class Hid(IntEnum):
    """Commands of the transport."""

    PING = 0x01
    MSG = 0x03
    INIT = 0x06
    WINK = 0x08
    CBOR = 0x10
    CANCEL = 0x11
    KEEPALIVE = 0x3B
    ERROR = 0x3F


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message of one channel."""

    channel: int
    command: int
    body: bytes


@dataclass(slots=True)
class _Partial:
    channel: int
    command: int
    length: int
    body: bytes
    sequence: int = 0


class FrameError(CtapError):
    """A packet that cannot be right; the transport answers its channel with the status."""

    def __init__(self, channel: int, status: Status) -> None:
        super().__init__(status)
        self.channel = channel


class Assembler:
    """Puts packets together, one message at a time."""

    def __init__(self) -> None:
        self._partial: _Partial | None = None

    @property
    def channel(self) -> int | None:
        """The channel of which a part of a message is here."""
        return self._partial.channel if self._partial is not None else None

    def drop(self) -> None:
        """Forget a part of a message."""
        self._partial = None

    def feed(self, packet: bytes) -> Message | None:
        """Take one packet and return the message that it completes. Raises `FrameError`."""
        channel = int.from_bytes(packet[:4], "big")
        if packet[4] & _START:
            return self._start(channel, packet)
        return self._go_on(channel, packet)

    def _start(self, channel: int, packet: bytes) -> Message | None:
        command, length = packet[4] & ~_START, int.from_bytes(packet[5:7], "big")
        if self._partial is not None and self._partial.channel != channel and command != Hid.INIT:
            raise FrameError(channel, Status.CHANNEL_BUSY)
        if self._partial is not None and self._partial.channel == channel and command != Hid.INIT:
            self.drop()
            raise FrameError(channel, Status.INVALID_SEQ)
        if length > MAX_MESSAGE:
            raise FrameError(channel, Status.INVALID_LENGTH)
        if command == Hid.INIT:  # it may come in the middle of another channel's message, and does not end that
            if channel == self.channel:
                self.drop()
            return Message(channel, command, packet[7 : 7 + min(length, _FIRST)])
        self._partial = _Partial(channel, command, length, packet[7:])
        return self._whole()

    def _go_on(self, channel: int, packet: bytes) -> Message | None:
        partial = self._partial
        if partial is None or partial.channel != channel:
            return None  # leftovers of what was aborted
        if packet[4] != partial.sequence:
            self.drop()
            raise FrameError(channel, Status.INVALID_SEQ)
        partial.sequence += 1
        partial.body += packet[5:]
        return self._whole()

    def _whole(self) -> Message | None:
        partial = self._partial
        if partial is None or len(partial.body) < partial.length:
            return None
        self.drop()
        return Message(partial.channel, partial.command, partial.body[: partial.length])


def packets(channel: int, command: int, body: bytes) -> list[bytes]:
    """Return the packets of a message, each 64 bytes."""
    head = channel.to_bytes(4, "big")
    first = head + bytes([_START | command]) + len(body).to_bytes(2, "big") + body[:_FIRST]
    rest = [body[start : start + _NEXT] for start in range(_FIRST, len(body), _NEXT)]
    return [each.ljust(PACKET, b"\0") for each in (first, *(head + bytes([n]) + part for n, part in enumerate(rest)))]
