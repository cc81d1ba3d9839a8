"""The demo as a newcomer has it: one command, one page with two seats and their devices, one browser."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By

from authd_simulators.people import population
from tests.e2e.browser import Devtools

SEATS = ("counter-1", "counter-2")
WELL_KNOWN = (8780, 8790, 8791)
READY_WITHIN_S = 180.0
END_WITHIN_S = 30.0
PATIENCE_S = 60.0
"""Far more than the code needs: a build machine may do eight other things."""
ADDRESS = re.compile(r"authd demo is at +(http://127\.0\.0\.1:\d+/)")
CONFIG = re.compile(r"--config (\S+)")


class Demo:
    """`authd demo`, running."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("authd"), "demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def ready(self) -> None:
        """Read what it prints until it says where it is."""
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), True)
        said, ends = "", time.perf_counter() + READY_WITHIN_S
        while "Ctrl-C" not in said:
            line = self.process.stdout.readline()
            assert line, f"ended with {self.process.wait()}: {self.errors()}"
            assert time.perf_counter() < ends
            said += line
        self.address = _found(ADDRESS, said)
        self.folder = Path(_found(CONFIG, said)).parent

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(END_WITHIN_S)

    def end(self) -> None:
        if self.process.poll() is None:
            self.interrupt()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def errors(self) -> str:
        return self.process.stderr.read() if self.process.stderr else ""


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    assert found is not None, text
    return found.group(1)


@contextmanager
def taken(ports: tuple[int, ...] = WELL_KNOWN) -> Generator[None, None, None]:
    """Somebody else has the demo's ports, as far as they are free."""
    with ExitStack() as stack:
        for port in ports:
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def family(root: int) -> dict[int, str]:
    """Every descendant of a process: its start time by its number, so that a reused number is not taken for it."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").iterdir():
        with suppress(ValueError, OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = (int(fields[1]), fields[19])
    members = {root}
    while more := {pid for pid, (parent, _) in parents.items() if parent in members} - members:
        members |= more
    return {pid: parents[pid][1] for pid in members - {root} if pid in parents}


def alive(processes: dict[int, str]) -> list[int]:
    """Those of them that still run."""
    left = list[int]()
    for pid, started in processes.items():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if fields[19] == started and fields[0] != "Z":
                left.append(pid)
    return left


CUT = """
    const cut = [], text = document.createRange();
    for (const each of document.querySelectorAll(".lamps, .lamps > *, #cast > label, #people label > *, button > *")) {
        text.selectNodeContents(each);
        const box = each.getBoundingClientRect(), ends = text.getBoundingClientRect().right;
        if (box.width && (ends > box.right + 0.1 || box.right > innerWidth)) cut.push(each.textContent);
    }
    const people = document.querySelector("#people");
    if (people.scrollWidth > people.clientWidth) cut.push("#people");
    const finger = document.querySelector("#finger"), shown = finger.offsetWidth;
    Object.assign(finger.style, { maxWidth: "none", width: "max-content" });
    if (finger.offsetWidth > shown) cut.push("#finger");
    finger.removeAttribute("style");
    if (document.querySelector("#strip").getBoundingClientRect().bottom > innerHeight) cut.push("#strip");
    return cut;
