"""OpenID Connect: how soon a lock refuses, at a real relying party and at the provider, and what nobody gets by.

The relying party is Apache with mod_auth_openidc, by the file of packaging/: its own session ends by back-channel.
Both are asked every few milliseconds from before the lock until they refuse; what counts is when that has arrived.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx

from tests.bench.report import Report
from tests.tools.apache import apache
from tests.tools.oidc_negative import CASES, LOCKING, Ready, count, stale_keys
from tests.tools.oidc_stage import PATIENCE_S, PORTAL, RESIDENT, SECRET, TAX, Browser, Provider, provider

ROUNDS, FULL_ROUNDS = 20, 300
PACE_S = 0.004
"""Between two questions; without it, asking is what the machine is busy with."""
REFUSED_MS, FEWEST = 50, 60


class Asking(threading.Thread):
    """Asks again and again until it is refused; `at`: when it was, on the wall's clock."""

    def __init__(self, refused: Callable[[], bool]) -> None:
        super().__init__()
        self._refused = refused
        self.asked = threading.Event()
        self.at = float("inf")

    def run(self) -> None:
        ends = time.perf_counter() + PATIENCE_S
        while time.perf_counter() < ends:
            refused, at = self._refused(), time.time()
            if refused:
                self.at = at
                return
            self.asked.set()
            time.sleep(PACE_S)


def run(report: Report, *, full: bool) -> None:
    """Print every figure of this part."""
    with provider() as wired, apache(wired.portal, wired.public, SECRET) as address:
        rounds = [lock(wired, address) for _ in range(FULL_ROUNDS if full else ROUNDS)]
        relying, tokens, signing = (sorted(each) for each in zip(*rounds, strict=True))
        report.at_most("refused_ms.oidc.p99", p99(relying), "ms", REFUSED_MS)
        report.at_most("refused_ms.oidc_token.p99", p99(tokens), "ms", REFUSED_MS)
        report.figure("refused_ms.oidc.p50", statistics.median(relying), "ms")
        report.figure("oidc_sign_on_ms.p50", statistics.median(signing), "ms")
        refused = negative(wired)
    report.figure("oidc_refused", refused, "cases", f">= {FEWEST}, all of {count()}", FEWEST <= refused == count())


def lock(wired: Provider, address: str) -> tuple[float, float, float]:
    """Let somebody in and lock; returns ms until Apache refused, until the token was worth nothing, of the sign-on."""
    wired.log_in()
    with wired.browser(RESIDENT) as browser, httpx.Client(timeout=PATIENCE_S, headers={"accept": "text/html"}) as page:
        ticket = wired.ticket(PORTAL)
        began = time.perf_counter()
        page.get(f"{wired.public}/oidc/start/{PORTAL}", params={"ticket": ticket}, follow_redirects=True)
        took = time.perf_counter() - began
        token = wired.sign_on(browser)["access_token"]
        cookies = "; ".join(f"{each.name}={each.value}" for each in page.cookies.jar)
        relying = asker(f"{address}/", {"cookie": cookies, "accept": "text/html"})
        userinfo = asker(f"{wired.public}/oidc/userinfo", {"authorization": f"Bearer {token}"})
        asking = Asking(lambda: relying() in (302, 401)), Asking(lambda: userinfo() == 401)
        for each in asking:
            each.start()
        for each in asking:
            assert each.asked.wait(PATIENCE_S), "refused before there was a lock"
        locked = wired.lock()
        for each in asking:
            each.join()
    late, tokens = (1_000 * (each.at - locked) for each in asking)
    return late, tokens, 1_000 * took


def asker(url: str, headers: dict[str, str]) -> Callable[[], int]:
    """Return what asks once and returns the status, on one connection: a client that works little while it waits."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=PATIENCE_S)

    def ask() -> int:
        connection.request("GET", parts.path, headers=headers)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status

    return ask


def negative(wired: Provider) -> int:
    """Try every way past the provider; returns how many were refused as they must be."""
    wired.log_in()
    with wired.browser(RESIDENT, TAX) as browser:
        refused = sum(tried(name, case, wired, browser) for name, case in CASES.items())
    for name, case in (*LOCKING.items(), ("stale keys", stale_keys)):
        wired.log_in()
        with wired.browser(RESIDENT) as browser:
            refused += tried(name, case, wired, browser)
    return refused


def tried(name: str, case: Callable[[Ready], bool], wired: Provider, browser: Browser) -> bool:
    """Whether it was refused; what goes wrong otherwise is no refusal, and is named."""
    why = "let in"
    try:
        if case(Ready(wired, browser)):
            return True
    except (AssertionError, httpx.HTTPError, KeyError, ValueError) as error:
        why = repr(error)
    print(f"not refused: {name}: {why}", file=sys.stderr)
    return False


def p99(values: list[float]) -> float:
    """The nearest rank, of a sorted list: of fewer than a hundred, the worst."""
    return values[min(len(values) - 1, int(0.99 * len(values)))]
