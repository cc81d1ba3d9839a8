"""A supervisor's reviews on the seat's screen, by keyboard alone."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from authd.core.model import Message, SeatState
from tests.e2e.browser import Screen
from tests.web.fakes import HANAKO, active, locked, sight
from tests.web.reviews import ITEMS

pytestmark = pytest.mark.real

SHOWN = "return !document.getElementById('review').hidden"
FOCUSED = "return document.activeElement.innerText ?? ''"
SAID = "return document.getElementById('review-said').innerText"


@pytest.fixture
def seated(screen: Screen) -> Screen:
    screen.door.desk.supervise(elsewhere=True)
    screen.sit_down(active())
    screen.until(lambda: screen.driver.find_elements(By.CSS_SELECTOR, "#reviews button"))
    return screen


def tab_to(screen: Screen, words: str) -> None:
    for _ in range(12):
        if words in screen.js(FOCUSED):
            return
        screen.keys(Keys.TAB)
    raise AssertionError(f"no way to {words} by keyboard; the focus is at {screen.js(FOCUSED)!r}")


def begin(screen: Screen) -> None:
    """The queue, by keyboard."""
    tab_to(screen, "いま確かめること")
    screen.keys(Keys.ENTER)
    screen.until(lambda: screen.driver.find_elements(By.CSS_SELECTOR, "#review-list button"))


def test_by_keyboard_alone_from_the_queue_to_the_signature(seated: Screen) -> None:
    begin(seated)
    assert "鈴木 太郎 → 裏口" in seated.text
    assert "2027-03" in seated.js(FOCUSED)
    seated.keys(Keys.ARROW_DOWN)
    assert "期限切れ" in seated.js(FOCUSED)
    seated.keys(Keys.ARROW_UP, Keys.ENTER)
    seated.until(lambda: seated.driver.find_elements(By.CSS_SELECTOR, "#review tbody tr"))
    assert "席が開いたまま、本人は別の場所" in seated.js(FOCUSED)
    for _ in range(len(ITEMS) + 1):  # and how its sessions ended
        seated.keys(Keys.ARROW_DOWN)
    assert "触れて署名する" in seated.js(FOCUSED)
    seated.keys(Keys.ENTER)
    seated.until(lambda: seated.door.asked and seated.door.asked[-1][0] == "review_sign")
    seated.show(sight(SeatState.STEPPING_UP, Message.CONFIRM, person=HANAKO))
    seated.until(lambda: seated.js("return document.getElementById('review').inert"))
    seated.do(seated.door.desk.touched.set)
    seated.show(active())
    seated.until(lambda: "署名しました" in seated.js(SAID))
    assert "署名済み" in seated.text
    seated.keys(Keys.ESCAPE)
    seated.until(lambda: not seated.js(SHOWN))


def test_what_was_not_shown_is_not_signed_and_said_so(seated: Screen) -> None:
    begin(seated)
    seated.keys(Keys.ENTER)
    seated.until(lambda: seated.driver.find_elements(By.CSS_SELECTOR, "#review tbody tr"))
    seated.door.desk.refuse = "refused"
    seated.do(seated.door.desk.touched.set)
    seated.keys("s", Keys.ENTER)
    seated.until(lambda: "もう一度見てください" in seated.js(SAID))


def test_a_lock_takes_it_all_away(seated: Screen) -> None:
    begin(seated)
    seated.keys(Keys.ENTER)
    seated.until(lambda: seated.driver.find_elements(By.CSS_SELECTOR, "#review tbody tr"))
    seated.show(locked(Message.LOCKED))
    seated.until(lambda: seated.covered)
    assert not seated.js(SHOWN)
    assert "鈴木" not in seated.whole
    assert "裏口" not in seated.whole


def test_who_supervises_nobody_sees_nothing_of_it(screen: Screen) -> None:
    screen.sit_down(active())
    screen.until(lambda: not screen.covered)
    assert screen.driver.find_elements(By.CSS_SELECTOR, "#reviews button") == []
    assert not screen.js(SHOWN)


def test_nothing_is_wrong_in_the_browsers_eyes(seated: Screen) -> None:
    begin(seated)
    assert seated.complaints() == []