"""
"""What of the strip cannot be read whole: its words, or where they stand. An ellipsis is a cut too."""


class Counter:
    """The browser on the demo's page."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.address = driver, address
        self._devtools = cast("Devtools", driver)

    def go(self) -> None:
        self.driver.get(self.address)
        for seat in SEATS:
            self.until(seat, lambda: self.look in ("waiting", "locked", "moved", "out"))

    def put_in_order(self, *, leave_sessions: bool = False) -> None:
        """Come back, plug in, recover; unless told otherwise, lock whoever is there, and wait for the readers."""
        self.driver.switch_to.default_content()
        for button in self.driver.find_elements(By.CSS_SELECTOR, ".bench button[aria-pressed='true']"):
            button.click()
        for seat in SEATS:
            if not leave_sessions:
                with self.at(seat):
                    if not self.covered:
                        self.click("#lock")
                self.until(seat, lambda: self.covered)
            self.until_strip(lambda seat=seat: "接続中" in self.lamps(seat))  # type: ignore[misc]  # bound now

    def until_strip(self, what: Callable[[], object]) -> None:
        """Wait until it is true of the strip."""
        self.driver.switch_to.default_content()
        ends = time.perf_counter() + PATIENCE_S
        while not what():
            assert time.perf_counter() < ends, f"never came true; the strip says: {self.text!r}"
            time.sleep(0.1)

    def cookies(self, url: str) -> str:
        """Return the header that the browser would send to this address."""
        found = self._devtools.execute_cdp_cmd("Network.getCookies", {"urls": [url]})["cookies"]
        return "; ".join(f"{each['name']}={each['value']}" for each in found)

    def complaints(self) -> list[str]:
        """What the browser itself found wrong (blocked by the content policy, script errors)."""
        return [entry["message"] for entry in self._devtools.get_log("browser") if entry["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """Every URL asked for since the last call."""
        messages = (json.loads(entry["message"])["message"] for entry in self._devtools.get_log("performance"))
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def js(self, code: str, *arguments: object) -> Any:
        return self._devtools.execute_script(code, *arguments)

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._devtools.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    # The strip.

    def choose(self, staff_number: str) -> str:
        """Choose a person; returns their name."""
        self.js("document.querySelector(`#people input[value='${arguments[0]}']`).click()", staff_number)
        return str(self.js("return document.querySelector('#people label:has(:checked) b').textContent"))

    def name_of(self, staff_number: str) -> str:
        return next(each.name for each in population(10) if each.staff_number == staff_number)

    def press(self, seat: str, words: str) -> None:
        """Press the button with these words at the seat's devices."""
        bench = self.driver.find_elements(By.CSS_SELECTOR, ".bench")[SEATS.index(seat)]
        (button,) = [each for each in bench.find_elements(By.TAG_NAME, "button") if words in each.text.split("\n")]
        button.click()

    def bench(self, seat: str) -> str:
        """The words of the seat's devices: lamps and buttons."""
        return str(self.driver.find_elements(By.CSS_SELECTOR, ".bench")[SEATS.index(seat)].text)

    def cut(self) -> list[str]:
        """What of the strip cannot be read whole at this size."""
        self.driver.switch_to.default_content()
        return [str(each) for each in self.js(CUT)]

    def lamps(self, seat: str) -> str:
        return str(self.driver.find_elements(By.CSS_SELECTOR, ".lamps")[SEATS.index(seat)].text)

    def touch(self, seat: str, staff_number: str) -> str:
        """Lay this person's finger on the seat's reader, once it waits; returns their name."""
        name = self.choose(staff_number)
        self.press(seat, "指を置く")
        return name

    # A seat's screen, and the application in it.

    @contextmanager
    def at(self, seat: str) -> Generator[None, None, None]:
        """Be in the document of the seat's screen."""
        self.driver.switch_to.default_content()
        self.driver.switch_to.frame(self.driver.find_elements(By.CSS_SELECTOR, "#screens iframe")[SEATS.index(seat)])
        try:
            yield
        finally:
            self.driver.switch_to.default_content()

    @contextmanager
    def resident(self, seat: str) -> Generator[None, None, None]:
        """Be in the resident system's document, inside the seat's screen."""
        with self.at(seat):
            self.driver.switch_to.frame(self.driver.find_element(By.CSS_SELECTOR, "#stage iframe"))
            yield

    @property
    def look(self) -> str:
        return str(self.js("return document.documentElement.dataset.look"))

    @property
    def covered(self) -> bool:
        return bool(self.js("return document.documentElement.dataset.cover !== 'off'"))

    @property
    def fading(self) -> bool:
        return bool(self.js("return !document.getElementById('veil').hidden"))

    @property
    def text(self) -> str:
        """Everything a person could read in this document."""
        return str(self.js("return document.body?.innerText ?? ''"))

    @property
    def whole(self) -> str:
        """Everything that is in this document, seen or not."""
        return str(self.js("return document.documentElement.outerHTML"))

    @property
    def frames(self) -> int:
        return int(self.js("return document.querySelectorAll('iframe').length"))

    def click(self, selector: str) -> None:
        """Click by script: the driver's own clicks may miss inside scaled frames."""
        self.js("arguments[0].click()", self.driver.find_element(By.CSS_SELECTOR, selector))

    def until(self, seat: str, what: Callable[[], object], patience: float = PATIENCE_S) -> None:
        """Wait until it is true of the seat's screen."""
        ends = time.perf_counter() + patience
        while True:
            with self.at(seat):
                if what():
                    return
                assert time.perf_counter() < ends, f"never came true; {seat} says: {self.text!r}"
            time.sleep(0.05)

    def watch_for_uncovering(self) -> None:
        """From now on, count the moments without the cover, however short."""
        self.js(
            """const page = document.documentElement;
            window.uncovered = 0;
            new MutationObserver(() => { window.uncovered += page.dataset.cover !== "on"; })
              .observe(page, { attributeFilter: ["data-cover"] });"""
        )

    def until_resident(self, seat: str, what: Callable[[], object]) -> None:
        """Wait until it is true of the resident system's page."""
        ends = time.perf_counter() + PATIENCE_S
        while True:
            with suppress(WebDriverException), self.resident(seat):  # a page may go while it is looked at
                if what():
                    return
            assert time.perf_counter() < ends, f"never came true; {seat} has no such page"
            time.sleep(0.05)

    def touch_until(self, seat: str, staff_number: str, what: Callable[[], object]) -> None:
        """Touch until it comes true: a reader may ask once more."""
        for _ in range(3):
            self.touch(seat, staff_number)
            with suppress(AssertionError):
                return self.until(seat, what, patience=8)
        self.touch(seat, staff_number)
        return self.until(seat, what)

    def log_in(self, seat: str, staff_number: str) -> str:
        """Touch until the seat is this person's; returns their name."""
        name = self.name_of(staff_number)
        self.touch_until(seat, staff_number, lambda: not self.covered and name in self.whole)
        return name

    def open_residents(self, seat: str) -> None:
        """Open the resident system from the seat's screen."""
        with self.at(seat):
            self.click("#tiles button")
        self.until_resident(seat, lambda: "住民検索" in self.text)

    def open_record(self, seat: str, words: str = "ア") -> str:
        """Search, open the first record that is found; returns the address of its page."""
        with self.resident(seat):
            self.js("document.getElementById('words').value = arguments[0]", words)
            self.click("form button")
        self.until_resident(seat, lambda: "照会" in self.text and "件" in self.text)
        with self.resident(seat):
            self.click(".list a")
        self.until_resident(seat, lambda: "住民票照会" in self.text)
        with self.resident(seat):
            return str(self.js("return location.href"))
