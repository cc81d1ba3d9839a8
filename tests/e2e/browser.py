"""A headless Chromium, and what a test does with the seat's page in it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.remote_connection import RemoteConnection

from authd.web.door import Sight
from tests.web.run import Running

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--hide-scrollbars",
    # Whatever asks for another machine finds none.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)
PATIENCE_S = 60.0


def start(*flags: str) -> webdriver.Chrome:
    """Start a browser that can reach this machine only. The caller quits it."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    driver.set_script_timeout(PATIENCE_S)
    cast("RemoteConnection", driver.command_executor).client_config.timeout = 3 * PATIENCE_S
    return driver


class Devtools(Protocol):
    """The methods of the driver that its own annotations leave half open."""

    def execute_cdp_cmd(self, cmd: str, cmd_args: dict[str, Any]) -> Any: ...
    def execute_script(self, script: str, *args: object) -> Any: ...
    def execute_async_script(self, script: str, *args: object) -> Any: ...
    def get_log(self, log_type: str) -> list[dict[str, Any]]: ...


class Screen:
    """The browser in front of one seat, and the core behind it."""

    def __init__(self, driver: webdriver.Chrome, running: Running) -> None:
        self.driver = driver
        self._devtools = cast("Devtools", driver)
        self.running = running
        self.door = running.door

    @property
    def origin(self) -> str:
        return f"http://{self.running.address}"

    def go(self, query: str = "") -> None:
        self.driver.get(f"{self.origin}/seat/counter-1{query}")

    def go_by_name(self) -> None:
        """Open the page as `localhost`: WebAuthn knows no addresses."""
        self.driver.get(f"{self.origin.replace('127.0.0.1', 'localhost')}/seat/counter-1")

    def show(self, sight: Sight) -> None:
        self.running.do(lambda: self.door.show(sight))

    def do(self, act: Callable[[], object]) -> None:
        self.running.do(act)

    def js(self, code: str, *arguments: object) -> Any:
        return self._devtools.execute_script(code, *arguments)

    def keys(self, *keys: str, held: tuple[str, ...] = ()) -> None:
        chain = ActionChains(self.driver, duration=0)
        for each in held:
            chain.key_down(each)
        chain.send_keys(*keys)
        for each in reversed(held):
            chain.key_up(each)
        chain.perform()

    def js_async(self, code: str, *arguments: object) -> Any:
        """The script ends by calling its last argument."""
        return self._devtools.execute_async_script(code, *arguments)

    def cdp(self, command: str, **arguments: object) -> Any:
        return self._devtools.execute_cdp_cmd(command, arguments)

    def size(self, width: int, height: int) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def point(self, *places: tuple[int, int]) -> None:
        """Move the pointer over these places of the window."""
        steps = [{"type": "pointerMove", "duration": 20, "x": x, "y": y, "origin": "viewport"} for x, y in places]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps}
        self.driver.execute("actions", {"actions": [mouse]})

    @property
    def covered(self) -> bool:
        """What stands above everything else, at five places of the window, is the cover."""
        return bool(
            self.js(
                """const cover = document.getElementById("cover");
            const at = (x, y) => cover.contains(document.elementFromPoint(innerWidth * x, innerHeight * y));
            return document.documentElement.dataset.cover === "on"
              && [[.5, .5], [.02, .02], [.98, .02], [.02, .98], [.5, .2]].every(([x, y]) => at(x, y));"""
            )
        )

    @property
    def frames(self) -> int:
        return int(self.js("return document.querySelectorAll('iframe').length"))

    @property
    def text(self) -> str:
        """Everything a person could read."""
        return str(self.js("return document.body.innerText"))

    @property
    def whole(self) -> str:
        """Everything that is in the document, seen or not."""
        return str(self.js("return document.documentElement.outerHTML"))

    @property
    def look(self) -> str:
        return str(self.js("return document.documentElement.dataset.look"))

    @property
    def focused(self) -> str:
        return str(self.js("return document.activeElement.id || document.activeElement.tagName"))

    def until(self, what: Callable[[], object], patience: float = PATIENCE_S) -> None:
        """Wait for it to become true."""
        ends = time.perf_counter() + patience
        while not what():
            assert time.perf_counter() < ends, f"never came true; the page says: {self.text!r}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Press it, once a person could: the page shows it a moment after it was told to."""

        def there() -> bool:
            found = self.driver.find_elements(By.CSS_SELECTOR, selector)
            return bool(found) and found[0].is_displayed() and found[0].is_enabled()

        self.until(there)
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def asked(self, *words: str) -> bool:
        return words in self.door.asked

    def sit_down(self, sight: Sight) -> None:
        self.show(sight)
        self.until(lambda: not self.covered)

    def open_application(self, *, by_hand: bool = True) -> None:
        """Not by hand: without anything that the browser takes for a person's act."""
        tile = self.driver.find_element(By.CSS_SELECTOR, "#tiles button")
        tile.click() if by_hand else self.js("arguments[0].click()", tile)
        self.until(lambda: self.frames == 1)
        with self.inside():
            self.until(lambda: "RECORD" in self.text)

    @contextmanager
    def inside(self) -> Generator[None, None, None]:
        """Be in the application's frame."""
        self.driver.switch_to.frame(self.driver.find_element(By.TAG_NAME, "iframe"))
        try:
            yield
        finally:
            self.driver.switch_to.default_content()

    def watch_for_uncovering(self) -> None:
        """From now on, remember any moment without the cover, however short."""
        self.js(
            """const page = document.documentElement;
            window.uncovered = 0;
            const off = (state) => state !== "on";
            new MutationObserver((changes) => {
              window.uncovered += off(page.dataset.cover) + changes.filter((each) => off(each.oldValue)).length;
            }).observe(page, { attributeFilter: ["data-cover"], attributeOldValue: true });"""
        )

    @property
    def was_uncovered(self) -> bool:
        return bool(self.js("return window.uncovered !== 0"))

    def requests(self) -> list[str]:
        """Every URL asked for since the last call."""
        messages = (json.loads(entry["message"])["message"] for entry in self._devtools.get_log("performance"))
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """What the browser itself found wrong (blocked by the content policy, script errors)."""
        return [entry["message"] for entry in self._devtools.get_log("browser") if entry["level"] == "SEVERE"]
