"""The local door: a Unix stream socket with JSON lines. The kernel says who is at the other end (SO_PEERCRED)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import struct
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from authd.service.bus import wire
from authd.service.bus.door import Conversation
from authd.service.bus.house import DoorError, Error, Peer, Peers, Role
from authd.service.bus.outbox import Hung
from authd.service.bus.verbs import Desk

log = logging.getLogger("authd.bus")

MOST_CONNECTIONS: Final = 128
MOST_OF_ONE: Final = 32
"""Connections of one account that is no administrator's: the others keep room for theirs."""
KEPT: Final = 16
"""Connections that are the administrators' alone: whatever the accounts do, somebody can look."""
FIRST_WORD_S: Final = 10.0
"""How long a connection may stay silent before its first request."""
BACKLOG: Final = 512
UNSENT: Final = 65_536
"""Bytes in the process that wait for the kernel, per connection."""
REST_S: Final = 0.05
"""How long a connection is not read once it has asked more often than it may."""
TURN: Final = 32
"""Requests of one connection before others have their turn."""
_CREDENTIALS: Final = struct.Struct("iII")


class SocketTaken(DoorError):
    """Another daemon listens there, or the path is not ours to take."""


class Local:
    """Serves the local socket until it is cancelled. Whoever is not an admin of `peers` is refused at once."""

    def __init__(
        self,
        desk: Desk,
        peers: Peers,
        path: Path,
        group: int | None = None,
        children: Callable[[], Collection[int | None]] = frozenset,
    ) -> None:
        """`group`: number of the group whose members may connect too; None: the daemon's own account and root alone.

        `children`: process ids that are never served, though they run under the daemon's own account.

        A confined child may be able to connect (Landlock knows Unix sockets by path from ABI 9 on): no administrator.
        """
        self._desk = desk
        self._children = children
        self._peers = peers
        self._path = path
        self._group = group
        self._lines: list[_Line] = []
        self._resume: asyncio.TimerHandle | None = None
        self.ready = asyncio.Event()
        """Set once connections are taken."""

    async def run(self) -> None:
        """Listen and serve. Raises `SocketTaken`."""
        with _listening(self._path, self._group) as listener:
            async with asyncio.TaskGroup() as group:
                self._open(listener, group)
                self.ready.set()
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    self._close(listener)

    def _open(self, listener: socket.socket, group: asyncio.TaskGroup) -> None:
        self._resume = None
        asyncio.get_running_loop().add_reader(listener, self._accept, listener, group)

    def _accept(self, listener: socket.socket, group: asyncio.TaskGroup) -> None:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptor left: wait for one, the door stays open
            log.warning("a connection could not be taken: %s", error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            self._resume = loop.call_later(REST_S, self._open, listener, group)
            return
        self._meet(connection, group)

    def _close(self, listener: socket.socket) -> None:
        """Close what tasks that never began would leave open."""
        asyncio.get_running_loop().remove_reader(listener)
        if self._resume is not None:
            self._resume.cancel()
        for line in self._lines:
            line.hang_up()

    def _meet(self, connection: socket.socket, group: asyncio.TaskGroup) -> None:
        pid, uid = peer(connection)
        known = self._peers.of_uid(uid)
        if known is None or pid in self._children():
            self._desk.tally.unauthenticated += 1
            _dismiss(connection, wire.refusal(None, Error.NOT_PERMITTED, "not for this account"))
        elif not (self._has_share(uid, known) and self._make_room(known)):
            self._desk.tally.busy += 1
            _dismiss(connection, wire.refusal(None, Error.BUSY, "too many connections"))
        else:
            line = _Line(self._desk, connection, uid)
            self._lines.append(line)
            group.create_task(self._serve(line, uid, group))

    def _has_share(self, uid: int, known: Peer) -> bool:
        """Whether one more of this account leaves room for the others."""
        return known.role is Role.ADMIN or sum(line.uid == uid for line in self._lines) < MOST_OF_ONE

    def _make_room(self, known: Peer) -> bool:
        """Let a connection that has never spoken give way to a new one."""
        if len(self._lines) < MOST_CONNECTIONS - (0 if known.role is Role.ADMIN else KEPT):
            return True
        silent = next((line for line in self._lines if not line.spoken), None)
        if silent is None:
            return False
        self._lines.remove(silent)
        silent.hang_up()
        return True

    async def _serve(self, line: _Line, uid: int, group: asyncio.TaskGroup) -> None:
        try:
            await line.open()
            conversation = Conversation(self._desk, line, lambda: self._peers.of_uid(uid), group, line.hang_up)
            try:
                await line.listen(conversation)
            finally:
                conversation.close()
        except (OSError, DoorError) as error:
            log.debug("a local connection broke: %s", error)
        finally:
            line.hang_up()
            if line in self._lines:
                self._lines.remove(line)


class _Line:
    """One connection. Implements `outbox.Wire`."""

    def __init__(self, desk: Desk, connection: socket.socket, uid: int) -> None:
        self._desk = desk
        self.uid = uid
        self._connection = connection
        self._writer: asyncio.StreamWriter | None = None
        self.spoken = False

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._connection, limit=wire.LONGEST)

    async def listen(self, conversation: Conversation) -> None:
        """Hear requests until the peer goes; one that hurries is read more slowly."""
        count = 0
        async with asyncio.timeout(FIRST_WORD_S) as patience:
            while frame := await self._next():
                if not self.spoken:
                    self.spoken = True
                    patience.reschedule(None)
                if conversation.hurried():
                    await asyncio.sleep(REST_S)
                conversation.hear(frame)
                count += 1
                if count % TURN == 0:
                    await asyncio.sleep(0)

    async def _next(self) -> bytes:
        """Return the next line; nothing at the end, and after a line that is too long."""
        try:
            return (await self._reader.readuntil(b"\n"))[:-1] or b" "
        except asyncio.IncompleteReadError:
            return b""
        except asyncio.LimitOverrunError:
            self._desk.tally.oversized += 1
            self._last_word(wire.refusal(None, Error.BAD_REQUEST, "longer than 64 kB"))
            return b""

    def offer(self, frame: bytes) -> bool:
        """Take the frame unless `UNSENT` bytes wait already."""
        writer = self._writer
        if writer is None or writer.is_closing():
            raise Hung
        if writer.transport.get_write_buffer_size() > UNSENT:
            return False
        writer.write(frame + b"\n")
        return True

    async def writable(self) -> None:
        """Wait for the peer to read, a little at a time."""
        assert self._writer is not None
        try:
            async with asyncio.timeout(0.25):
                await self._writer.drain()
        except TimeoutError:
            return
        except OSError as error:
            raise Hung from error

    def _last_word(self, frame: bytes) -> None:
        with suppress(Hung):
            self.offer(frame)

    def hang_up(self) -> None:
        """Close; what the kernel has not taken yet is lost."""
        if self._writer is None:
            self._connection.close()
        elif self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()
        else:
            self._writer.close()


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process and the uid that made the connection, as the kernel saw them at that moment."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return pid, uid


@contextmanager
def _listening(path: Path, group: int | None) -> Generator[socket.socket, None, None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as listener:
        _clear(path)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
            if group is not None:
                os.chown(path, -1, group)  # first whose, then what: nobody of another group gets in meanwhile
                path.chmod(0o660)
        except OSError as error:
            raise SocketTaken(f"{path}: {error.strerror}") from error
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove the socket of a daemon that is gone. Raises `SocketTaken`."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketTaken(f"{path}: is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise SocketTaken(f"{path}: another daemon listens there")
    path.unlink()


def _dismiss(connection: socket.socket, frame: bytes) -> None:
    with connection, suppress(OSError):
        connection.setblocking(False)
        connection.send(frame + b"\n")
