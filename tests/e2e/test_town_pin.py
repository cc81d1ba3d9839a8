"""PINs and other people's help at a seat of the real daemon: typed and pressed in the page, shown by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from authd_simulators.keyring import PIN
from authd_simulators.people import Staff
from tests.e2e.browser import start
from tests.e2e.town import PinStage, Town, TownScreen

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def stage() -> PinStage:
    return PinStage()


@pytest.fixture(scope="module")
def town(stage: PinStage) -> Iterator[Town]:
    with Town(stage) as town:
        yield town


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    driver = start()
    yield driver
    driver.quit()


@pytest.fixture
def screen(driver: webdriver.Chrome, town: Town) -> Iterator[TownScreen]:
    """Locked, with nobody there, and nothing said of the last one any more: a change of the face closes a menu."""
    screen = TownScreen(driver, town)
    screen.size(1024, 768)
    screen.go()
    screen.until(lambda: screen.covered and screen.driver.find_element(By.ID, "other").is_enabled())
    screen.until(lambda: screen.look == "waiting")
    yield screen
    if not screen.covered:
        town.log_out()
        screen.until(lambda: screen.covered)


def owner(town: Town, stage: PinStage) -> Staff:
    return stage.owner(stage.held)


def left(screen: TownScreen) -> str:
    return str(screen.js("return document.querySelector('#tries [lang=ja]').textContent"))


def test_a_pin_is_typed_in_the_page_and_the_key_stays(screen: TownScreen, town: Town, stage: PinStage) -> None:
    town.insert(stage.held)
    screen.until(lambda: screen.focused == "pin")
    before = left(screen)
    screen.keys("0000", Keys.ENTER)
    screen.until(lambda: screen.look == "pin-wrong" and screen.focused == "pin")
    assert "PINが違います" in screen.text
    assert left(screen) != before
    screen.keys(PIN, Keys.ENTER)
    screen.until(lambda: screen.focused != "pin")
    assert PIN not in screen.whole
    town.send(f"{stage.held.name} TOUCH")
    screen.until(lambda: not screen.covered)
    assert owner(town, stage).name in screen.whole
    started = town.recorded("session.started", factor="key")
    assert started.grade == "A"

    town.send(f"{stage.held.name} REMOVE")
    screen.until(lambda: screen.covered)
    assert "キーが外れてロック" in screen.text
    assert owner(town, stage).name not in screen.whole


def test_two_people_break_the_glass(screen: TownScreen, town: Town, stage: PinStage) -> None:
    first, second = stage.people[0], stage.people[1]
    for button in ("other", "way-break_glass"):
        screen.click(f"#{button}")
    hold = screen.driver.find_element(By.ID, "sure-hold")
    ActionChains(screen.driver).click_and_hold(hold).perform()
    screen.until(lambda: screen.look == "glass")
    ActionChains(screen.driver).release().perform()
    assert "一人目の方" in screen.text
    town.touch(first)
    screen.until(lambda: screen.look == "second")
    town.touch(second)
    screen.until(lambda: not screen.covered)
    assert first.name in screen.whole
    assert "緊急使用中" in screen.text
    assert screen.driver.find_element(By.ID, "glass").is_displayed()
    town.recorded("breakglass.opened")
    screen.click("#lock")
    screen.until(lambda: screen.look == "locked")
    assert not screen.driver.find_element(By.ID, "glass").is_displayed()


def test_a_colleague_vouches(screen: TownScreen, town: Town, stage: PinStage) -> None:
    clerk = owner(town, stage)
    colleague = next(each for each in stage.people if each.section == clerk.section and each != clerk)
    for button in ("other", "way-vouch", "sure-yes"):
        screen.click(f"#{button}")
    screen.until(lambda: screen.look == "colleague")
    town.touch(colleague)
    screen.until(lambda: screen.look == "vouched")
    town.touch(clerk)
    screen.until(lambda: not screen.covered)
    assert clerk.name in screen.whole
    assert not screen.driver.find_element(By.ID, "glass").is_displayed()
