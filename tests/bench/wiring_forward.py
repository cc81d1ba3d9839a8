"""Forward auth: how soon a lock refuses and covers, what a request costs more, what a hostile client does to others.

All of it through the real nginx, with the file of packaging/; the page is in a headless Chromium. Rates are requests by
the processor time that the gateway spent on them; what is added is the median of pairs, with and without the question.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, cast

from selenium import webdriver

from authd.client import Person
from tests.bench.report import Report
from tests.e2e.browser import Devtools, start
from tests.e2e.wiring.forged import OTHER, carry_out
from tests.tools.asking import request, status, tls
from tests.tools.forward_stage import Office, office
from tests.tools.gateway_stage import free_port
from tests.tools.proxies import PROXIES, Ports, any_certificate, proxy

LOCKS, FULL_LOCKS = 30, 300
COVERS, FULL_COVERS = 10, 100
"""So the 99th in a hundred is the worst one where few are tried."""
PAIRS, FULL_PAIRS = 300, 3_000
LOAD_S, FULL_LOAD_S = 1.0, 10.0
HOSTILE_S = 2.5
HOSTILE_RATE = 11_000
"""Asked for; what it comes to beside everybody else on this machine is printed."""
REFUSED_MS, COVERED_MS, ADDED_MS, RATE, OTHERS_MS = 50, 100, 1, 2_500, 250
NO_LIMIT = {"rate=200r/s": "rate=1000000r/s"}
FAST = """
keepalive_requests 10000000;
server {{
    listen 127.0.0.1:{upstream};
    location / {{ default_type text/html; return 200 "<html><head></head>ok</html>"; }}
}}
server {{
    listen 127.0.0.1:{bare} ssl;
    ssl_certificate {folder}/resident.pem;
    ssl_certificate_key {folder}/resident.key;
    location / {{
        proxy_pass http://127.0.0.1:{upstream};
        sub_filter "<head>" "<head><script src='/.authd/guard.js'></script>";
    }}
}}
"""
NOTE = """
new MutationObserver(() => {
  if (document.documentElement.dataset.authd !== "covered") return;
  requestAnimationFrame(() => { sessionStorage.covered = performance.timeOrigin + performance.now(); });
}).observe(document.documentElement, { attributeFilter: ["data-authd"] });
"""


def run(report: Report, *, full: bool) -> None:
    """Print the figures."""
    with ExitStack() as stack:
        made = stack.enter_context(office())
        stack.enter_context(proxy("nginx", _folder(stack), made.ports["nginx"]))
        _forged(report, made)
        with _fast(stack, made) as (asked, bare):
            _refusals(report, made, asked, FULL_LOCKS if full else LOCKS)
            _covers(report, made, FULL_COVERS if full else COVERS)
            made.log_in()
            cookie = made.come_in("nginx")
            _cost(report, (asked, bare), cookie, FULL_PAIRS if full else PAIRS)
            _load(report, made, (asked, bare), cookie, FULL_LOAD_S if full else LOAD_S)
        for name, port, tls in (
            ("proxy", made.ports["nginx"].proxy, True),
            ("gateway", made.ports["nginx"].gateway, False),
        ):
            _hostile(report, name, port, tls, cookie)


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="authd-")))


# From the lock to the refusal and to the cover.


def _refusals(report: Report, made: Office, port: int, rounds: int) -> None:
    """Lock while somebody asks at `port`, before an upstream that costs nothing."""
    refused: list[float] = []
    with Asking(port) as asking:
        for _ in range(rounds):
            made.log_in()
            asking.until_passed(made.come_in("nginx"))
            at = made.lock()
            refused.append((asking.refused_at() - at) * 1_000)
    report.at_most("refused_ms.forward_auth.p99", _p99(refused), "ms", REFUSED_MS)
    report.figure("refused_ms.forward_auth.p50", statistics.median(refused), "ms")
    report.figure("refused_ms.forward_auth.rounds", rounds, "locks")


def _covers(report: Report, made: Office, rounds: int) -> None:
    """Lock while a page is open."""
    covered: list[float] = []
    driver = start("--ignore-certificate-errors")
    try:
        for _ in range(rounds):
            made.log_in()
            covered.append(_covered(made, driver))
    finally:
        driver.quit()
    report.at_most("covered_ms.browser.p99", _p99(covered), "ms", COVERED_MS)
    report.figure("covered_ms.browser.p50", statistics.median(covered), "ms")
    report.figure("covered_ms.browser.rounds", rounds, "locks")


def _covered(made: Office, driver: webdriver.Chrome) -> float:
    """From pressing the button to the frame in which the page is covered, in ms."""
    devtools = cast("Devtools", driver)
    driver.get(f"{made.ports['nginx'].origin}/.authd/open?ticket={made.ticket()}")
    _until(lambda: devtools.execute_script("return document.querySelector('authd-cover') === null"))
    devtools.execute_script(NOTE)
    ahead = _clock(devtools)
    at = made.lock()
    _until(lambda: "/.authd/closed" in driver.current_url)
    return float(devtools.execute_script("return sessionStorage.covered")) - ahead - at * 1_000


def _clock(devtools: Devtools) -> float:
    """How far the page's clock is ahead of ours, in ms, by the quickest of a few answers."""

    def once() -> tuple[float, float]:
        before = time.time()
        there = float(devtools.execute_script("return performance.timeOrigin + performance.now()"))
        after = time.time()
        return after - before, there - (before + after) * 500

    return min(once() for _ in range(8))[1]


