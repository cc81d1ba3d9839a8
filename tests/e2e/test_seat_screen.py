"""The seat screen in a real browser."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from authd.core.model import SECOND, Confirms, Instant, Message, SeatState
from authd.locale import LANGUAGES
from tests.e2e.browser import Screen
from tests.web.fakes import HANAKO, TARO, active, boottime, locked, sight

pytestmark = pytest.mark.real

NEUTRAL_TINT = (0xE9, 0xED, 0xF1)
SIZES = ((1440, 900), (1024, 768), (720, 700))


def pixels(screen: Screen) -> Any:
    png = np.frombuffer(screen.driver.get_screenshot_as_png(), dtype=np.uint8)
    image = cv2.imdecode(png, cv2.IMREAD_COLOR)
    assert image is not None
    return image[:, :, ::-1]


def assert_opaque(image: Any, tint: tuple[int, int, int]) -> None:
    """The frame around the centre shows the cover's own colour and nothing else."""
    edge = np.concatenate(
        [image[:20].reshape(-1, 3), image[:500, :20].reshape(-1, 3), image[:500, -20:].reshape(-1, 3)]
    )
    assert (edge == tint).all()


class TestCover:
    def test_the_first_frame_is_opaque_before_any_script(self, screen: Screen) -> None:
        screen.show(active())
        screen.cdp("Emulation.setScriptExecutionDisabled", value=True)
        screen.go()
        assert_opaque(pixels(screen), NEUTRAL_TINT)

    def test_a_lock_leaves_nothing_beneath(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.show(locked(Message.LOCKED))
        screen.until(lambda: screen.covered)
        assert screen.frames == 0
        assert "花子" not in screen.whole
        assert_opaque(pixels(screen), NEUTRAL_TINT)

    def test_a_silent_core_covers_and_then_closes(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.door.beating = False
        screen.do(lambda: screen.door.hang_up(down=True))
        screen.until(lambda: screen.covered)
        assert "接続を待っています" in screen.text
        screen.until(lambda: screen.frames == 0)
        assert "花子" not in screen.whole

    def test_beats_that_stop_cover_although_the_line_stands(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.watch_for_uncovering()
        screen.door.present = locked()
        screen.door.beating = False
        screen.until(lambda: screen.covered)

    def test_a_short_silence_loses_no_work(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        with screen.inside():
            screen.js("document.getElementById('field').value = 'half written'")
        screen.do(screen.door.hang_up)
        screen.until(lambda: len(screen.door.watchers) == 0)
        screen.until(lambda: len(screen.door.watchers) == 1 and not screen.covered)
        with screen.inside():
            assert screen.js("return document.getElementById('field').value") == "half written"

    def test_a_dead_server_covers(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.do(screen.running.stop)
        screen.until(lambda: screen.covered)

    def test_a_script_error_covers_and_heals(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.show(sight(SeatState.LOCKED, Message.WAITING, session=None))
        screen.until(lambda: screen.covered)
        screen.sit_down(active())
        screen.js("window.same = true; setTimeout(() => { throw new Error('broken on purpose'); })")
        screen.until(lambda: screen.covered and screen.frames == 0)
        screen.until(lambda: screen.js("return window.same === undefined && document.readyState === 'complete'"))
        screen.until(lambda: not screen.covered)

    def test_no_key_uncovers(self, screen: Screen) -> None:
        """A hospital's Imprivata screen: Cancel unlocked it."""
        screen.show(locked(Message.LOCKED))
        screen.until(lambda: screen.look == "locked")
        screen.watch_for_uncovering()
        function_keys = [getattr(Keys, f"F{n}") for n in range(1, 13)]
        screen.keys(Keys.ESCAPE, Keys.ENTER, Keys.SPACE, Keys.TAB, Keys.BACKSPACE, Keys.DELETE, Keys.HOME, Keys.END)
        screen.keys(Keys.CANCEL, Keys.HELP, Keys.PAGE_UP, Keys.PAGE_DOWN, Keys.INSERT, Keys.ARROW_UP, *function_keys)
        for modifier in (Keys.CONTROL, Keys.ALT, Keys.SHIFT, Keys.META):
            screen.keys(Keys.ESCAPE, Keys.ENTER, "l", "h", "p", "s", Keys.ARROW_LEFT, held=(modifier,))
        screen.keys("l", "h", Keys.ESCAPE, held=(Keys.CONTROL, Keys.ALT))
        assert screen.covered
        assert not screen.was_uncovered
        assert screen.door.asked == []

    def test_no_event_uncovers(self, screen: Screen) -> None:
        screen.show(locked(Message.LOCKED))
        screen.until(lambda: screen.look == "locked")
        screen.watch_for_uncovering()
        screen.js(
            """const names = ["focus", "blur", "resize", "scroll", "online", "offline", "hashchange", "popstate",
              "pageshow", "storage", "beforeprint", "afterprint", "load", "DOMContentLoaded", "fullscreenchange",
              "visibilitychange", "freeze", "resume", "languagechange", "contextmenu", "dblclick", "drop", "paste",
              "cancel", "close", "toggle", "submit", "reset", "pointercancel", "touchend", "keyup", "beforeunload"];
            for (const name of names) for (const target of [window, document, document.body, document.activeElement])
              target.dispatchEvent(new Event(name, { bubbles: true }));
            window.postMessage({ unlock: true, state: "active", covered: false, turn: "x" }, "*");
            location.hash = "active";
            for (const button of document.querySelectorAll("#desk button")) button.click();"""
        )
        for button in ("#cover", "#cover .language", "#shape"):
            screen.click(button)
        assert screen.covered
        assert not screen.was_uncovered
        assert [words for words in screen.door.asked if words[0] != "activity"] == []


class TestHandOver:
    def test_the_next_person_never_sees_the_one_before(self, screen: Screen) -> None:
        screen.sit_down(active(HANAKO, "ses_a"))
        screen.open_application()
        screen.show(active(TARO, "ses_b"))
        screen.until(lambda: "鈴木 太郎さん、開始" in screen.text)
        assert screen.frames == 0
        assert "花子" not in screen.whole
        assert "はなこ" not in screen.whole

    def test_a_ticket_that_comes_after_the_hand_over_is_not_used(self, screen: Screen) -> None:
        screen.sit_down(active(HANAKO, "ses_a"))
        screen.js(
            """const real = window.fetch;
            window.fetch = async (...given) => {
              const answer = await real(...given);
              if (given[0].endsWith("/open")) await new Promise((go) => { window.go = go; });
              return answer;
            };"""
        )
        screen.click("#tiles button")
        screen.until(lambda: screen.js("return window.go !== undefined"))
        screen.show(active(TARO, "ses_b"))
        screen.until(lambda: "鈴木 太郎さん、開始" in screen.text)
        screen.js("window.go()")
        screen.until(lambda: not screen.js("return document.querySelector('#tiles button').disabled"))
        assert screen.frames == 0

    def test_the_name_gives_way_to_the_section(self, screen: Screen) -> None:
        screen.sit_down(active())
        assert "佐藤 花子さん、開始" in screen.text
        assert "さとう はなこ" in screen.text
        screen.until(lambda: "花子" not in screen.text)
        assert "市民課" in screen.text

    def test_who_came_earlier_is_not_greeted_again(self, screen: Screen) -> None:
        screen.sit_down(active(at=Instant(boottime() - 5 * SECOND)))
        assert "花子" not in screen.text

    def test_old_news_is_not_told_again(self, screen: Screen) -> None:
        news = "前の席をロックしました"
        screen.sit_down(active(message=Message.MOVED_HERE, at=Instant(boottime() - 10 * SECOND)))
        assert news not in screen.text
        screen.show(active(session="ses_b", message=Message.MOVED_HERE))
        screen.until(lambda: news in screen.text)
        screen.show(active(session="ses_b", message=Message.MOVED_HERE, reader=False))
        screen.until(lambda: "読み取り装置が使えません" in screen.text)
        screen.show(active(session="ses_b", message=Message.MOVED_HERE))
        screen.until(lambda: "読み取り装置が使えません" not in screen.text)
        assert news not in screen.text


class TestFade:
    def test_the_owner_is_named_and_time_runs_out_visibly(self, screen: Screen) -> None:
        screen.sit_down(active(at=Instant(boottime() - 5 * SECOND)))
        screen.open_application()
        screen.show(sight(SeatState.FADING, Message.FADING, person=HANAKO, left=30))
        screen.until(lambda: "佐藤 花子さん、まもなくロック" in screen.text)
        timer = screen.driver.find_element(By.CSS_SELECTOR, "[role=timer] .left")
        assert timer.text in ("30", "29")
        screen.until(lambda: timer.text in ("28", "27"))
        assert screen.frames == 1

    def test_a_touch_takes_the_veil_away(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.show(sight(SeatState.FADING, Message.FADING, person=HANAKO, left=30))
        screen.until(lambda: "まもなくロック" in screen.text)
        screen.show(active(message=Message.KEPT))
        screen.until(lambda: "まもなくロック" not in screen.text)
        assert "継続します" in screen.text
        assert screen.frames == 1

    def test_the_end_of_the_fade_covers_without_being_told(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.show(sight(SeatState.FADING, Message.FADING, person=HANAKO, left=0.2))
        screen.until(lambda: screen.covered)

    def test_a_step_up_hides_the_work_and_keeps_it(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.show(sight(SeatState.STEPPING_UP, Message.CONFIRM, person=HANAKO))
        screen.until(lambda: "ご確認ください" in screen.text)
        green = (pixels(screen)[80:] == (0, 255, 0)).all(axis=2)
        assert not green.any()
        assert screen.frames == 1

    def test_what_the_touch_allows_is_said_until_it_came(self, screen: Screen) -> None:
        screen.sit_down(active())
        for message in (Message.CONFIRM, Message.ONCE_MORE, Message.ANOTHER_FINGER):
            screen.show(sight(SeatState.STEPPING_UP, message, person=HANAKO, confirms=Confirms.CARRYOUT))
            screen.until(lambda: "データ持ち出しの確認です" in screen.text)
        screen.until(lambda: "別の指をもう一本" in screen.text)
        screen.show(sight(SeatState.STEPPING_UP, Message.CONFIRM, person=HANAKO))
        screen.until(lambda: "ご確認ください" in screen.text)
        assert "持ち出し" not in screen.text


class TestKeyboard:
    def test_enter_opens_the_first_application(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.keys(Keys.ENTER)
        screen.until(lambda: screen.frames == 1)
        assert screen.asked("ticket", "counter-1", "resident")
        screen.until(lambda: screen.focused == "IFRAME")

    def test_tab_goes_round_everything_and_shows_where_it_is(self, screen: Screen) -> None:
        screen.sit_down(active())
        seen: list[str] = []
        for _ in range(6):
            seen.append(screen.js("return document.activeElement.innerText.split('\\n')[0]"))
            outline = "return getComputedStyle(document.activeElement).outlineStyle"
            assert screen.js(outline) == "solid", seen[-1]
            screen.keys(Keys.TAB)
            if screen.focused == "BODY":
                screen.keys(Keys.TAB)
        assert {"住民記録", "税務", "ロック", "ログアウト", "English"} <= set(seen)

    def test_the_shortcut_locks_at_once(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.keys("l", held=(Keys.CONTROL, Keys.ALT))
        assert screen.covered
        screen.until(lambda: screen.asked("press", "counter-1", "lock"))

    def test_logging_out_is_asked_about_and_escape_is_no(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.js("document.getElementById('logout').focus()")
        screen.keys(Keys.ENTER)
        assert "ログアウトしますか" in screen.text
        assert screen.focused == "cancel"
        screen.keys(Keys.ESCAPE)
        assert "ログアウトしますか" not in screen.text
        assert screen.focused == "logout"
        screen.keys(Keys.ENTER, Keys.TAB, Keys.ENTER)
        assert screen.covered
        screen.until(lambda: screen.asked("press", "counter-1", "logout"))

    def test_on_the_cover_only_the_language_can_be_reached(self, screen: Screen) -> None:
        for _ in range(4):
            screen.keys(Keys.TAB)
            assert screen.js("return document.activeElement.className") in ("language", "")


class TestPointer:
    def test_the_lock_button_locks(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.click("#lock")
        assert screen.covered
        screen.until(lambda: screen.asked("press", "counter-1", "lock"))

    def test_a_short_press_does_not_log_out_and_a_long_one_does(self, screen: Screen) -> None:
        screen.sit_down(active())
        button = screen.driver.find_element(By.ID, "logout")
        button.click()
        assert "2秒押し続ける" in screen.text
        assert not screen.covered
        ActionChains(screen.driver).click_and_hold(button).perform()
        screen.until(lambda: screen.covered)
        screen.until(lambda: screen.asked("press", "counter-1", "logout"))
        ActionChains(screen.driver).release().perform()

    def test_a_lock_that_the_core_did_not_hear_shows_the_truth_again(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.cdp("Network.setBlockedURLs", urls=["*/press"])
        screen.click("#lock")
        screen.cdp("Network.setBlockedURLs", urls=[])
        screen.until(lambda: not screen.covered)
        assert {words[0] for words in screen.door.asked} <= {"activity", "procedures"}


class TestActivity:
    def test_a_key_is_reported(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.keys("x")
        screen.until(lambda: screen.asked("activity", "counter-1"))

    def test_work_inside_an_application_is_seen_without_asking_it(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application(by_hand=False)
        assert not screen.asked("activity", "counter-1")
        with screen.inside():
            screen.driver.find_element(By.ID, "field").send_keys("a")
        screen.until(lambda: screen.asked("activity", "counter-1"))

    def test_what_a_script_invents_is_not_activity(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.js(
            """for (const name of ["keydown", "pointerdown", "wheel", "pointermove"])
              for (let x = 0; x < 3; x++) window.dispatchEvent(new PointerEvent(name, { screenX: x }));"""
        )
        screen.show(active(message=Message.WAIT))
        screen.until(lambda: "少しお待ちください" in screen.text)
        assert not screen.asked("activity", "counter-1")

    def test_a_veil_under_a_resting_pointer_is_not_activity(self, screen: Screen) -> None:
        """Browsers invent a pointer movement, at the same place, when what lies under the pointer changes."""
        screen.sit_down(active())
        screen.open_application(by_hand=False)
        screen.point((300, 30), (320, 30))
        screen.until(lambda: screen.asked("activity", "counter-1"))
        screen.point((500, 500))
        timer = screen.driver.find_element(By.CSS_SELECTOR, "[role=timer] .left")
        screen.show(sight(SeatState.FADING, Message.FADING, person=HANAKO, left=30))
        # Longer than reports are held back.
        screen.until(lambda: timer.text == "28")
        screen.door.asked.clear()
        for left in (20, 10):
            screen.show(active(message=Message.KEPT))
            screen.until(lambda: not timer.is_displayed())
            screen.show(sight(SeatState.FADING, Message.FADING, person=HANAKO, left=left))
            screen.until(lambda: timer.text in (f"{left}", f"{left - 1}"))  # noqa: B023 (called within the loop)
            screen.point((500, 500))
        assert not screen.asked("activity", "counter-1")
        screen.point((520, 510), (540, 520))
        screen.until(lambda: screen.asked("activity", "counter-1"))


class TestApplications:
    def test_an_application_cannot_leave_its_frame(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        windows = len(screen.driver.window_handles)
        screen.js("document.querySelector('iframe').contentWindow.postMessage('escape', '*')")
        with screen.inside():
            screen.until(lambda: screen.js("return document.body.dataset.tried") == "yes")
        screen.show(locked(Message.LOCKED))
        screen.until(lambda: screen.covered)
        assert len(screen.driver.window_handles) == windows
        assert screen.js("return document.fullscreenElement") is None

    def test_an_application_that_hangs_cannot_hold_the_lock_up(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.js("document.querySelector('iframe').contentWindow.postMessage('hang', '*')")
        screen.show(locked(Message.LOCKED))
        screen.until(lambda: screen.covered)
        assert screen.frames == 0

    def test_two_applications_stay_open_side_by_side(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.click("#home")
        screen.driver.find_elements(By.CSS_SELECTOR, "#tiles button")[1].click()
        screen.until(lambda: screen.frames == 2)
        visible = "return [...document.querySelectorAll('iframe')].map((frame) => frame.checkVisibility())"
        assert screen.js(visible) == [False, True]
        screen.click("#home")
        screen.click("#tiles button")
        screen.until(lambda: screen.js(visible) == [True, False])
        assert len([words for words in screen.door.asked if words[0] == "ticket"]) == 2

    def test_a_refused_ticket_is_said(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.door.url = "http://elsewhere.example/"
        screen.click("#tiles button")
        screen.until(lambda: "開けませんでした" in screen.text)
        assert screen.frames == 0


class TestLanguages:
    def test_the_other_language_can_be_the_larger_and_stays_so(self, screen: Screen) -> None:
        assert larger(screen) == "ja"
        screen.click("#cover .language")
        assert larger(screen) == "en"
        screen.go()
        screen.until(lambda: screen.look == "waiting")
        assert larger(screen) == "en"
        screen.click("#cover .language")
        assert larger(screen) == "ja"

    @pytest.mark.parametrize(("width", "height"), SIZES)
    def test_every_sentence_fits(self, screen: Screen, width: int, height: int) -> None:
        screen.size(width, height)
        bad = screen.js_async(
            """const [messages, languages, done] = arguments;
            import("/static/cover.js").then(({ coverWith }) => {
              const bad = [];
              for (const language of languages) for (const message of messages) {
                document.documentElement.lang = language;
                coverWith(message, { hint: "too_short", reader: true, left_ms: 30000 });
                for (const part of document.querySelectorAll("#cover :is(.headline, .detail, footer), #shape")) {
                  const box = part.getBoundingClientRect();
                  if (box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight
                      || part.scrollWidth > part.clientWidth + 1) bad.push([language, message, part.className]);
                }
              }
              document.documentElement.lang = "ja";
              done(bad);
            });""",
            [message.value for message in Message],
            list(LANGUAGES),
        )
        assert bad == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_every_tone_can_be_read(self, screen: Screen, scheme: str) -> None:
        """WCAG 2.2: 4.5 for text, 3 for shapes."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        screen.cdp("Emulation.setEmulatedMedia", features=features)
        for tone in ("calm", "good", "retry", "other", "neutral", "stop", "trouble", "alarm"):
            screen.js("document.documentElement.dataset.tone = arguments[0]", tone)
            assert contrast(screen, "--tint", "--ink") >= 7, tone
            assert contrast(screen, "--tint", "--soft") >= 4.5, tone
            assert contrast(screen, "--tint", "--accent") >= 3, tone
            assert contrast(screen, "--card", "--accent") >= 4.5, tone
        screen.cdp("Emulation.setEmulatedMedia", features=[])

    def test_no_two_messages_of_different_meaning_look_the_same(self, screen: Screen) -> None:
        looks = screen.js_async(
            """const [messages, done] = arguments;
            import("/static/looks.js").then(({ look }) => done(messages.map((message) => look(message).shape)));""",
            [
                *(
                    "waiting",
                    "reading",
                    "start",
                    "once_more",
                    "other_way",
                    "confirm",
                    "locked",
                    "refused",
                    "wait",
                    "fault",
                ),
                *("another_factor", "key_unknown", "key_refused", "key_blocked", "card_alone", "pin", "pin_wrong"),
                *("removed", "colleague", "vouched", "second_person", "break_glass"),
            ],
        )
        assert len(set(looks)) == len(looks)


class TestTheMachineIsNotLeft:
    def test_every_request_stays_here(self, screen: Screen, application: str) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.click("#lock")
        screen.until(lambda: screen.covered)
        asked = screen.requests()
        assert len(asked) > 10
        assert [url for url in asked if not url.startswith((screen.origin, application))] == []

    def test_the_browser_has_nothing_to_complain_about(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.show(locked())
        screen.until(lambda: screen.covered)
        assert screen.complaints() == []


def larger(screen: Screen) -> str:
    code = """const size = (lang) => parseFloat(
          getComputedStyle(document.querySelector(`#cover .headline [lang=${lang}]`)).fontSize);
        return size("ja") > size("en") ? "ja" : "en";"""
    return str(screen.js(code))


def contrast(screen: Screen, behind: str, before: str) -> float:
    def light(name: str) -> float:
        code = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0]).trim()"
        colour = screen.js(code, name).lstrip("#")
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    lights = sorted((light(behind), light(before)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)
