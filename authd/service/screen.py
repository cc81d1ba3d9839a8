"""Keeps the web process alive, which shows the seat screens: it has the seats' keys and nothing else of the house's."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from authd.service.config import Config, SeatConfig
from authd.service.keys import CurvePair

FIRST_DELAY_S, LAST_DELAY_S = 0.25, 30.0
READY_WITHIN_S = 10.0
END_WITHIN_S = 0.5
TICK_S = 0.15
"""It beats every 0.1 s."""
SILENT_TICKS = 6
REST_S = 0.05
LONGEST_LINE = 4_096
GOOD_SERVICE_S = 10.0
log = logging.getLogger("authd.screen")


def settings(
    config: Config,
    server: CurvePair,
    key_file: Callable[[str], Path],
    ways: Callable[[SeatConfig], Sequence[str]] = lambda _: (),
) -> Mapping[str, object]:
    """Return what `authd.web.settings` expects. `key_file`: where a seat's own key lies; `ways`: what it offers."""
    return {
        "listen": f"{config.web_host}:{config.web_port}",
        "door": {"router": config.router, "server_key": server.public},
        "seats": [
            {
                "id": seat.id,
                "name_ja": seat.name_ja,
                "name_en": seat.name_en,
                "key_file": str(key_file(f"seat-{seat.id}")),
                "applications": [name for name in seat.applications if config.applications[name].url],
                "ways": list(ways(seat)),
            }
            for seat in config.seats.values()
        ],
        "applications": [
            {"id": each.name, "name_ja": each.name_ja, "name_en": each.name_en, "url": each.url}
            for each in config.applications.values()
            if each.url
        ],
        "frame_ancestors": list(config.frame_ancestors),
        "hosts": list(config.hosts),
        "sections": {name: {"ja": ja, "en": en} for name, (ja, en) in config.sections.items()},
    }


class Screen:
    """The supervised web process. `run` belongs into the daemon's TaskGroup."""

    def __init__(self, told: Mapping[str, object]) -> None:
        self._told = json.dumps(told).encode() + b"\n"
        self._process: asyncio.subprocess.Process | None = None
        self.ready = asyncio.Event()
        """Set while the page is served."""

    @property
    def pid(self) -> int | None:
        """Process id of the web process that runs now."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Keep it alive until cancelled."""
        loop, delay = asyncio.get_running_loop(), FIRST_DELAY_S
        while True:
            began = loop.time()
            try:
                await self._live()
            except OSError as error:
                log.error("the web process cannot be started: %s", error)
            delay = FIRST_DELAY_S if loop.time() - began > GOOD_SERVICE_S else min(delay * 2, LAST_DELAY_S)
            await asyncio.sleep(delay)

    async def _live(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "authd.web", "--channel-fd", str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={"LANG": "C.UTF-8", "PATH": ""},
                start_new_session=True,
            )
            theirs.close()
            try:
                await self._serve(ours)
            finally:
                self.ready.clear()
                ours.close()  # which it takes as the word to end
                await asyncio.shield(_end(process))
                self._process = None

    async def _serve(self, channel: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(channel, self._told)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                answer = _answer(await _line(channel))
        except TimeoutError:
            answer = {"error": "it does not answer"}
        if answer.get("ready") is not True:
            log.error("the seat screen cannot be shown: %s", answer.get("error", "it ended"))
            return
        self.ready.set()
        gone = await self._gone(channel)
        log.error("the web process %s; another one follows", gone)

    async def _gone(self, channel: socket.socket) -> str:
        """Wait for as long as it beats. Ticks are counted and no clock is read: a busy core makes nobody look hung."""
        silent = 0
        while silent < SILENT_TICKS:
            try:
                async with asyncio.timeout(TICK_S):
                    if not await asyncio.get_running_loop().sock_recv(channel, 4_096):
                        return "has ended"
                silent = 0
                await asyncio.sleep(REST_S)  # one that floods us gets no more turns than one that beats
            except TimeoutError:
                if self._stopped():
                    return "was stopped by a signal"
                silent += 1
            except OSError:
                return "has ended"
        return "hangs"

    def _stopped(self) -> bool:
        with suppress(ChildProcessError):
            return self.pid is not None and os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG) is not None
        return False


async def _line(channel: socket.socket) -> bytes:
    """Read up to the first line's end; what there is when the channel ends, or when it is too long."""
    line = b""
    while b"\n" not in line and len(line) < LONGEST_LINE:
        with suppress(ConnectionError):
            chunk = await asyncio.get_running_loop().sock_recv(channel, LONGEST_LINE)
            line += chunk
            if chunk:
                continue
        break
    return line.partition(b"\n")[0]


def _answer(line: bytes) -> Mapping[str, object]:
    """Read what the web process says; it parses HTTP, so nothing of it is taken on trust."""
    try:
        answer: object = json.loads(line or b"{}")
    except (ValueError, RecursionError):
        answer = None
    return cast("Mapping[str, object]", answer) if isinstance(answer, dict) else {"error": "it answers nonsense"}


async def _end(process: asyncio.subprocess.Process) -> None:
    """Give it a moment to end by itself; one that is stopped or hangs does not, and is killed."""
    try:
        async with asyncio.timeout(END_WITHIN_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