class Asking:
    """Asks for a page every few milliseconds until it is refused; a process of its own, which nothing here delays."""

    def __init__(self, port: int) -> None:
        words = [sys.executable, "-m", "tests.tools.asking", str(port)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def until_passed(self, cookie: str) -> None:
        assert self._process.stdin is not None
        print(cookie, file=self._process.stdin, flush=True)
        assert self._line() == "passed"

    def refused_at(self) -> float:
        """Wall clock of the first refusal, in seconds."""
        return float(self._line())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with self._process:  # which closes its input
            pass
        assert kind is not None or self._process.returncode == 0, "something passed after a refusal"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


# Who somebody wants to be.


def _forged(report: Report, made: Office) -> None:
    """Each request with a good cookie and without any, on each of the proxies."""
    person = made.log_in()
    with ExitStack() as others:
        for kind in PROXIES[1:]:
            others.enter_context(proxy(kind, _folder(others), made.ports[kind]))
        cookies = [made.come_in(kind) for kind in PROXIES]
        made.reached()
        ports = [made.ports[kind].proxy for kind in PROXIES]
        with ThreadPoolExecutor(2 * len(ports)) as pool:
            list(pool.map(carry_out, ports * 2, [*cookies, *[""] * len(ports)]))
        seen = made.reached()
    forged = sum(not _is_of(line, person) for line in seen)
    report.figure("spoof_forged", forged, "requests", "== 0", ok=forged == 0 and len(seen) > 60)
    report.figure("spoof_passed_as_themselves", len(seen), "requests")


def _is_of(line: dict[str, Any], person: Person) -> bool:
    whole = json.dumps(line)
    return line.get("HTTP_REMOTE_USER") == f"staff_{person.staff_number}" and OTHER not in whole


# What it costs.


@contextmanager
def _fast(stack: ExitStack, made: Office) -> Generator[tuple[int, int], None, None]:
    """Another nginx, before an upstream that costs nothing: its port with the question, and its port without."""
    folder, upstream, bare = _folder(stack), free_port(), free_port()
    ports = Ports(free_port(), made.ports["nginx"].gateway, upstream)
    extra = FAST.format(upstream=upstream, bare=bare, folder=folder)
    with proxy("nginx", folder, ports, NO_LIMIT, extra=extra):
        yield ports.proxy, bare


def _cost(report: Report, ports: tuple[int, int], cookie: str, pairs: int) -> None:
    """One request at a time, with and without, in turn: the median of what each pair differs by."""
    lines = [tls(port) for port in ports]
    asked = request(cookie)
    took: list[tuple[float, float]] = []
    for number in range(pairs + 50):
        each = [_timed(line, asked) for line in lines]
        if number >= 50:
            took.append((each[0], each[1]))
    for line in lines:
        line.close()
    added = statistics.median(with_it - without for with_it, without in took)
    report.at_most("forward_auth.added_ms.p50", added, "ms", ADDED_MS)
    report.figure("forward_auth.request_ms.p50", statistics.median(each[0] for each in took), "ms")
    report.figure("forward_auth.bare_ms.p50", statistics.median(each[1] for each in took), "ms")


def _timed(line: ssl.SSLSocket, asked: bytes) -> float:
    began = time.perf_counter()
    assert status(line, asked) == 200
    return (time.perf_counter() - began) * 1_000


def _load(report: Report, made: Office, ports: tuple[int, int], cookie: str, seconds: float) -> None:
    gateway = made.town.stage.processes["gateway"].pid
    before = _cpu(gateway)
    passed = _many(ports[0], cookie, seconds)
    spent = _cpu(gateway) - before
    bare = _many(ports[1], cookie, seconds)
    report.at_least("forward_auth.per_core", passed / spent, "requests/s", RATE)
    report.figure("forward_auth.rate", passed / seconds, "requests/s")
    report.figure("forward_auth.bare_rate", bare / seconds, "requests/s")


def _many(port: int, cookie: str, seconds: float, connections: int = 8) -> int:
    """Ask on several connections at once; return how many answers came."""
    asked = request(cookie)

    async def one(ends: float) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=any_certificate())
        count = 0
        while time.perf_counter() < ends:
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await _body(reader, head)
            count += 1
        writer.close()
        return count

    async def all_of_them() -> int:
        ends = time.perf_counter() + seconds
        return sum(await asyncio.gather(*(one(ends) for _ in range(connections))))

    return asyncio.run(all_of_them())


