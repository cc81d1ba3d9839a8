"""`python -I -m authd.web`: the web process.

Started by the core with `--channel-fd N`, an inherited socket on which everything passes: the core writes its settings
as one line of JSON (`authd.web.settings`), the web answers one line, `{"ready": true, "address": "127.0.0.1:8780"}` or
`{"ready": false, "error": "..."}`, beats with an empty line, and ends when the core closes its end. By hand:
`--settings FILE`.
Exit status: 0 ended as asked, 1 the address cannot be had, 2 the settings cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from authd.client.tables import BadSettings
from authd.web.bus import BusDoor
from authd.web.server import Server, make_server
from authd.web.settings import MAX_SETTINGS_BYTES, Settings, read_settings

BEAT_S = 0.1
log = logging.getLogger("authd.web")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to end."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING)
    channel = None if arguments.channel_fd is None else socket.socket(fileno=arguments.channel_fd)
    try:
        raw = _read_line(channel) if channel else Path(arguments.settings).read_bytes()
        settings = read_settings(raw)
    except (BadSettings, OSError) as error:
        return _failed(channel, str(error), 2)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(settings, channel))
    except OSError as error:
        return _failed(channel, str(error), 1)
    return 0


async def _run(settings: Settings, channel: socket.socket | None) -> None:
    async with BusDoor(settings) as door:
        server, listener = make_server(settings, door, _announcer(channel))
        if channel is not None:
            channel.setblocking(False)
            asyncio.get_running_loop().add_reader(channel, _hang_up, channel, server)
        with listener:
            await server.serve(sockets=[listener])


def _beat(channel: socket.socket) -> None:
    """Let the core see that this loop still turns."""
    with contextlib.suppress(OSError):
        channel.send(b"\n")
    asyncio.get_running_loop().call_later(BEAT_S, _beat, channel)


def _hang_up(channel: socket.socket, server: Server) -> None:
    """End with the core: nothing but the end of the channel is expected after the settings."""
    try:
        channel.recv(4_096)
    except BlockingIOError:
        return
    except OSError:
        log.warning("the core is gone")
    server.end()


def _announcer(channel: socket.socket | None) -> Callable[[str], None]:
    def ready(address: str) -> None:
        if channel is not None:
            _say(channel, {"ready": True, "address": address})
            _beat(channel)
        else:
            log.warning("the seat screen is at http://%s/", address)

    return ready


def _failed(channel: socket.socket | None, error: str, status: int) -> int:
    log.error("%s", error)
    if channel is not None:
        _say(channel, {"ready": False, "error": error})
    return status


def _say(channel: socket.socket, line: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        channel.sendall(json.dumps(line).encode() + b"\n")


def _read_line(channel: socket.socket) -> bytes:
    """Read up to the first line feed. Raises `BadSettings` when there is none within the limit or 10 s."""
    channel.settimeout(10)
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = channel.recv(4_096)
        line += chunk
        if not chunk or len(line) > MAX_SETTINGS_BYTES:
            raise BadSettings("no settings came through the channel")
    return bytes(line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m authd.web", description="The seat screen.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--channel-fd", type=int, metavar="N", help="inherited socket to the core")
    source.add_argument("--settings", metavar="FILE", help="settings as a JSON file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
