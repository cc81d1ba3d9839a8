"""Which account of this machine is at the other end of a connection: the kernel's word, never the program's."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any, Final

_TABLES: Final = {socket.AF_INET: Path("/proc/self/net/tcp"), socket.AF_INET6: Path("/proc/self/net/tcp6")}
_ESTABLISHED: Final = "01"
"""A connection that is being closed is said to be root's."""


def uid(transport: asyncio.BaseTransport) -> int | None:
    """Return the account's number; None: it cannot be said (any more), or the other end is another machine."""
    connection: Any = transport.get_extra_info("socket")
    if connection is None:
        return None
    try:
        if connection.family == socket.AF_UNIX:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", credentials)[1])
        here, there = (
            _written(connection.family, *at[:2]) for at in (connection.getsockname(), connection.getpeername())
        )
        return _owner(_TABLES[connection.family].read_text("ascii"), there, here)
    except (OSError, KeyError):
        return None


def _owner(table: str, local: str, remote: str) -> int | None:
    """Find the other end's own line of the kernel's table (proc(5), /proc/pid/net/tcp)."""
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[1:4] == [local, remote, _ESTABLISHED]:
            return int(words[7])
    return None


def _written(family: int, host: str, port: int) -> str:
    """Write an address as the kernel does: 32-bit words of this machine's byte order, in hex."""
    packed = socket.inet_pton(family, host)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
