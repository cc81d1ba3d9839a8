"""An old application behind forward auth: a stage with its gateway, the application, and a person who comes in."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from authd_simulators.stage import Application, Stage, free_ports
from tests.e2e.town import SEAT, Town
from tests.tools.at_the_seat import AtTheSeat
from tests.tools.gateway_stage import free_port, stage_gateway
from tests.tools.howto import how_to
from tests.tools.proxies import HOST, PROXIES, Ports, any_certificate

RESIDENT = "resident"
COOKIE = f"__Host-authd-{RESIDENT}"
PATIENCE_S = 60.0
SILENCE_S, AFTERWARDS_S = 3.0, 0.4


class Office(AtTheSeat):
    """One seat, one old application, and a proxy's port for each kind of proxy."""

    def __init__(self, town: Town, ports: dict[str, Ports], log: Path) -> None:
        super().__init__(town)
        self.ports = ports
        self._log = log
        self._read = 0

    def ticket(self) -> str:
        """What the seat's screen would open the application with."""

        async def ask() -> str:
            async with self.town.stage.screen(SEAT) as screen:
                return (await screen.ticket(SEAT, RESIDENT)).ticket

        return self.town.do(ask)

    def come_in(self, kind: str) -> str:
        """Open the application through a proxy; returns the cookie, as a browser sends it."""
        port = self.ports[kind].proxy
        path = f"/.authd/open?ticket={self.ticket()}"
        answer = answer_of(port, f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 303"), answer[:2_000]
        head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        told = next(line for line in head if line.lower().startswith("set-cookie:"))
        return told.partition(":")[2].partition(";")[0].strip()

    def reached(self) -> list[dict[str, Any]]:
        """Return what has reached the application since the last call."""
        with suppress(FileNotFoundError):
            lines = self._log.read_text(encoding="utf-8").splitlines()
            fresh, self._read = lines[self._read :], len(lines)
            return [json.loads(line) for line in fresh]
        return []


@contextmanager
def office(*, framing: bool = False) -> Generator[Office, None, None]:
    """Set it up, as the how-to says; proxies are for the caller to start (`tests.tools.proxies.proxy`).

    The seat's screen opens the application through nginx. framing: a second gateway stands behind the proxies that put
    no script into pages, with guard = "frame" as their files say; otherwise all of them ask one.
    """
    application, gateway = free_port(), free_port()
    framer = free_port() if framing else gateway
    ports = {kind: Ports(free_port(), gateway if kind == "nginx" else framer, application) for kind in PROXIES}
    url = f"{ports['nginx'].origin}/.authd/open"
    system = Application(RESIDENT, "住民記録", "Residents", account="staff_{staff_number}", url=url)
    with Town(Stage(free_ports(), web=True, people=4, seats=[SEAT], systems=(system,))) as town:
        log = town.stage.folder / "application.jsonl"
        with running_application(application, log):
            text = settings(town.stage, ports["nginx"])
            town.do(lambda: stage_gateway(town.stage, gateway, text=text))
            if framing:
                framed = framed_settings(town.stage, ports["caddy"])
                town.do(lambda: stage_gateway(town.stage, framer, text=framed, name="framer"))
            yield Office(town, ports, log)


def settings(stage: Stage, ports: Ports) -> str:
    """Return the gateway's file of docs/how-to/forward-auth.md, with this stage's addresses in it."""
    keys = stage.folder / "state" / "keys" / "curve"
    text = how_to("forward-auth").file("gateway.toml")
    for old, new in {
        "127.0.0.1:8785": f"127.0.0.1:{ports.gateway}",
        "tcp://127.0.0.1:5555": f"ipc://{stage.folder}/run/router.sock",
        "gateway/router.key": str(keys / "router.key"),
        "gateway/app-resident.key": str(keys / f"app-{RESIDENT}.key"),
        "https://resident.city.example": ports.origin,
        "http://localhost:8780": screen_origin(stage),
    }.items():
        assert old in text, f"the how-to shows no {old}"
        text = text.replace(old, new)
    return text


def framed_settings(stage: Stage, ports: Ports) -> str:
    """Return the same with the table's guard = "frame"."""
    text, line = settings(stage, ports), 'start = "/"\n'
    assert line in text
    return text.replace(line, line + 'guard = "frame"\n')


def screen_origin(stage: Stage) -> str:
    """Under which the browser at the seat knows the seat's screen."""
    return f"http://127.0.0.1:{stage.ports.web}"


@contextmanager
def running_application(port: int, log: Path) -> Generator[None, None, None]:
    """Run the old application."""
    process = subprocess.Popen([sys.executable, "-m", "tests.tools.old_application", str(port), str(log)])
    try:
        ends = time.perf_counter() + PATIENCE_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None
            assert time.perf_counter() < ends, "the application does not listen"
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def answer_of(port: int, request: str) -> bytes:
    """Send a request after which the line is closed, and return the whole answer, however long it takes."""
    return exchange(port, request.encode(), silence_s=PATIENCE_S, afterwards_s=PATIENCE_S)


def exchange(port: int, raw: bytes, silence_s: float = SILENCE_S, afterwards_s: float = AFTERWARDS_S) -> bytes:
    """Send bytes over TLS; return whatever comes back until the end, or until nothing follows for a while."""
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain,
        any_certificate().wrap_socket(plain, server_hostname=HOST) as line,
    ):
        line.sendall(raw)
        line.settimeout(silence_s)
        answer = b""
        with suppress(OSError):
            while chunk := line.recv(65_536):
                answer += chunk
                line.settimeout(afterwards_s)
        return answer
