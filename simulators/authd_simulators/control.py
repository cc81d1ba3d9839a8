"""The bench's text control: one command a line, one line back, `ok ...` or `error ...`.

Anybody who can write to the socket plays the devices; it lies in the bench's own directory, mode 0600.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

MAX_LINE = 4_096
MAX_CLIENTS = 32
MAX_ANSWER = 1 << 20
Obey = Callable[[str], Awaitable[str]]


class ControlSocket:
    """A Unix socket that hands each line to `obey` and writes back what it returns."""

    def __init__(self, path: Path, obey: Obey) -> None:
        self.path = path
        self._obey = obey
        self._clients = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. A socket left over by a bench that died is replaced."""
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path, limit=MAX_LINE)
        self.path.chmod(0o600)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients >= MAX_CLIENTS:
            writer.write(b"error too many clients\n")
            writer.close()
            return
        self._clients += 1
        try:
            await self._talk(reader, writer)
        except OSError:
            pass
        finally:
            self._clients -= 1
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                writer.write(b"error the line is too long\n")
                return
            if not line:
                return
            writer.write((await self._obey(line.decode("utf-8", "replace"))).encode() + b"\n")
            await writer.drain()


async def command(path: Path, line: str, timeout_s: float = 70) -> str:
    """Send one command and return the answer's line. Raises `OSError`, `TimeoutError`."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_unix_connection(path, limit=MAX_ANSWER)
        try:
            writer.write(" ".join(line.split()).encode() + b"\n")
            answer = await reader.readline()
        finally:
            writer.close()
    if not answer:
        raise ConnectionResetError("the bench hung up")
    return answer.decode("utf-8", "replace").rstrip("\n")


def ok(value: object = "") -> str:
    """Return the line that says yes; anything but text as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"ok {text}".rstrip()


def error(text: str) -> str:
    """Return the line that says no, and why, as one line whatever the text."""
    return "error " + " ".join(text.split())
