"""The other door: a ZeroMQ ROUTER with CURVE, on ipc and, where configured, tcp. An application is its public key."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

import zmq
import zmq.asyncio

from authd.core.model import MILLISECOND, Instant
from authd.service.bus import wire
from authd.service.bus.door import Conversation
from authd.service.bus.house import DoorError, Error, Peer, Peers
from authd.service.bus.outbox import Hung
from authd.service.bus.tap import Tap
from authd.service.bus.verbs import Desk
from authd.service.bus.zap import Gate, guard, key_of, send_now

log = logging.getLogger("authd.bus")

MOST_CONNECTIONS: Final = 512
MOST_PER_KEY: Final = 32
TURN: Final = 32
"""Messages before others have their turn: zmq.asyncio does not yield while messages are there."""
RETRY_S: Final = 0.005
"""ROUTER cannot say when one peer's queue has room again."""
HANDSHAKE_NS: Final = 2_500 * MILLISECOND
"""A little longer than libzmq gives a handshake."""


class Router:
    """Serves its endpoints until it is cancelled."""

    def __init__(
        self, desk: Desk, peers: Peers, secret: bytes, endpoints: Sequence[str], tap_endpoints: Sequence[str] = ()
    ) -> None:
        """`secret`: the door's CURVE secret key, z85. `tap_endpoints`: where the live tap is bound, if anywhere."""
        self._desk = desk
        self._peers = peers
        self._secret = secret
        self._endpoints = endpoints
        self._tap_endpoints = tap_endpoints
        self._lines: dict[bytes, _Line] = {}
        self.ready = asyncio.Event()
        """Set once connections are taken."""

    async def run(self) -> None:
        """Bind and serve. Raises `DoorError` where an endpoint cannot be bound."""
        context = zmq.asyncio.Context()
        try:
            gate = Gate(context, self._peers)
            socket = self._socket(context)
            monitor = _monitor(context, socket)
            tap = self._tap(context)
            with self._desk.outlet.locks(lambda lock: self._desk.tickets.end(lock.session)):
                async with asyncio.TaskGroup() as group:
                    group.create_task(gate.run())
                    group.create_task(self._count_strangers(monitor))
                    if tap is not None:
                        group.create_task(tap.run())
                    _bind(socket, self._endpoints)
                    self.ready.set()
                    await self._receive(socket, group)
        finally:
            context.destroy(linger=0)

    def _socket(self, context: zmq.asyncio.Context) -> zmq.asyncio.Socket:
        socket = context.socket(zmq.ROUTER)
        guard(socket, self._secret)
        socket.router_mandatory = 1
        return socket

    def _tap(self, context: zmq.asyncio.Context) -> Tap | None:
        if not self._tap_endpoints:
            return None
        socket = context.socket(zmq.XPUB)
        guard(socket, self._secret)
        _bind(socket, self._tap_endpoints)
        return Tap(self._desk, self._peers, socket)

    async def _receive(self, socket: zmq.asyncio.Socket, group: asyncio.TaskGroup) -> None:
        count = 0
        while True:
            frames = await socket.recv_multipart(copy=False)
            self._hear(frames, socket, group)
            count += 1
            if count % TURN == 0:
                await asyncio.sleep(0)

    def _hear(self, frames: list[zmq.Frame], socket: zmq.asyncio.Socket, group: asyncio.TaskGroup) -> None:
        key = key_of(frames[-1])
        if len(frames) != 2 or key is None:
            self._desk.tally.malformed += 1
            return
        line = self._line(frames[0].bytes, key, socket, group)
        if line is not None:
            line.heard_at = self._desk.clock.now()
            line.conversation.hear(frames[1].bytes)

    def _line(self, identity: bytes, key: str, socket: zmq.asyncio.Socket, group: asyncio.TaskGroup) -> _Line | None:
        """Return the connection's line. An identity that comes with another key is another connection."""
        line = self._lines.get(identity)
        if line is not None and line.key == key:
            return line
        if line is not None:
            line.conversation.close()
        if not self._make_room(key):
            self._desk.tally.busy += 1
            _Sender(socket, identity).try_send(wire.refusal(None, Error.BUSY, "too many connections"))
            return None
        self._lines[identity] = line = _Line(self._desk, self._peers, socket, identity, key, group, self._lines)
        return line

    def _make_room(self, key: str) -> bool:
        """Forget the idlest connection where there are too many; a peer that comes back is simply met again."""
        own = [line for line in self._lines.values() if line.key == key]
        if len(own) >= MOST_PER_KEY:
            return _forget_idlest(own)
        if len(self._lines) >= MOST_CONNECTIONS:
            return _forget_idlest(list(self._lines.values()))
        return True

    async def _count_strangers(self, monitor: zmq.asyncio.Socket) -> None:
        strangers = Strangers()
        while True:
            if await monitor.poll(1_000):
                strangers.note(int.from_bytes((await monitor.recv_multipart())[0][:2], "little"), self._now())
            self._desk.tally.unauthenticated += strangers.found(self._now())

    def _now(self) -> Instant:
        return self._desk.clock.now()


