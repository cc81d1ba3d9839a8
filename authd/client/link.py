"""One connection to the door: a Unix stream socket with JSON lines, or a DEALER socket with CURVE.

A connection is used until it fails once, then thrown away: whoever holds it dials another. So what was sent on it is
either answered on it or known to be unanswered, and a restarted daemon is never taken for the one before.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from authd.client.values import ClientError, DoorError

if TYPE_CHECKING:
    import zmq.asyncio

LONGEST = 1 << 20
"""Bytes of an answer."""
HEARTBEAT_MS = 500
SILENCE_MS = 2_000


class Gone(ClientError):
    """The daemon is not there, or has not been heard for 2 s. Whoever asks who is at a seat must take it for nobody."""


class Channel(Protocol):
    """A connection. After `Gone` was raised once it is good for nothing but `close`."""

    async def send(self, frame: bytes) -> None:
        """Send one JSON object. Raises `Gone`."""
        ...

    async def receive(self) -> bytes:
        """Return the next JSON object. Cancelling it loses none. Raises `Gone`; `DoorError` for an unknown key."""
        ...

    def close(self) -> None:
        """Drop the connection; safe to call twice."""
        ...


class Dialler(Protocol):
    """Opens connections to one door."""

    async def dial(self) -> Channel:
        """Open a connection. Raises `Gone`; `DoorError` where this account may not."""
        ...

    def close(self) -> None:
        """Release what the connections shared."""
        ...


def dialler(address: str, key: str | Path | None, server_key: str | Path | None) -> Dialler:
    """Choose the transport by the address: `unix:<path>`, `ipc://<path>` or `tcp://<host>:<port>`."""
    if address.startswith("unix:"):
        return UnixDialler(address.removeprefix("unix:"))
    if not address.startswith(("ipc://", "tcp://")):
        raise ValueError("an address is unix:<path>, ipc://<path> or tcp://<host>:<port>")
    if key is None or server_key is None:
        raise ValueError("the router needs key (this peer's secret) and server_key (the door's public key)")
    return CurveDialler(address, _key(key, -1), _key(server_key, 0))


def _key(key: str | Path, line: int) -> bytes:
    """Return a z85 key: given as such, or as a file of authd's (public key, then on a second line the secret one)."""
    text = key if isinstance(key, str) else key.read_text("ascii").split()[line]
    if len(text) != 40:
        raise ValueError("a CURVE key is 40 characters of z85; its file is given as a Path")
    return text.encode("ascii")


class UnixDialler:
    """The local socket; the kernel tells the door who we are."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def dial(self) -> Channel:
        """Connect. Raises `Gone`; `DoorError` where this account may not."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=LONGEST)
        except PermissionError as error:
            raise DoorError("not_permitted", f"{self._path} is not for this account") from error
        except OSError as error:
            raise Gone(str(error)) from error
        return _UnixChannel(reader, writer)

    def close(self) -> None:
        """Nothing is shared."""


class _UnixChannel:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, frame: bytes) -> None:
        try:
            self._writer.write(frame + b"\n")
            await self._writer.drain()
        except OSError as error:
            raise Gone(str(error)) from error

    async def receive(self) -> bytes:
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as error:
            raise Gone(str(error)) from error
        if not line.endswith(b"\n"):
            raise Gone("the door closed the connection")
        return line

    def close(self) -> None:
        self._writer.transport.abort()


class CurveDialler:
    """The router. The peer is its key; the door's public key is known beforehand, so nobody can stand in for it."""

    def __init__(self, address: str, secret: bytes, server_key: bytes) -> None:
        import zmq

        self._address = address
        self._secret = secret
        self._public: bytes = zmq.curve_public(secret)
        self._server_key = server_key
        self._context: zmq.asyncio.Context | None = None

    async def dial(self) -> Channel:
        """Begin to connect; the channel's first answer shows whether it worked."""
        import zmq
        import zmq.asyncio

        self._context = self._context or zmq.asyncio.Context()
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        socket.maxmsgsize = LONGEST
        socket.handshake_ivl = SILENCE_MS
        socket.heartbeat_ivl = HEARTBEAT_MS
        socket.heartbeat_timeout = SILENCE_MS
        socket.reconnect_ivl = 50
        socket.curve_secretkey = self._secret
        socket.curve_publickey = self._public
        socket.curve_serverkey = self._server_key
        channel = _CurveChannel(socket)
        try:
            socket.connect(self._address)
        except zmq.ZMQError as error:
            channel.close()
            raise Gone(str(error)) from error
        return channel

    def close(self) -> None:
        """Close every socket of this door."""
        if self._context is not None:
            self._context.destroy(linger=0)


class _CurveChannel:
    """libzmq would reconnect behind our back, to a daemon that knows nothing of our streams: its monitor tells."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        import zmq

        self._socket = socket
        self._error: ClientError | None = None
        self._waiting: asyncio.Future[Any] | None = None
        self._kept: bytes | None = None
        events = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        self._monitor = socket.get_monitor_socket(events)
        self._listen()

    async def send(self, frame: bytes) -> None:
        import zmq

        if self._error is not None:
            raise self._error
        try:
            await self._socket.send(frame, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise Gone(str(error)) from error

    async def receive(self) -> bytes:
        import zmq

        if self._error is not None:
            raise self._error
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept
        self._waiting = waiting = cast("asyncio.Future[Any]", self._socket.recv())
        try:
            return cast("bytes", await waiting)
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._kept = waiting.result()  # it came in the very moment in which nobody waited any longer
            raise
        except zmq.ZMQError as error:
            raise Gone(str(error)) from error
        finally:
            self._waiting = None

    def close(self) -> None:
        if not self._socket.closed:
            self._socket.disable_monitor()
            self._monitor.close(0)
            self._socket.close(0)

    def _listen(self) -> None:
        future = cast("asyncio.Future[Any]", self._monitor.recv_multipart())
        future.add_done_callback(self._heard)

    def _heard(self, future: asyncio.Future[Any]) -> None:
        import zmq

        if future.cancelled() or future.exception() is not None:
            return
        number = int.from_bytes(future.result()[0][:2], "little")
        if number == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._fail(DoorError("not_permitted", "the door does not know this key"))
        elif number == zmq.EVENT_DISCONNECTED:
            self._fail(Gone("the door closed the connection"))
        if not self._monitor.closed:
            self._listen()

    def _fail(self, error: ClientError) -> None:
        self._error = self._error or error
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(self._error)
