"""What one child may reach and use: a manifest with its reader's settings filled in, as it is sent to the child."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the child process.

    memory_mb: address space, mappings of libraries included; files: open descriptors; threads: 0 means none may be
    started (processes never may).
    """

    memory_mb: int = 256
    files: int = 32
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Grants:
    """Absolute paths only. devices: read, write, ioctl; read: files and folders; unix_sockets: connect."""

    devices: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    unix_sockets: tuple[str, ...] = ()
    limits: Limits = Limits()
