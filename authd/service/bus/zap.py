"""Who may finish a handshake: the ZAP handler (RFC 27) of exactly one domain, asked by libzmq for every connection."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import zmq
import zmq.asyncio
from zmq.utils import z85

from authd.service.bus.house import Peers

DOMAIN: Final = b"authd-seat"
"""libzmq asks only for sockets that name a domain; one without would let everybody in."""
_ENDPOINT: Final = "inproc://zeromq.zap.01"
_VERSION: Final = b"1.0"
_KEY_BYTES: Final = 32


class Gate:
    """Answers with the peer's key as its user id: every message then carries it, whatever the peer says."""

    def __init__(self, context: zmq.asyncio.Context, peers: Peers) -> None:
        self._peers = peers
        self._socket = context.socket(zmq.REP)
        self._socket.bind(_ENDPOINT)

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            while True:
                send_now(self._socket, self.judge(await self._socket.recv_multipart()))
        finally:
            self._socket.close(0)

    def judge(self, request: list[bytes]) -> list[bytes]:
        """Let a connection in that proves, in our domain, a key that somebody holds."""
        key = self._key(request)
        request_id = request[1] if len(request) > 1 else b""
        if key is None:
            return [_VERSION, request_id, b"400", b"not known here", b"", b""]
        return [_VERSION, request_id, b"200", b"", key.encode("ascii"), b""]

    def _key(self, request: list[bytes]) -> str | None:
        match request:
            case [_, _, domain, _, _, b"CURVE", raw] if domain == DOMAIN and len(raw) == _KEY_BYTES:
                key = str(z85.encode(raw), "ascii")
                return key if self._peers.of_key(key) is not None else None
            case _:
                return None


def guard(socket: zmq.asyncio.Socket, secret: bytes) -> None:
    """Make a socket a CURVE server of our domain, bounded in size, time and backlog, before it is bound."""
    socket.linger = 0
    socket.curve_server = 1
    socket.curve_secretkey = secret
    socket.zap_domain = DOMAIN
    socket.maxmsgsize = 65_536 + 1_024
    socket.handshake_ivl = 2_000
    socket.heartbeat_ivl = 1_000
    socket.heartbeat_timeout = 3_000
    socket.backlog = 1_024
    socket.sndhwm = socket.rcvhwm = 200


def key_of(frame: zmq.Frame) -> str | None:
    """Return the key that the connection of this message proved."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return None


def send_now(socket: zmq.asyncio.Socket, parts: list[bytes]) -> BaseException | None:
    """Send without waiting; returns what went wrong (`zmq.Again`: the queue is full), or None."""
    # With NOBLOCK zmq.asyncio returns a future that is done; its annotations do not say so.
    sent = cast("Any", socket).send_multipart(parts, zmq.NOBLOCK)
    return cast("asyncio.Future[object]", sent).exception()
