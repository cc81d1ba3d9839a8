"""An emulator of the tests' own, that answers as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

Answers = Callable[[str], bytes | None]


@asynccontextmanager
async def scripted(answers: Answers) -> AsyncGenerator[int, None]:
    """Listen at a port; `answers` says what follows an action, None: nothing at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = answers(line.decode().rstrip("\n"))
                if answer is None:
                    await asyncio.Event().wait()
                    return
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


OK = b"U F U C(host) I 4 43 80 9 33 0x0 0.000\nok\n"


def shows(*rows: str) -> bytes:
    """A screen."""
    return "".join(f"data: {row}\n" for row in rows).encode() + OK
