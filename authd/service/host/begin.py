"""A child's life up to its first operation: one `Start` frame, the sandbox, and only then the code the frame names."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from authd.core.model import Fault
from authd.driver import DriverError
from authd.service.host import serving
from authd.service.host.frames import (
    TO_READER,
    TO_VERIFIER,
    Failed,
    Frame,
    FrameError,
    Hello,
    Splitter,
    Start,
    Table,
    encode,
    parse,
)
from authd.service.host.sandbox import SandboxError, confine

START_SECONDS = 10.0


def main(argv: Sequence[str]) -> int:
    """Serve until the channel closes; the exit code says only whether it was in order."""
    role, channel = argv[0], socket.socket(fileno=int(argv[1]))
    host_key = _read_key(int(argv[2])) if role == "verifier" else b""
    try:
        start = _receive_start(channel, TO_VERIFIER if role == "verifier" else TO_READER)
        report = confine(start.grants, packages=_packages(start), parent=start.parent, strict=start.strict)
        channel.sendall(encode(Frame(0, Hello(report.in_force, report.missing))))
        return serving.run(role, channel, start, host_key)
    except DriverError as error:
        return _last_word(channel, error.fault, error.detail)
    except SandboxError as error:
        return _last_word(channel, Fault.NOT_PERMITTED, f"sandbox: {error}")
    except (FrameError, OSError) as error:
        return _last_word(channel, Fault.PROTOCOL, str(error))


def _packages(start: Start) -> set[str]:
    """Top-level packages of the code that will be loaded; `authd_drivers`, since simulators run its extraction."""
    targets = [start.target, *start.comparators.values(), "authd", "authd_drivers"]
    return {target.partition(":")[0].partition(".")[0] for target in targets if target}


def _receive_start(channel: socket.socket, table: Table) -> Start:
    channel.settimeout(START_SECONDS)
    splitter = Splitter()
    while True:
        chunk = channel.recv(65_536)
        if not chunk:
            raise FrameError("core is gone")
        for body in splitter.feed(chunk):
            message = parse(body, table).message
            if not isinstance(message, Start):
                raise FrameError("Start is expected")
            return message


def _read_key(fd: int) -> bytes:
    """Read the host key from the descriptor that core opened and never read."""
    with os.fdopen(fd, "rb") as file:
        key = file.read(33)
    if len(key) != 32:
        raise SystemExit("the host key's file must hold 32 bytes")
    return key


def _last_word(channel: socket.socket, fault: Fault, detail: str) -> int:
    try:
        channel.sendall(encode(Frame(0, Failed(fault, detail[:500]))))
    except OSError:
        return 2
    return 1
