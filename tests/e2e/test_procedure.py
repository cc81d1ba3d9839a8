"""A procedure on the seat's screen, by keyboard alone, beside the record that it is about."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from authd.core.model import Message, SeatState
from tests.e2e.browser import Screen
from tests.web.fakes import HANAKO, TARO, active, locked, sight

pytestmark = pytest.mark.real

RIGHT = {"silent": "1", "caller": "2", "basis": "1", "hung_up": "1", "call_back": "1", "reached": "1", "screen": "1"}
OPEN = "return !document.getElementById('procedure').hidden"
TICKED = "return document.querySelectorAll('#procedure input:checked').length"
QUESTION = "return document.querySelector('#procedure legend').innerText"
COUNT = "return document.getElementById('procedure-count').textContent"


@pytest.fixture
def seated(screen: Screen) -> Screen:
    screen.door.town.offer("resident")
    screen.sit_down(active())
    screen.until(lambda: screen.driver.find_elements(By.CSS_SELECTOR, "#procedures button"))
    return screen


def begin(screen: Screen, name: str = "電話の照会") -> None:
    """By keyboard: the shortcut, then Tab to the procedure, then Enter."""
    screen.keys("p", held=(Keys.CONTROL, Keys.ALT))
    for _ in range(4):
        if name in screen.js("return document.activeElement.innerText ?? ''"):
            break
        screen.keys(Keys.TAB)
    screen.keys(Keys.ENTER)
    screen.until(lambda: screen.js(OPEN))


def step(screen: Screen) -> str:
    run = screen.door.town.run
    return run.step.id if run is not None and run.step is not None else ""


def give(screen: Screen, digit: str) -> None:
    """Choose and confirm, and wait for what comes next."""
    before = screen.js(COUNT), screen.js("return document.getElementById('procedure-result').hidden")
    screen.keys(digit, Keys.ENTER)
    now = "return document.getElementById('procedure-result').hidden"
    screen.until(lambda: (screen.js(COUNT), screen.js(now)) != before)


class TestByKeyboardAlone:
    def test_from_the_first_step_to_the_last(self, seated: Screen) -> None:
        begin(seated)
        for number, digit in enumerate(RIGHT.values(), 1):
            assert seated.js(COUNT) == f"{number} / {len(RIGHT)}"
            give(seated, digit)
        assert "手順が終わりました" in seated.text
        assert seated.focused == "procedure-close"
        seated.keys(Keys.ENTER)
        assert not seated.js(OPEN)
        assert [words[3:] for words in seated.door.asked if words[0] == "procedure_answer"] == [
            ("silent", "nothing_told"),
            ("caller", "authority"),
            ("basis", "noted"),
            ("hung_up", "ended"),
            ("call_back", "record"),
            ("reached", "confirmed"),
            ("screen", "read"),
        ]

    def test_nothing_is_ticked_beforehand_and_enter_alone_answers_nothing(self, seated: Screen) -> None:
        begin(seated)
        for digit in RIGHT.values():
            assert seated.js(TICKED) == 0
            here = step(seated)
            seated.keys(Keys.ENTER, Keys.ENTER)
            seated.until(lambda: "どれかを選んでください" in seated.text)
            assert step(seated) == here
            give(seated, digit)

    def test_the_number_that_the_caller_gives_ends_it_with_the_refusal(self, seated: Screen) -> None:
        begin(seated)
        for digit in list(RIGHT.values())[:4]:
            give(seated, digit)
        assert "どの番号にかけ直したか" in seated.js(QUESTION)
        give(seated, "3")
        assert "このとおりに伝えて終える" in seated.text
        assert "どなたについても、記録の有無を含めてお答えしておりません" in seated.text
        assert "We give no answer about anybody" in seated.text

    def test_the_arrows_and_the_space_bar_do_too(self, seated: Screen) -> None:
        begin(seated)
        seated.keys(Keys.SPACE, Keys.ENTER)
        seated.until(lambda: step(seated) == "caller")
        seated.until(lambda: "誰からの電話か" in seated.js(QUESTION))
        seated.keys(Keys.ARROW_DOWN, Keys.ENTER)
        seated.until(lambda: step(seated) == "basis")

    def test_escape_asks_and_a_second_one_goes_on(self, seated: Screen) -> None:
        begin(seated)
        seated.keys("2", Keys.ESCAPE)
        assert "手順を中止しますか" in seated.text
        assert seated.focused == "procedure-go-on"
        seated.keys(Keys.ESCAPE)
        assert "手順を中止しますか" not in seated.text
        assert seated.js(TICKED) == 1
        seated.keys(Keys.ESCAPE, Keys.TAB, Keys.ENTER)
        seated.until(lambda: not seated.js(OPEN))
        assert ("procedure_drop", "counter-1", "run_1") in seated.door.asked

    def test_it_lies_beside_the_application(self, seated: Screen) -> None:
        begin(seated)
        seated.click("#tiles button")
        seated.until(lambda: seated.frames == 1)
        boxes = seated.js(
            """const box = (it) => document.querySelector(it).getBoundingClientRect();
            return [box("#stage iframe").right, box("#procedure").left, box("#procedure").right, innerWidth];"""
        )
        assert boxes[0] <= boxes[1] < boxes[2] == boxes[3]


class TestItEndsWithTheSession:
    def test_a_lock_takes_it_out_of_the_page(self, seated: Screen) -> None:
        begin(seated)
        seated.show(locked(Message.LOCKED))
        seated.until(lambda: seated.covered)
        assert not seated.js(OPEN)
        assert "誰からの電話か" not in seated.whole
        assert "どなたについても" not in seated.whole

    def test_the_next_person_finds_none(self, seated: Screen) -> None:
        begin(seated)
        seated.door.town.run = None
        seated.show(active(TARO, "ses_b"))
        seated.until(lambda: ("procedures", "counter-1", "ses_b") in seated.door.asked)
        assert not seated.js(OPEN)

    def test_a_step_up_keeps_it_and_takes_the_keys(self, seated: Screen) -> None:
        begin(seated)
        seated.show(sight(SeatState.STEPPING_UP, Message.CONFIRM, person=HANAKO))
        seated.until(lambda: "ご確認ください" in seated.text)
        seated.keys("1", Keys.ENTER)
        seated.show(active(message=Message.KEPT))
        seated.until(lambda: "ご確認ください" not in seated.text)
        assert step(seated) == "silent"
        assert seated.js(OPEN)

    def test_a_page_that_is_loaded_anew_goes_on(self, seated: Screen) -> None:
        begin(seated)
        give(seated, "1")
        seated.go()
        seated.until(lambda: seated.js(OPEN))
        assert "誰からの電話か" in seated.js(QUESTION)

    def test_nobody_is_offered_any_before(self, screen: Screen) -> None:
        screen.door.town.offer("resident")
        screen.show(locked())
        screen.until(lambda: screen.covered)
        assert not [words for words in screen.door.asked if words[0].startswith("procedure")]


class TestWhatIsSeen:
    @pytest.mark.parametrize(("width", "height"), [(1024, 768), (1366, 768), (800, 600)])
    def test_every_step_fits(self, seated: Screen, width: int, height: int) -> None:
        seated.size(width, height)
        begin(seated)
        wide = """const it = document.getElementById("procedure");
          return [it, ...it.querySelectorAll("*")].filter((each) => each.scrollWidth > each.clientWidth + 1
            && getComputedStyle(each).display !== "inline").map((each) => each.outerHTML.slice(0, 80));"""
        for digit in RIGHT.values():
            assert seated.js(wide) == []
            assert seated.js("return document.querySelector('#procedure [type=submit]').checkVisibility()")
            give(seated, digit)

    def test_the_browser_has_nothing_to_complain_about(self, seated: Screen) -> None:
        begin(seated)
        give(seated, "2")
        assert seated.complaints() == []
