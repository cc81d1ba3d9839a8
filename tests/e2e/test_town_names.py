"""A name on the page and a finger at the real fprintd, which knows only whom it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.e2e.browser import start
from tests.e2e.town import NamesStage, Town, TownScreen
from tests.real.fprintd import Fprintd

pytestmark = pytest.mark.real


@pytest.fixture
def stage() -> Iterator[NamesStage]:
    with Fprintd() as service:
        yield NamesStage(service)


@pytest.fixture
def screen(stage: NamesStage) -> Iterator[TownScreen]:
    driver: webdriver.Chrome = start()
    try:
        with Town(stage) as town:
            screen = TownScreen(driver, town)
            screen.size(1024, 768)
            yield screen
    finally:
        driver.quit()


def test_who_is_named_opens_the_seat_with_their_finger_and_nobody_else_does(
    screen: TownScreen, stage: NamesStage
) -> None:
    town, clerk = screen.town, stage.clerk
    town.do(stage.enrol_clerk)
    screen.go()
    screen.until(lambda: screen.covered and screen.driver.find_element(By.ID, "other").is_enabled())
    assert clerk.name not in screen.whole
    for button in ("other", "way-tiles"):
        screen.click(f"#{button}")
    screen.until(lambda: screen.driver.find_elements(By.CSS_SELECTOR, "#people button"))
    tiles = screen.driver.find_elements(By.CSS_SELECTOR, "#people button")
    (own,) = [tile for tile in tiles if clerk.name in tile.text and clerk.kana in tile.text]
    own.click()
    screen.until(lambda: "選んだ方、指をどうぞ" in screen.text)
    assert clerk.name not in screen.whole
    assert screen.covered

    town.do(stage.lay_down)
    screen.until(lambda: not screen.covered and clerk.name in screen.whole)
    started = town.recorded("session.started", factor="fingerprint")
    assert started.grade == "B"
