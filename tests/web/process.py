"""Starts the web process as the core does."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

PATIENCE_S = 60.0


class Started:
    """A web process and our end of its channel."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.process = process
        self.channel = channel

    def answer(self) -> dict[str, Any]:
        self.channel.settimeout(PATIENCE_S)
        line: dict[str, Any] = json.loads(self.channel.recv(4_096))
        return line


@contextmanager
def started(raw: bytes) -> Generator[Started, None, None]:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", "-m", "authd.web", "--channel-fd", str(theirs.fileno())]
    with ours, subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL) as process:
        theirs.close()
        try:
            ours.sendall(raw)
            yield Started(process, ours)
        finally:
            process.kill()
