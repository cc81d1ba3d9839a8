"""CTAPHID (CTAP 2.1, 11.2): channels, one transaction at a time, keep-alives, cancel."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from authd_simulators.fido_key.framing import BROADCAST, Assembler, FrameError, Hid, Message, packets
from authd_simulators.fido_key.key import Key
from authd_simulators.fido_key.presence import KEEPALIVE_S, PROCESSING, now_ns
from authd_simulators.fido_key.rubbish import hid_packets
from authd_simulators.fido_key.status import Status, Unplugged
from authd_simulators.fido_key.u2f import answer_u2f

MESSAGE_S = 0.5
MOST_CHANNELS = 64
VERSION = bytes([2, 1, 0, 0])
WINK, CBOR = 1, 4


class HidTransport:
    """One plugged-in key: packets go in by `feed`, and out by `write`, several at once; `tick` each 50 ms."""

    def __init__(self, key: Key, write: Callable[[bytes], None]) -> None:
        self._key = key
        self._write = write
        self._assembler = Assembler()
        self._channels: list[int] = []
        self._busy: int | None = None
        """The channel whose command the key carries out."""
        self._turn = 0
        self._status = PROCESSING
        self._fed_ns = self._told_ns = 0
        self._lock = threading.RLock()
        self.winks = 0
        self.message_s = MESSAGE_S

    def feed(self, packet: bytes) -> None:
        """Take a packet of 64 bytes."""
        self._fed_ns = now_ns()
        try:
            message = self._assembler.feed(packet)
            if message is not None:
                self._take(message)
        except FrameError as error:
            self._fail(error.channel, error.status)

    def tick(self) -> None:
        """Give a sign of life while the key is busy, and end messages of which the rest does not come."""
        now = now_ns()
        channel = self._assembler.channel
        if channel is not None and now - self._fed_ns > self.message_s * 1e9:
            self._assembler.drop()
            self._fail(channel, Status.TIMEOUT)
        with self._lock:
            late = now - self._told_ns >= KEEPALIVE_S * 1e9
            if self._busy is not None and late and not self._key.trouble.hangs:
                self._keepalive(self._turn, self._status)

    def _take(self, message: Message) -> None:
        if message.command == Hid.INIT:
            self._init(message)
            return
        if message.channel not in self._channels:
            self._fail(message.channel, Status.INVALID_CHANNEL)
        elif message.command == Hid.CANCEL:
            if self._busy == message.channel:
                self._key.cancel()
        elif self._busy is not None:
            self._fail(message.channel, Status.CHANNEL_BUSY)
        else:
            self._begin(message)

    def _init(self, message: Message) -> None:
        if len(message.body) != 8:
            self._fail(message.channel, Status.INVALID_LENGTH)
            return
        channel = message.channel
        if channel == BROADCAST:
            channel = self._new_channel()
        elif channel not in self._channels:
            self._fail(channel, Status.INVALID_CHANNEL)
            return
        elif self._busy == channel:
            self._abort()
        body = message.body + channel.to_bytes(4, "big") + VERSION + bytes([WINK | CBOR])
        self._send(message.channel, Hid.INIT, body)

    def _new_channel(self) -> int:
        """Return a channel that is free; the oldest one is given up when there are too many."""
        channel = secrets.randbelow(BROADCAST - 1) + 1
        self._channels = [*self._channels[1 - MOST_CHANNELS :], channel]
        return channel

    def _begin(self, message: Message) -> None:
        match message.command:
            case Hid.PING:
                self._send(message.channel, Hid.PING, message.body)
            case Hid.WINK:
                self.winks += 1
                self._send(message.channel, Hid.WINK, b"")
            case Hid.CBOR | Hid.MSG:
                with self._lock:
                    self._turn += 1
                    self._busy, self._status, self._told_ns = message.channel, PROCESSING, now_ns()
                threading.Thread(target=self._work, args=(message, self._turn), name="ctaphid", daemon=True).start()
            case _:
                self._fail(message.channel, Status.INVALID_COMMAND)

    def _work(self, message: Message, turn: int) -> None:
        """Carry out a command in a thread of its own, while packets still come in."""
        try:
            if message.command == Hid.CBOR:
                answer = self._key.call(message.body, lambda status: self._told(turn, status))
            else:
                answer = answer_u2f(self._key, message.body)
        except Unplugged:
            return
        with self._lock:
            if turn == self._turn and self._busy is not None:
                self._busy = None
                hostile = self._key.trouble.strike_wire(hid_packets(message.channel))
                if hostile is not None:
                    self._write(hostile)
                else:
                    self._send(message.channel, message.command, answer)

    def _told(self, turn: int, status: int) -> None:
        with self._lock:
            if self._status != status:
                self._keepalive(turn, status)

    def _keepalive(self, turn: int, status: int) -> None:
        if turn == self._turn and self._busy is not None:
            self._status, self._told_ns = status, now_ns()
            self._send(self._busy, Hid.KEEPALIVE, bytes([status]))

    def _abort(self) -> None:
        with self._lock:
            self._turn += 1
            self._busy = None
        self._key.cancel()

    def _fail(self, channel: int, status: Status) -> None:
        self._send(channel, Hid.ERROR, bytes([status]))

    def _send(self, channel: int, command: int, body: bytes) -> None:
        with self._lock:
            self._write(b"".join(packets(channel, command, body)))
