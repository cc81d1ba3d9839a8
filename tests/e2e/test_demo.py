"""The demo, from its first line to Ctrl-C: real processes, a real browser, nothing but what a newcomer can press."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from authd.client import connect_sync
from tests.e2e import browser
from tests.e2e.counter import PATIENCE_S, SEATS, Counter, Demo, alive, family, taken

pytestmark = pytest.mark.real

ONE, TWO = SEATS
ITO, NAKAMURA = "1003", "1005"
"""Both of the section whose seats these are."""
SHIMIZU = "1004"
"""Of another section."""


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with taken(), Demo() as demo:
        demo.ready()
        yield demo


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    driver = browser.start()
    yield driver
    driver.quit()


@pytest.fixture
def counter(demo: Demo, chromium: webdriver.Chrome) -> Iterator[Counter]:
    """The demo's page, the devices in order and nobody at either seat."""
    counter = Counter(chromium, demo.address)
    counter.size(1440, 900)
    counter.go()
    yield counter
    counter.put_in_order()
    complaints = counter.complaints()
    assert complaints == []


def answer(url: str, cookie: str) -> tuple[int, str]:
    """What the resident system answers to this address with this cookie: the status and the page."""
    request = urllib.request.Request(url, headers={"cookie": cookie})
    try:
        with urllib.request.urlopen(request, timeout=10) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_procedure_is_run_by_keyboard_and_stands_in_the_ledger(counter: Counter, demo: Demo) -> None:
    counter.log_in(ONE, ITO)
    counter.until(ONE, lambda: "電話の照会" in counter.text)
    with counter.at(ONE):
        counter.js("[...document.querySelectorAll('#procedures button')].at(-1).focus()")
        keys(counter, Keys.ENTER)
    for number, digit in enumerate("14", 1):
        counter.until(ONE, lambda number=number: f"{number} / 7" in counter.text)  # type: ignore[misc]  # bound now
        with counter.at(ONE):
            keys(counter, digit, Keys.ENTER)
    counter.until(ONE, lambda: "どなたについても、記録の有無を含めてお答えしておりません" in counter.text)
    with counter.at(ONE):
        counter.click("#lock")
    counter.until(ONE, lambda: counter.covered)
    with counter.at(ONE):
        assert "どなたについても" not in counter.whole
    command = [
        str(Path(sys.executable).with_name("authd")),
        "events",
        "--config",
        str(demo.folder / "authd.toml"),
        "--json",
    ]
    rows = [json.loads(line) for line in subprocess.run(command, capture_output=True, check=True).stdout.splitlines()]
    told = [row["data"] for row in rows if row["kind"].startswith("procedure.")]
    assert [data.get("answer") for data in told] == [None, "nothing_told", "family", None]
    assert (told[-1]["result"], told[-1]["version"]) == ("refused", "2026.1")
    assert told[-1]["ms"] >= told[1]["ms"] > 0


def keys(counter: Counter, *pressed: str) -> None:
    ActionChains(counter.driver, duration=0).send_keys(*pressed).perform()


def test_from_the_first_touch_to_who_was_it(counter: Counter, demo: Demo) -> None:
    began = time.strftime("%Y-%m-%dT%H:%M:%S")
    name = counter.log_in(ONE, ITO)
    with counter.at(ONE):
        assert f"{name}さん" in counter.text
    counter.open_residents(ONE)
    url = counter.open_record(ONE)
    with counter.resident(ONE):
        assert name in counter.text
        resident = str(counter.js("return document.querySelector('.record .big').textContent"))
    cookie = counter.cookies(url)
    status, page = answer(url, cookie)
    assert (status, resident in page) == (200, True)

    counter.press(ONE, "席を離れる")
    counter.until(ONE, lambda: counter.fading and f"{name}さん、まもなくロック" in counter.text)
    counter.until(ONE, lambda: counter.covered and counter.look == "locked")
    with counter.at(ONE):
        assert counter.frames == 0
        assert name not in counter.whole
        assert "ロックしました" in counter.text
    status, page = answer(url, cookie)
    assert (status, resident in page) == (403, False)

    counter.press(ONE, "席に戻る")
    assert counter.log_in(ONE, ITO) == name
    assert answer(url, cookie)[0] == 403
    stays = who(demo, ONE, began)
    assert [stay["person"]["name"] for stay in stays] == [name, name]
    assert [stay["grade"] for stay in stays] == ["B", "B"]
    assert [stay["reason"] for stay in stays] == ["absence", None]


