"""A card on vsmartcard's virtual reader: the client end of what pcscd's `vpcd` driver speaks over TCP.

    slot = Slot(card)            # any `Card`: a PIV applet, a key behind NFC framing
    slot.insert()                # the reader now sees a card; raises ConnectionError if nobody listens
    slot.remove()

A frame is a 16-bit big-endian length and that many bytes. From the reader one byte is a control code, more are an APDU.
The card stays in the slot when pcscd dies, and is there again when pcscd is back.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Protocol

PORT = 0x8C7B
SLOTS = 2
"""Debian's `vpcd` offers two slots, on this port and the next."""
AGAIN_S = 0.05
CONNECT_S = 5.0

_OFF, _ON, _RESET, _ATR = b"\0", b"\1", b"\2", b"\4"


class Card(Protocol):
    """What lies in the slot. Called from one thread at a time."""

    @property
    def atr(self) -> bytes:
        """The answer to reset, 2 to 33 bytes."""
        ...

    def power(self, on: bool, /) -> None:
        """Take note that the field or the contacts went on or off; all state that needs power is lost at either."""
        ...

    def transmit(self, apdu: bytes, /) -> bytes:
        """Answer a command APDU with a response APDU, status word included."""
        ...


class Slot:
    """One slot of the virtual reader, served by a thread of its own while a card is in it."""

    def __init__(self, card: Card, host: str = "127.0.0.1", port: int = PORT) -> None:
        self.card = card
        self.address = (host, port)
        self._connected = threading.Event()
        self._out = threading.Event()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def inserted(self) -> bool:
        """Whether the card is in the slot, whatever pcscd may think."""
        return self._thread is not None

    @property
    def connected(self) -> bool:
        """Whether the reader knows of the card at this moment."""
        return self._connected.is_set()

    def insert(self, wait_s: float = CONNECT_S) -> None:
        """Put the card in. Raises `ConnectionError` if the reader did not take it within `wait_s`."""
        if self._thread is None:
            self._out.clear()
            self._thread = threading.Thread(target=self._stay, name="vpcd", daemon=True)
            self._thread.start()
        if not self._connected.wait(wait_s):
            self.remove()
            raise ConnectionError(f"no virtual reader listens on {self.address[0]}:{self.address[1]}")

    def remove(self) -> None:
        """Take the card out: the connection ends in the middle of whatever was going on."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._out.set()
        self._hang_up()
        if thread is not threading.current_thread():
            thread.join(CONNECT_S)

    def _stay(self) -> None:
        while not self._out.is_set():
            with suppress(OSError), socket.create_connection(self.address, CONNECT_S) as line:
                self._serve(line)
            self._connected.clear()
            self._out.wait(AGAIN_S)

    def _serve(self, line: socket.socket) -> None:
        self._socket = line
        line.settimeout(None)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # As in a reader's field. pcscd overlooks a swap between two of its looks, and then sends no power-on either.
        self.card.power(True)
        self._connected.set()
        try:
            while not self._out.is_set() and (frame := _frame(line)) is not None:
                answer = self._answer(frame)
                if answer is not None:
                    line.sendall(len(answer).to_bytes(2, "big") + answer)
        finally:
            self._socket = None
            self.card.power(False)

    def _answer(self, frame: bytes) -> bytes | None:
        if len(frame) > 1:
            return self.card.transmit(frame)
        if frame == _ATR:
            return self.card.atr
        if frame in (_ON, _OFF, _RESET):
            self.card.power(False)
            if frame != _OFF:
                self.card.power(True)
        return None

    def _hang_up(self) -> None:
        line = self._socket
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


def _frame(line: socket.socket) -> bytes | None:
    """Return the next frame, or None when the reader hung up."""
    head = _exactly(line, 2)
    return None if head is None else _exactly(line, int.from_bytes(head, "big"))


def _exactly(line: socket.socket, length: int) -> bytes | None:
    data = b""
    while len(data) < length:
        # Without it the kernel delays its acknowledgement, and vpcd's two small writes cost 40 ms an APDU.
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = line.recv(length - len(data))
        if not part:
            return None
        data += part
    return data