async def _body(reader: asyncio.StreamReader, head: bytes) -> None:
    if b"chunked" not in head.lower():
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        return
    while (size := int(await reader.readuntil(b"\r\n"), 16)) >= 0:
        await reader.readexactly(size + 2)
        if not size:
            return


# What one does to the others.


def _hostile(report: Report, name: str, port: int, over_tls: bool, cookie: str) -> None:
    """One machine asks 10,000 times a second, with no cookie; another asks as quickly as clerks do."""
    words = [
        sys.executable,
        "-m",
        "tests.tools.hostile",
        str(port),
        str(HOSTILE_RATE),
        str(HOSTILE_S + 0.5),
        str(int(over_tls)),
    ]
    others: list[float] = []
    with subprocess.Popen(words, stdout=subprocess.PIPE) as hostile:
        assert hostile.stdout is not None
        assert hostile.stdout.readline() == b"begun\n"
        with tls(port) if over_tls else socket.create_connection(("127.0.0.1", port)) as line:
            asked = request(cookie, "/" if over_tls else "/verify/resident")
            ends = time.perf_counter() + HOSTILE_S
            while time.perf_counter() < ends:
                began = time.perf_counter()
                assert status(line, asked) == 200
                others.append((time.perf_counter() - began) * 1_000)
                time.sleep(0.01)
        sent = int(hostile.stdout.readline())
    report.at_most(f"hostile.others_ms.{name}.p99", _p99(others), "ms", OTHERS_MS)
    report.figure(f"hostile.offered.{name}", sent / (HOSTILE_S + 0.5), "requests/s")


# Pieces.


def _until(there: Any) -> None:
    ends = time.perf_counter() + 30
    while not there():
        assert time.perf_counter() < ends
        time.sleep(0.01)


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
