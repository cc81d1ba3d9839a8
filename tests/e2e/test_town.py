"""Keys in the browser against the real daemon: the page, its process, the core, the verifier child, the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.e2e.authenticator import Authenticator, plugged_in
from tests.e2e.browser import start
from tests.e2e.town import KeyStage, Town, TownScreen

pytestmark = pytest.mark.real

REMEMBER = """const real = window.fetch;
window.fetch = (...given) => {
  if (given[0].endsWith("/signed")) window.sent = JSON.parse(given[1].body).response;
  return real(...given);
};"""
REPLAY = """window.caught = arguments[0];
navigator.credentials.get = async () => ({ toJSON: () => JSON.parse(window.caught) });"""


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with Town(KeyStage()) as town:
        yield town


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    driver = start()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(driver: webdriver.Chrome, town: Town) -> TownScreen:
    screen = TownScreen(driver, town)
    screen.size(1024, 768)
    return screen


@pytest.fixture(scope="module")
def key(page: TownScreen, town: Town) -> Iterator[Authenticator]:
    """The clerk's key, enrolled in the browser at the officer's seat."""
    page.go()
    page.until(lambda: page.covered)
    with plugged_in(page) as key:
        town.log_in(town.officer)
        page.until(lambda: not page.covered)
        town.enrol_key(town.clerk, lambda: use(page, "enrol-key"))
        town.log_out()
        yield key


@pytest.fixture
def screen(page: TownScreen, key: Authenticator) -> Iterator[TownScreen]:
    """Locked, with nobody there."""
    page.go()
    page.until(lambda: page.covered and page.driver.find_element(By.ID, "key").is_enabled())
    page.complaints()
    yield page
    if not page.covered:
        page.town.log_out()
        page.until(lambda: page.covered)


def use(screen: TownScreen, button: str = "key") -> None:
    screen.click(f"#{button}")


def log_in(screen: TownScreen) -> None:
    use(screen)
    screen.until(lambda: not screen.covered and screen.town.clerk.name in screen.whole)


def lock(screen: TownScreen) -> None:
    screen.click("#lock")
    screen.until(lambda: screen.look == "locked")


def test_a_key_alone_begins_a_shift(screen: TownScreen) -> None:
    """Possession and the person whom the key itself verified: two factors in one act, signed by their own key."""
    log_in(screen)
    started = screen.town.recorded("session.started", factor="key")
    assert started.grade == "A"
    assert screen.complaints() == []


def test_a_captured_response_is_refused_and_recorded(screen: TownScreen) -> None:
    screen.js(REMEMBER)
    log_in(screen)
    captured: dict[str, Any] = json.loads(screen.js("return window.sent"))
    lock(screen)
    screen.js(REPLAY, json.dumps(captured))
    use(screen)
    screen.until(lambda: "このキーは使えません" in screen.text)
    assert screen.covered
    refused = screen.town.recorded("attempt.refused", why="replayed")
    assert refused.subject is not None


def test_a_cloned_key_is_refused_and_recorded(screen: TownScreen, key: Authenticator) -> None:
    (copy,) = key.credentials()
    log_in(screen)
    lock(screen)
    (own,) = key.credentials()
    key.put(copy)
    use(screen)
    screen.until(lambda: "このキーは使えません" in screen.text)
    assert screen.covered
    refused = screen.town.recorded("attempt.refused", why="cloned")
    assert refused.subject is not None
    key.put(own, signCount=own["signCount"] + 1)
    log_in(screen)


def test_a_key_that_knows_nobody_and_one_without_our_credential(screen: TownScreen, key: Authenticator) -> None:
    key.verifies(False)
    use(screen)
    screen.until(lambda: "キーは使われませんでした" in screen.text)
    key.verifies(True)
    (own,) = key.credentials()
    key.clear()
    use(screen)
    screen.until(lambda: screen.driver.find_element(By.ID, "key").is_enabled())
    screen.until(lambda: "キーは使われませんでした" in screen.text)
    assert screen.covered
    key.put(own)
