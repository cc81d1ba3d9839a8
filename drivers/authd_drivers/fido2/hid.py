"""CTAPHID over one open hidraw device (CTAP 2.1, section 11.2): every wait has an end, and can be stopped at once.

python-fido2's own transport reads without a deadline, takes answers meant for other programs for its own (hidraw gives
each reader every packet), and asks a busy key for ever; so the packets are ours, and its commands are used above them.

Parsers: `parse_descriptor`, `Assembler.feed`.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable, Iterator
from typing import Final

from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.hid import CTAPHID

from authd.driver import DriverError, Fault
from authd_drivers.fido2.errand import Cancelled, Gone, Stop

MAX_MESSAGE: Final = 7_609
PACKET: Final = 64
BROADCAST: Final = 0xFFFFFFFF
SILENT_SECONDS: Final = 3.0
"""Between two packets; a key that works says so ten times a second."""
WHOLE_SECONDS: Final = 90.0
"""One command, the wait for the person included: keys end it after 30 s."""
CANCEL_SECONDS: Final = 0.25
_FIDO_PAGE, _FIDO_USAGE = 0xF1D0, 0x01
_MAX_DESCRIPTOR, _START = 4_096, 0x80
_SIZES = (0, 1, 2, 4)


def parse_descriptor(data: bytes) -> bool:
    """Whether a HID report descriptor (HID 1.11, section 6.2.2) is a FIDO key's with packets of 64 bytes.

    Raises `DriverError` with `Fault.PROTOCOL` for one that is none.
    """
    if not 0 < len(data) <= _MAX_DESCRIPTOR:
        raise DriverError(Fault.PROTOCOL, "HID descriptor: too long, or none")
    page = usage = size = count = 0
    sizes = dict[int, int]()
    for tag, value in _items(data):
        match tag:
            case 0x04:
                page = page or value
            case 0x08:
                usage = usage or value
            case 0x74:
                size = value
            case 0x94:
                count = value
            case 0x80 | 0x90:
                sizes.setdefault(tag, size * count)
            case _:
                pass
    return (page, usage) == (_FIDO_PAGE, _FIDO_USAGE) and sizes == {0x80: PACKET * 8, 0x90: PACKET * 8}


def _items(data: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(data):
        head, size = data[at], _SIZES[data[at] & 3]
        if head == 0xFE or at + 1 + size > len(data):  # long items are reserved, and nobody uses them
            raise DriverError(Fault.PROTOCOL, "HID descriptor: cut short")
        yield head & 0xFC, int.from_bytes(data[at + 1 : at + 1 + size], "little")
        at += 1 + size


class Assembler:
    """Puts the packets of one channel together; those of other channels are other programs'."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._command, self._length, self._sequence = 0, 0, 0
        self._body: bytearray | None = None

    def feed(self, packet: bytes) -> tuple[int, bytes] | None:
        """Take one packet; return command and payload of the message that it completes. Raises `DriverError`."""
        if len(packet) != PACKET:
            raise DriverError(Fault.PROTOCOL, "packet: 64 bytes are expected")
        channel, kind = struct.unpack_from(">IB", packet)
        if channel != self._channel:
            return None
        if kind & _START:
            self._command, self._length = kind & ~_START, int.from_bytes(packet[5:7], "big")
            if self._length > MAX_MESSAGE:
                raise DriverError(Fault.PROTOCOL, "message: too long")
            self._sequence, self._body = 0, bytearray(packet[7:])
        elif self._body is None:
            return None  # the rest of what was given up before
        elif kind != self._sequence:
            raise DriverError(Fault.PROTOCOL, "message: out of order")
        else:
            self._sequence += 1
            self._body += packet[5:]
        if len(self._body) < self._length:
            return None
        body, self._body = bytes(self._body[: self._length]), None
        return self._command, body