def who(demo: Demo, seat: str, since: str) -> list[dict[str, Any]]:
    """Ask as the demo says one can; return the stays, without times of which nothing is known."""
    words = ["who", "--config", str(demo.folder / "authd.toml"), "--seat", seat, "--from", since]
    until = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 60))
    command = [str(Path(sys.executable).with_name("authd")), *words, "--to", until, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    stays = [json.loads(line) for line in done.stdout.splitlines()]
    return [stay for stay in stays if stay["subject"]]


def test_a_touch_in_the_fade_keeps_the_session_and_its_page(counter: Counter) -> None:
    counter.log_in(ONE, ITO)
    counter.open_residents(ONE)
    url = counter.open_record(ONE)
    counter.press(ONE, "席を離れる")
    counter.until(ONE, lambda: counter.fading)
    counter.press(ONE, "席に戻る")
    counter.touch(ONE, ITO)
    counter.until(ONE, lambda: not counter.fading and not counter.covered)
    with counter.resident(ONE):
        assert counter.js("return location.href") == url


def test_the_same_person_at_the_other_seat(counter: Counter) -> None:
    name = counter.log_in(ONE, ITO)
    counter.open_residents(ONE)
    counter.log_in(TWO, ITO)
    counter.until(TWO, lambda: "前の席をロックしました" in counter.text)
    counter.until(ONE, lambda: counter.covered and "別の席に移りました" in counter.text)
    with counter.at(ONE):
        assert counter.frames == 0
        assert name not in counter.whole


def test_a_hand_over_shows_nothing_of_the_one_before(counter: Counter) -> None:
    counter.log_in(ONE, ITO)
    counter.open_residents(ONE)
    url = counter.open_record(ONE)
    cookie = counter.cookies(url)
    with counter.at(ONE):
        second = counter.name_of(NAKAMURA)
        # From now on, remember any moment in which the second person's name and the first one's page are both there.
        counter.js(
            """window.mixed = false;
            const page = document.documentElement, old = document.querySelector("#stage iframe");
            new MutationObserver(() => { window.mixed ||= old.isConnected && page.innerHTML.includes(arguments[0]); })
              .observe(page, { subtree: true, childList: true, characterData: true, attributes: true });""",
            second,
        )
    counter.log_in(ONE, NAKAMURA)
    with counter.at(ONE):
        assert counter.frames == 0
        assert counter.js("return window.mixed") is False
    assert answer(url, cookie)[0] == 403
    counter.open_residents(ONE)
    with counter.resident(ONE):
        assert second in counter.text
        assert "住民票照会" not in counter.text
        assert str(counter.js("return location.pathname")).split("/")[2] not in url


def until_lost(demo: Demo, reader: str, act: Callable[[], None]) -> None:
    """Do it, and wait until the ledger says that the reader is lost: a seat that has another one goes on with that."""
    door = connect_sync(f"unix:{demo.folder}/run/door.sock")
    patience = threading.Timer(PATIENCE_S, door.close)
    patience.start()
    try:
        ledger = cast("dict[str, Any]", door.status()["ledger"])
        act()
        lost = (event for event in door.follow(ledger["rows"]) if event.kind == "reader.lost")
        assert any(event.detail["reader"] == reader for event in lost)
    finally:
        patience.cancel()
        door.close()


def test_a_strangers_finger_lets_nobody_in(counter: Counter) -> None:
    with counter.at(ONE):
        counter.watch_for_uncovering()
    counter.press(ONE, "知らない人の指")
    counter.until(ONE, lambda: counter.look not in ("waiting", "reading"))
    counter.until(ONE, lambda: counter.look == "waiting")
    with counter.at(ONE):
        assert counter.covered
        assert counter.js("return window.uncovered") == 0


def test_a_reader_that_talks_nonsense_lets_nobody_in(counter: Counter, demo: Demo) -> None:
    with counter.at(ONE):
        counter.watch_for_uncovering()
    until_lost(demo, "vein-1", lambda: counter.press(ONE, "でたらめな応答"))
    counter.until_strip(lambda: "不調" in counter.lamps(ONE))  # it looks at the devices now and then
    counter.put_in_order(leave_sessions=True)
    counter.until(ONE, lambda: counter.look == "waiting")
    with counter.at(ONE):
        assert counter.covered
        assert counter.js("return window.uncovered") == 0


def test_whom_the_policy_does_not_know_here_is_refused(counter: Counter) -> None:
    with counter.at(ONE):
        counter.watch_for_uncovering()
    counter.touch_until(ONE, SHIMIZU, lambda: "ここでは使えません" in counter.text)
    with counter.at(ONE):
        assert counter.js("return window.uncovered") == 0


def test_a_long_touch_logs_out(counter: Counter) -> None:
    counter.log_in(ONE, ITO)
    counter.open_residents(ONE)
    time.sleep(2.5)  # the span after a grant in which a touch is a bounce, and whoever holds means it
    counter.press(ONE, "長く置く")
    counter.until(ONE, lambda: counter.covered and "ログアウトしました" in counter.text)
    with counter.at(ONE):
        assert counter.frames == 0


def test_an_unplugged_reader_is_recorded_and_heals(counter: Counter, demo: Demo) -> None:
    until_lost(demo, "vein-1", lambda: counter.press(ONE, "読取装置を抜く"))
    with counter.at(ONE):
        assert counter.covered
    counter.until_strip(lambda: "抜けています" in counter.lamps(ONE))
    counter.press(ONE, "読取装置を挿す")
    counter.until_strip(lambda: "接続中" in counter.lamps(ONE))
    assert counter.log_in(ONE, ITO)


def test_both_languages_and_the_chosen_one_first(counter: Counter) -> None:
    above = """const [ja, en] = ["ja", "en"].map((each) => document.querySelector(`#cover .headline [lang=${each}]`));
        return ja.textContent !== "" && en.textContent !== "" && ja.offsetTop < en.offsetTop;"""
    with counter.at(ONE):
        assert counter.js(above) is True
        counter.click("#cover .language")
        assert counter.js(above) is False
        counter.click("#cover .language")
        assert counter.js(above) is True


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (1280, 800), (1366, 768), (1920, 1080)])
def test_nothing_of_the_strip_is_cut_off(counter: Counter, width: int, height: int) -> None:
    """With the longest of what a lamp says of a reader, and of a button that is pressed in."""
    counter.size(width, height)
    counter.press(ONE, "読取装置を抜く")
    counter.press(TWO, "鍵を挿す")
    counter.until_strip(lambda: "抜けています" in counter.lamps(ONE) and "鍵を抜く" in counter.bench(TWO))
    cut = counter.cut()
    counter.press(TWO, "鍵を抜く")
    assert cut == []


def test_no_request_leaves_the_machine(counter: Counter) -> None:
    counter.log_in(ONE, ITO)
    counter.open_residents(ONE)
    asked = counter.requests()
    assert asked
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:"))] == []


def test_ctrl_c_leaves_nothing_behind(demo: Demo) -> None:
    """The last one: it ends the demo of this file."""
    processes = family(demo.process.pid)
    assert len(processes) >= 9  # devices, daemon, web, verifier, four readers, two pages
    assert demo.folder.is_dir()
    assert demo.interrupt() == 0
    assert alive(processes) == []
    assert not demo.folder.exists()
    assert "Traceback" not in demo.errors()


def test_ctrl_c_while_it_is_being_set_up_leaves_nothing_behind() -> None:
    with taken(), Demo() as demo:
        while len(processes := family(demo.process.pid)) < 5:
            assert demo.process.poll() is None
            time.sleep(0.05)
        assert demo.interrupt() == 0
        assert alive(processes) == []
        assert "Traceback" not in demo.errors()
