"""Apache and mod_auth_openidc, as an office has them: a relying party that is none of ours, with its own checks."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing

import httpx
import pytest

from tests.tools.apache import apache
from tests.tools.oidc_stage import PATIENCE_S, PORTAL, SECRET, Provider

pytestmark = pytest.mark.real


class Relying:
    """The city with Apache before the residents' system."""

    def __init__(self, wired: Provider, address: str) -> None:
        self.wired = wired
        self.address = address

    def browser(self) -> httpx.Client:
        """A browser that follows wherever it is sent, and has come in from the seat's screen."""
        browser = httpx.Client(follow_redirects=True, timeout=PATIENCE_S, headers={"accept": "text/html"})
        self.entered = browser.get(
            f"{self.wired.public}/oidc/start/{PORTAL}", params={"ticket": self.wired.ticket(PORTAL)}
        )
        return browser

    def refused(self, browser: httpx.Client) -> bool:
        """Apache itself lets nobody in: it sends them to the provider again."""
        answer = browser.get(f"{self.address}/", follow_redirects=False)
        return answer.status_code == 302 and answer.headers["location"].startswith(self.wired.public)


@pytest.fixture(scope="module")
def relying(wired: Provider) -> Generator[Relying, None, None]:
    with apache(wired.portal, wired.public, SECRET) as address:
        yield Relying(wired, address)


def test_apache_lets_in_who_touched_and_nobody_after_the_lock(relying: Relying) -> None:
    person = relying.wired.log_in()
    with closing(relying.browser()) as browser:
        assert relying.entered.status_code == 200, relying.entered.text
        assert f"user=staff_{person.staff_number}" in relying.entered.text
        assert person.name in relying.entered.text
        assert "acr=authd:" in relying.entered.text
        assert not relying.refused(browser)
        relying.wired.lock()
        ends = time.perf_counter() + PATIENCE_S
        while not relying.refused(browser):
            assert time.perf_counter() < ends
        page = browser.get(f"{relying.address}/")
        assert (page.status_code, "席の画面から開いてください" in page.text) == (401, True)


def test_the_next_person_is_not_the_one_before(relying: Relying) -> None:
    first, second = relying.wired.town.clerk, relying.wired.town.stage.people[0]
    relying.wired.log_in(first)
    with closing(relying.browser()) as browser:
        relying.wired.log_in(second)
        with closing(relying.browser()) as other:
            assert f"user=staff_{second.staff_number}" in relying.entered.text
            ends = time.perf_counter() + PATIENCE_S
            while not relying.refused(browser):
                assert time.perf_counter() < ends
            assert not relying.refused(other)


def test_scripts_are_told_and_not_sent_away(relying: Relying) -> None:
    answer = httpx.get(f"{relying.address}/", headers={"x-requested-with": "XMLHttpRequest"})
    assert answer.status_code == 401