def packets(channel: int, command: int, body: bytes) -> Iterator[bytes]:
    """Cut a message into packets."""
    head = struct.pack(">IBH", channel, _START | command, len(body))
    yield (head + body[: PACKET - 7]).ljust(PACKET, b"\0")
    for number, at in enumerate(range(PACKET - 7, len(body), PACKET - 5)):
        yield (struct.pack(">IB", channel, number) + body[at : at + PACKET - 5]).ljust(PACKET, b"\0")


class HidKey(CtapDevice):
    """A key behind an open, non-blocking descriptor, for the time of one errand, on a channel of its own."""

    def __init__(self, fd: int, stop: Stop) -> None:
        """Begin. Raises `Gone`, `Cancelled`, `DriverError`."""
        self._fd, self._stop = fd, stop
        self._channel = BROADCAST
        self._pending = b""
        self._give_up: float | None = None
        """Until when an answer is still read after the key was told to stop."""
        nonce = os.urandom(8)
        answer = self._exchange(CTAPHID.INIT, nonce, lambda body: body[:8] == nonce)
        if len(answer) < 17:
            raise DriverError(Fault.PROTOCOL, "INIT: 17 bytes are expected")
        self._channel, self._capabilities = int.from_bytes(answer[8:12], "big"), answer[16]

    @property
    def capabilities(self) -> int:
        """What the key says that it can do."""
        return self._capabilities

    def call(
        self, cmd: int, data: bytes = b"", event: object = None, on_keepalive: Callable[[STATUS], None] | None = None
    ) -> bytes:
        """Carry out one command. Raises `CtapError`, `Gone`, `Cancelled`, `DriverError`."""
        del event  # the errand's own flag stops it
        return self._exchange(cmd, data, lambda _: True, on_keepalive)

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        """Find nothing: a reader knows its one device."""
        return iter(())

    def _exchange(
        self,
        command: int,
        body: bytes,
        wanted: Callable[[bytes], bool],
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        assembler, whole = Assembler(self._channel), _now() + WHOLE_SECONDS
        for packet in packets(self._channel, command, body):
            self._write(packet)
        while True:
            message = assembler.feed(self._packet(min(whole, _now() + SILENT_SECONDS)))
            if message is None:
                continue
            if self._stop:
                raise Cancelled
            kind, answer = message
            if kind == CTAPHID.KEEPALIVE and on_keepalive is not None and answer[:1] in (b"\1", b"\2"):
                on_keepalive(STATUS(answer[0]))
            elif kind == CTAPHID.ERROR:
                raise CtapError(answer[0] if answer else 0x7F)
            elif kind == command and wanted(answer):
                return answer
            elif kind not in (CTAPHID.KEEPALIVE, command):
                raise DriverError(Fault.PROTOCOL, "an answer to another command")

    def _write(self, packet: bytes) -> None:
        try:
            os.write(self._fd, b"\0" + packet)  # the number of the report
        except BlockingIOError:
            raise DriverError(Fault.TIMEOUT, "the key takes nothing") from None
        except OSError:
            raise Gone from None

    def _packet(self, deadline: float) -> bytes:
        """Return the next packet: hidraw gives one a read, a pty whatever is there."""
        while len(self._pending) < PACKET:
            self._wait(deadline)
            try:
                data = os.read(self._fd, PACKET - len(self._pending))
            except BlockingIOError:
                continue
            except OSError:
                raise Gone from None
            if not data:
                raise Gone
            self._pending += data
        packet, self._pending = self._pending, b""
        return packet

    def _wait(self, deadline: float) -> None:
        """Wait for the device, or for the stop, which the key is told of once. Raises at the deadline."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if self._stop and self._give_up is None:
            self._give_up = _now() + CANCEL_SECONDS
            if self._channel != BROADCAST:  # before there is a channel nothing is to be cancelled, and a key may object
                self._write(next(packets(self._channel, CTAPHID.CANCEL, b"")))
        if self._give_up is None:
            poll.register(self._stop, select.POLLIN)
        left = min(deadline, self._give_up or deadline) - _now()
        if left <= 0 or not poll.poll(left * 1000):
            if self._stop:
                raise Cancelled
            raise DriverError(Fault.TIMEOUT, "the key says nothing")


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
