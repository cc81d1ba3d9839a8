"""A headless Chromium in an old application behind nginx: what a lock, and silence, does to the page that is open."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import cast

import pytest
from selenium import webdriver

from tests.e2e.browser import Devtools, start
from tests.e2e.town import SEAT
from tests.tools.forward_stage import Office, screen_origin

pytestmark = pytest.mark.real
PATIENCE_S = 30.0
SECRET = "架空 太郎"
PULL = """
document.documentElement.removeAttribute("data-authd");
document.querySelector("authd-cover")?.remove();
document.body.inert = false;
const dialog = document.createElement("dialog");
dialog.textContent = "over the cover";
document.body.append(dialog);
dialog.showModal();
addEventListener("beforeunload", (event) => event.preventDefault());
"""

SLEPT = """
const now = Date.now;
new MutationObserver(() => { window.slept ??= document.documentElement.dataset.authd; })
  .observe(document.documentElement, { attributeFilter: ["data-authd"] });
Date.now = () => now() + 60000;
"""


class Page:
    """What the browser shows of the application."""

    def __init__(self, driver: webdriver.Chrome, wired: Office) -> None:
        self.driver = driver
        self.wired = wired
        self._devtools = cast("Devtools", driver)

    def js(self, code: str) -> object:
        return self._devtools.execute_script(code)

    def open(self, kind: str = "nginx", path: str = "") -> None:
        """As the seat's screen does."""
        origin = self.wired.ports[kind].origin
        self.driver.get(f"{origin}/.authd/open?ticket={self.wired.ticket()}")
        if path:
            self.driver.get(origin + path)

    @property
    def covered(self) -> bool:
        """The cover fills the window, nothing else in the document can be seen, and the keyboard reaches nothing."""
        return bool(
            self.js(
                """const cover = document.querySelector("authd-cover");
                const box = cover?.getBoundingClientRect();
                const seen = (each) => getComputedStyle(each).visibility !== "hidden";
                return cover !== null && cover.matches(":popover-open") && seen(cover)
                  && box.left <= 0 && box.top <= 0 && box.right >= innerWidth && box.bottom >= innerHeight
                  && ![document.body, ...document.body.querySelectorAll("*")].some(seen)
                  && [document.body, cover, document.documentElement, null].includes(document.activeElement);"""
            )
        )

    @property
    def shown(self) -> bool:
        """Nothing hides the record."""
        return bool(
            self.js(
                """const record = document.getElementById("record");
                return document.querySelector("authd-cover") === null && record !== null
                  && getComputedStyle(record).visibility === "visible" && !document.body.inert;"""
            )
        )

    def until(self, what: Callable[[], object]) -> None:
        ends = time.perf_counter() + PATIENCE_S
        while not what():
            assert time.perf_counter() < ends, f"never came true at {self.driver.current_url}"
            time.sleep(0.02)

    def closed(self) -> bool:
        return self.driver.title == "席の画面から開いてください" and SECRET not in self.driver.page_source


@pytest.fixture(scope="module")
def browser() -> Generator[webdriver.Chrome, None, None]:
    driver = start("--ignore-certificate-errors")
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, wired: Office) -> Generator[Page, None, None]:
    wired.log_in()
    yield Page(browser, wired)
    browser.get("about:blank")


@contextmanager
def stopped(wired: Office, process: str) -> Generator[None, None, None]:
    """Let a process stand still: its connections stay, and nothing comes."""
    pid = wired.town.stage.processes[process].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_lock_covers_the_page_takes_it_away_and_going_back_does_not_bring_it(page: Page) -> None:
    page.open()
    page.until(lambda: page.shown)
    page.driver.get(f"{page.wired.ports['nginx'].origin}/second")
    page.until(lambda: page.shown)
    page.js("addEventListener('beforeunload', (event) => event.preventDefault()); document.title = 'mine';")
    page.wired.lock()
    page.until(page.closed)
    page.driver.back()
    page.until(page.closed)


def test_in_the_frame_of_the_seats_own_screen_it_opens_by_a_press_and_is_gone_at_the_lock(page: Page) -> None:
    """The screen and the application are two sites to the browser, which is how most city halls will have it."""
    page.driver.get(f"{screen_origin(page.wired.town.stage)}/seat/{SEAT}")
    page.until(lambda: page.js("return document.documentElement.dataset.cover === 'off'"))
    page.js("document.querySelector('#tiles button').click()")
    page.until(lambda: page.driver.find_elements("tag name", "iframe"))
    page.driver.switch_to.frame(page.driver.find_element("tag name", "iframe"))
    page.until(lambda: page.shown)
    page.driver.switch_to.default_content()
    page.wired.lock()
    page.until(lambda: page.js("return document.documentElement.dataset.cover === 'on'"))
    page.until(lambda: not page.driver.find_elements("tag name", "iframe"))


def test_silence_covers_and_a_daemon_that_is_heard_again_uncovers(page: Page) -> None:
    page.open()
    page.until(lambda: page.shown)
    for process in ("gateway", "daemon"):
        with stopped(page.wired, process):
            page.until(lambda: page.covered)
            page.js(PULL)
            page.until(lambda: page.covered)
        page.js("document.querySelector('dialog').remove()")
        page.until(lambda: page.shown)


def test_a_page_that_slept_is_covered_until_authd_is_heard_again(page: Page) -> None:
    """In suspend the page's own clock stands still, and the wall clock goes on."""
    page.open()
    page.until(lambda: page.shown)
    page.js(SLEPT)
    page.until(lambda: page.js("return window.slept === 'covered'"))
    page.until(lambda: page.shown)


def test_every_window_is_covered_however_many_are_open(page: Page) -> None:
    """Eight windows: more than the six connections that HTTP/1.1 gets, and than the streams of one visit."""
    page.open()
    page.until(lambda: page.shown)
    first = page.driver.current_window_handle
    for _ in range(7):
        page.driver.switch_to.new_window("tab")
        page.driver.get(f"{page.wired.ports['nginx'].origin}/second")
        page.until(lambda: page.shown)
    page.wired.lock()
    for handle in page.driver.window_handles:
        page.driver.switch_to.window(handle)
        page.until(page.closed)
        if handle != first:
            page.driver.close()
    page.driver.switch_to.window(first)


def test_a_page_of_frames_covers_each_of_them(page: Page) -> None:
    page.open("nginx", "/frames")
    menu, main = page.driver.find_elements("tag name", "frame")
    for frame in (menu, main):
        page.driver.switch_to.frame(frame)
        page.until(lambda: page.shown)
        page.driver.switch_to.default_content()
    with stopped(page.wired, "gateway"):
        for frame in (menu, main):
            page.driver.switch_to.frame(frame)
            page.until(lambda: page.covered)
            page.driver.switch_to.default_content()
    page.until(lambda: page.js("return document.querySelector('authd-cover') === null"))
    page.wired.lock()
    page.until(page.closed)


@pytest.mark.parametrize("kind", ["caddy", "traefik"])
def test_where_no_script_can_be_put_into_pages_the_frame_around_them_covers(page: Page, kind: str) -> None:
    page.open(kind)
    page.until(lambda: page.js("return document.querySelector('authd-cover') === null"))
    assert page.driver.current_url.endswith("/.authd/frame")
    page.driver.switch_to.frame(page.driver.find_element("tag name", "iframe"))
    page.until(lambda: SECRET in page.driver.page_source)
    page.driver.switch_to.default_content()
    with stopped(page.wired, "framer"):
        page.until(lambda: page.covered)
    page.until(lambda: page.js("return document.querySelector('authd-cover') === null"))
    page.wired.lock()
    page.until(page.closed)