class Strangers:
    """Counts connections that never finished a handshake.

    libzmq tells of each that began and of each that succeeded, though not which; of failures it does not tell all:
    bytes that are no ZMTP end without a word.
    """

    def __init__(self) -> None:
        self._begun: deque[Instant] = deque()

    def note(self, event: int, now: Instant) -> None:
        """Hear one event of libzmq's monitor."""
        if event == zmq.EVENT_ACCEPTED:
            self._begun.append(now)
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED and self._begun:
            self._begun.popleft()

    def found(self, now: Instant) -> int:
        """Return how many more have turned out to be strangers."""
        before = len(self._begun)
        while self._begun and now - self._begun[0] > HANDSHAKE_NS:
            self._begun.popleft()
        return before - len(self._begun)


class _Sender:
    """The sending half of one connection. Implements `outbox.Wire`."""

    def __init__(self, socket: zmq.asyncio.Socket, identity: bytes) -> None:
        self._socket = socket
        self._identity = identity

    def offer(self, frame: bytes) -> bool:
        """Give the frame to libzmq, unless the peer's queue there is full. Raises `Hung`."""
        error = send_now(self._socket, [self._identity, frame])
        if error is None:
            return True
        if isinstance(error, zmq.Again):
            return False
        raise Hung(str(error))

    async def writable(self) -> None:
        """Wait a little."""
        await asyncio.sleep(RETRY_S)

    def try_send(self, frame: bytes) -> None:
        """Send, or not."""
        try:
            self.offer(frame)
        except Hung as error:
            log.debug("nobody to answer: %s", error)


class _Line:
    """One connection and its conversation."""

    def __init__(
        self,
        desk: Desk,
        peers: Peers,
        socket: zmq.asyncio.Socket,
        identity: bytes,
        key: str,
        group: asyncio.TaskGroup,
        lines: dict[bytes, _Line],
    ) -> None:
        self.key = key
        self.heard_at = Instant(0)
        self._peers = peers
        self._identity = identity
        self._lines = lines
        self.conversation = Conversation(desk, _Sender(socket, identity), self._peer, group, self._closed)

    def _peer(self) -> Peer | None:
        return self._peers.of_key(self.key)

    def _closed(self) -> None:
        if self._lines.get(self._identity) is self:
            del self._lines[self._identity]


def _forget_idlest(lines: list[_Line]) -> bool:
    idle = [line for line in lines if not line.conversation.unfinished]
    if not idle:
        return False
    min(idle, key=lambda line: line.heard_at).conversation.close()
    return True


def _monitor(context: zmq.asyncio.Context, socket: zmq.asyncio.Socket) -> zmq.asyncio.Socket:
    """Hear of handshakes. Without a high-water mark: libzmq's own thread would wait for us at one."""
    endpoint = "inproc://authd-door-monitor"
    monitor = context.socket(zmq.PAIR)
    monitor.rcvhwm = 0
    socket.monitor(endpoint, zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    monitor.connect(endpoint)
    return monitor


def _bind(socket: zmq.asyncio.Socket, endpoints: Sequence[str]) -> None:
    for endpoint in endpoints:
        try:
            with _umask(0o117):
                socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise DoorError(f"{endpoint}: {error}") from error


@contextmanager
def _umask(mask: int) -> Generator[None, None, None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
