"""The live tap: an XPUB socket for dashboards. It may lose; its beats carry the last number, so that this is seen.

Topics are `<the subscriber's own public key>/<seat>`, and nobody is subscribed to anything else: each follower's events
are signed for it and hold what its scope allows. Whoever must not miss an event uses `follow`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Final

import msgspec
import zmq
import zmq.asyncio

from authd.core.model import SeatId
from authd.service.bus.envelope import enclose, visible
from authd.service.bus.house import Peer, Peers, Role
from authd.service.bus.outlet import Lock
from authd.service.bus.verbs import Desk
from authd.service.bus.zap import key_of, send_now

log = logging.getLogger("authd.bus")

BEAT_S: Final = 0.5
_SUBSCRIBE: Final = b"\x01"


class Tap:
    """Publishes to whoever listens now."""

    def __init__(self, desk: Desk, peers: Peers, socket: zmq.asyncio.Socket) -> None:
        self._desk = desk
        self._peers = peers
        self._socket = socket
        socket.setsockopt(zmq.XPUB_MANUAL, 1)

    async def run(self) -> None:
        """Publish until cancelled."""
        with self._desk.outlet.locks(self._lock):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._admit())
                group.create_task(self._beats())
                await self._events()

    async def _events(self) -> None:
        async for recorded in self._desk.source.follow(self._desk.source.head):
            for key, peer in self._applications():
                seat = recorded.entry.seat
                if seat is not None and visible(recorded, peer):
                    event = enclose(recorded, peer, self._desk.house)
                    self._send(topic(key, seat), self._desk.signer.sign(event, peer.name))

    async def _beats(self) -> None:
        while True:
            for key, _ in self._applications():
                self._send(topic(key), msgspec.json.encode({"beat": self._desk.source.head}))
            await asyncio.sleep(BEAT_S)

    def _lock(self, lock: Lock) -> None:
        told = {"session": lock.session, "seat": lock.seat, "reason": lock.reason.value}
        for key, peer in self._applications():
            if peer.has(lock.seat):
                self._send(topic(key, lock.seat), msgspec.json.encode({"lock": told}))

    async def _admit(self) -> None:
        """Subscribe each peer to topics of its own key, and to no other."""
        while True:
            frame = await self._socket.recv(copy=False)
            request, key = frame.bytes, key_of(frame)
            subscribes, wanted = request[:1] == _SUBSCRIBE, request[1:]
            if key is not None and wanted.startswith(topic(key)):
                self._socket.setsockopt(zmq.SUBSCRIBE if subscribes else zmq.UNSUBSCRIBE, wanted)
            elif subscribes:
                self._desk.tally.unauthorised += 1

    def _applications(self) -> Iterator[tuple[str, Peer]]:
        return ((key, peer) for key, peer in self._peers.live() if peer.role is Role.APPLICATION)

    def _send(self, on: bytes, body: bytes) -> None:
        error = send_now(self._socket, [on, body])
        if error is not None:
            log.debug("the tap lost a message: %s", error)


def topic(key: str, seat: SeatId | str = "") -> bytes:
    """Return the topic of one subscriber's seat; without a seat, of its beats and of everything."""
    return f"{key}/{seat}".encode()
