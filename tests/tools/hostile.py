"""A client that asks far more often than anybody may, from an address of its own (127.0.0.2), and reads what it must.

    python -m tests.tools.hostile PORT RATE SECONDS TLS

Prints `begun`, then how many requests it has sent.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from contextlib import suppress

CONNECTIONS = 50
TICK_S = 0.02
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nRemote-User: staff_9999\r\nCookie: __Host-authd-resident=forged\r\n\r\n"
)


async def one(port: int, rate: float, ends: float, context: ssl.SSLContext | None) -> int:
    """Send at a rate on one connection, and on another one when that is closed; return how many were sent."""
    sent = 0
    while time.perf_counter() < ends:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=("127.0.0.2", 0))
            reading = asyncio.ensure_future(_read(reader))
            began, here = time.perf_counter(), 0
            try:
                while (now := time.perf_counter()) < ends and not reading.done():
                    batch = round(rate * (now - began)) - here
                    writer.write(REQUEST * batch)
                    async with asyncio.timeout(1):
                        await writer.drain()
                    here += batch
                    sent += batch
                    await asyncio.sleep(TICK_S)
            except TimeoutError:
                pass
            finally:
                reading.cancel()
                writer.transport.abort()
    return sent


async def _read(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(65_536):
            pass


async def main() -> None:
    """Do it."""
    port, rate, seconds, tls = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "1"
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    print("begun", flush=True)
    ends = time.perf_counter() + seconds
    sent = await asyncio.gather(*(one(port, rate / CONNECTIONS, ends, context) for _ in range(CONNECTIONS)))
    print(sum(sent), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
