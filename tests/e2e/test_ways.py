"""A locked screen's prompt, names, help and keys, in a real browser over a fake door."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from authd.core.model import SECOND, Denial, Instant, Message, Prompt, PromptId, SeatState
from authd.locale import LANGUAGES
from authd.web.door import DoorError, Named
from tests.e2e.authenticator import plugged_in
from tests.e2e.browser import Screen
from tests.e2e.office import SUBJECT, Office
from tests.e2e.office import office as open_office
from tests.web.fakes import HANAKO, active, boottime, locked, sight

pytestmark = pytest.mark.real

PIN = Prompt(PromptId.PIN, left=3)
AGAIN = Prompt(PromptId.PIN, left=1, again=True)
SIZES = ((1440, 900), (1024, 768), (720, 700), (480, 800))
CATCH_THE_CLOSING = """const real = window.setTimeout;
window.setTimeout = (act, after) => { if (after === 15000) window.closing = act; return real(act, after); };"""


@pytest.fixture
def screen(ways: Screen) -> Screen:
    return ways


def ask(screen: Screen, prompt: Prompt = PIN) -> None:
    """Show a prompt, and wait for its field."""
    wanted = "pin-wrong" if prompt.again else "pin"
    screen.show(locked(Message.PIN, prompt=prompt))
    screen.until(lambda: screen.look == wanted and screen.focused == "pin")


def field(screen: Screen) -> str:
    return str(screen.js("return document.getElementById('pin').value"))


def answers(screen: Screen) -> list[str]:
    return [words[2] for words in screen.door.asked if words[0] == "answer"]


class TestPrompt:
    def test_enter_sends_what_was_typed_and_nothing_of_it_stays(self, screen: Screen) -> None:
        ask(screen)
        assert "PINを入力してください" in screen.text
        assert "残り3回" in screen.text
        screen.keys("13s7", Keys.ENTER)
        screen.until(lambda: answers(screen) == ["13s7"])
        assert field(screen) == ""
        assert "13s7" not in screen.whole
        screen.keys("13s7", Keys.ENTER, Keys.ENTER)
        assert answers(screen) == ["13s7"]
        assert screen.covered

    def test_escape_empties_the_field_and_opens_nothing(self, screen: Screen) -> None:
        ask(screen)
        screen.watch_for_uncovering()
        screen.keys("1357", Keys.ESCAPE, Keys.ENTER, Keys.ESCAPE, Keys.TAB, Keys.F1)
        assert field(screen) == ""
        assert answers(screen) == []
        assert screen.covered
        assert not screen.was_uncovered

    def test_a_new_face_wipes_what_was_typed_for_the_one_before(self, screen: Screen) -> None:
        ask(screen)
        screen.keys("13")
        assert field(screen) == "13"
        screen.show(locked(Message.PIN, prompt=AGAIN))
        screen.until(lambda: screen.look == "pin-wrong")
        assert field(screen) == ""
        screen.keys("57", Keys.ENTER)
        assert answers(screen) == []
        screen.keys("1357")
        screen.show(locked())
        screen.until(lambda: screen.look == "waiting")
        assert field(screen) == ""
        assert not screen.driver.find_element(By.ID, "pin").is_displayed()

    def test_a_lost_core_wipes_it_too(self, screen: Screen) -> None:
        ask(screen)
        screen.keys("1357")
        screen.do(lambda: screen.door.hang_up(down=True))
        screen.until(lambda: "接続を待っています" in screen.text)
        assert field(screen) == ""

    def test_a_wrong_one_is_said_in_words_and_by_shape(self, screen: Screen) -> None:
        ask(screen, AGAIN)
        assert "PINが違います" in screen.text
        assert "残り1回" in screen.text
        border = "return getComputedStyle(document.getElementById('tries')).borderTopStyle"
        assert screen.js(border) == "double"

    def test_what_no_key_takes_is_not_sent(self, screen: Screen) -> None:
        ask(screen)
        screen.keys("135", Keys.ENTER)
        assert "PINの長さが合いません" in screen.text
        screen.keys("あ" * 22, Keys.ENTER)
        assert answers(screen) == []
        screen.keys("あいうえ", Keys.ENTER)
        screen.until(lambda: answers(screen) == ["あいうえ"])

    def test_a_new_one_is_typed_twice(self, screen: Screen) -> None:
        ask(screen, Prompt(PromptId.NEW_PIN))
        assert "新しいPINを決める" in screen.text
        screen.keys("1357", Keys.ENTER)
        assert "同じPINをもう一度" in screen.text
        screen.keys("1358", Keys.ENTER)
        assert "PINが一致しません" in screen.text
        screen.keys("1357", Keys.ENTER, "1357", Keys.ENTER)
        screen.until(lambda: answers(screen) == ["1357"])

    def test_keys_beside_the_field_are_meant_for_it(self, screen: Screen) -> None:
        ask(screen)
        screen.click("#shape")
        assert screen.focused == "BODY"
        screen.keys("1357", Keys.ENTER)
        screen.until(lambda: answers(screen) == ["1357"])

    def test_an_answer_that_was_not_taken_is_said(self, screen: Screen) -> None:
        ask(screen)
        screen.door.refuse = DoorError("not_found")
        screen.keys("1357", Keys.ENTER)
        screen.until(lambda: "送れませんでした" in screen.text)

    def test_in_a_step_up_the_work_is_hidden_and_kept(self, screen: Screen) -> None:
        screen.sit_down(active())
        screen.open_application()
        screen.show(sight(SeatState.STEPPING_UP, Message.CONFIRM, person=HANAKO, prompt=PIN))
        screen.until(lambda: screen.focused == "pin")
        assert "ご確認ください" in screen.text
        assert "PINを入力してください" in screen.text
        assert "RECORD" not in screen.text
        assert screen.frames == 1
        screen.keys("1357", Keys.ENTER)
        screen.until(lambda: answers(screen) == ["1357"])
        screen.show(sight(SeatState.STEPPING_UP, Message.CONFIRM, person=HANAKO, prompt=AGAIN))
        screen.until(lambda: "PINが違います" in screen.text and screen.focused == "pin")
        screen.show(active(message=Message.KEPT))
        screen.until(lambda: screen.focused == "IFRAME")
        assert not screen.driver.find_element(By.ID, "veil").is_displayed()
        screen.show(sight(SeatState.STEPPING_UP, Message.CONFIRM, person=HANAKO, prompt=PIN))
        screen.until(lambda: screen.focused == "pin")
        screen.keys("135")
        screen.keys("l", held=(Keys.CONTROL, Keys.ALT))
        screen.until(lambda: screen.asked("press", "counter-1", "lock"))
        assert screen.frames == 0
        assert field(screen) == ""

    def test_before_a_lock_the_owner_is_still_named_and_may_type(self, screen: Screen) -> None:
        screen.sit_down(active(at=Instant(boottime() - 5 * SECOND)))
        screen.show(sight(SeatState.FADING, Message.FADING, person=HANAKO, left=30, prompt=PIN))
        screen.until(lambda: screen.focused == "pin")
        assert "佐藤 花子さん、まもなくロック" in screen.text
        assert not screen.covered
        screen.show(locked(Message.PIN, prompt=PIN))
        screen.until(lambda: screen.covered and screen.focused == "pin")
        assert screen.driver.find_element(By.ID, "pin").is_displayed()
        assert "花子" not in screen.whole


def press(screen: Screen, *ids: str) -> None:
    for each in ids:
        screen.click(f"#{each}")


def people(screen: Screen) -> int:
    return len(screen.driver.find_elements(By.CSS_SELECTOR, "#people button"))


class TestNames:
    def test_names_are_shown_after_a_deliberate_press_and_go_by_themselves(self, screen: Screen) -> None:
        screen.js(CATCH_THE_CLOSING)
        assert "花子" not in screen.whole
        press(screen, "other", "way-tiles")
        screen.until(lambda: people(screen) == 3)
        assert "佐藤 花子" in screen.text
        assert "さとう はなこ" in screen.text
        screen.js("window.closing()")
        screen.until(lambda: "花子" not in screen.whole)
        assert not screen.driver.find_element(By.ID, "ways").is_displayed()

    def test_a_name_is_chosen_by_keyboard_alone(self, screen: Screen) -> None:
        screen.js("document.getElementById('other').focus()")
        screen.keys(Keys.ENTER, Keys.ENTER)
        screen.until(lambda: people(screen) == 3)
        screen.keys(Keys.TAB, Keys.ENTER)
        screen.until(lambda: screen.asked("claim", "counter-1", "sub_taro"))
        assert "太郎" not in screen.whole
        assert screen.covered

    def test_a_face_takes_them_away(self, screen: Screen) -> None:
        press(screen, "other", "way-tiles")
        screen.until(lambda: people(screen) == 3)
        screen.show(locked(Message.READING))
        screen.until(lambda: screen.look == "reading")
        assert "花子" not in screen.whole

    def test_names_that_come_too_late_are_not_shown(self, screen: Screen) -> None:
        screen.js(
            """const real = window.fetch;
            window.fetch = async (...given) => {
              const answer = await real(...given);
              const body = await answer.json();
              await new Promise((go) => { window.go = go; });
              setTimeout(() => { window.read = true; });
              return { ok: true, json: async () => body };
            };"""
        )
        press(screen, "other", "way-tiles")
        screen.until(lambda: screen.js("return window.go !== undefined"))
        screen.keys(Keys.ESCAPE)
        screen.js("window.go()")
        screen.until(lambda: screen.js("return window.read === true"))
        assert "花子" not in screen.whole


class TestHelp:
    def test_a_vouch_is_asked_about_first(self, screen: Screen) -> None:
        press(screen, "other", "way-vouch")
        assert "同僚に頼みますか" in screen.text
        assert "Ask a colleague?" in screen.text
        assert screen.door.asked == []
        press(screen, "sure-yes")
        screen.until(lambda: screen.asked("press", "counter-1", "vouch"))

    def test_breaking_the_glass_is_asked_about_and_held(self, screen: Screen) -> None:
        press(screen, "other", "way-break_glass")
        for words in (
            "緊急使用を始めますか",
            "Start emergency use?",
            "2人の指が必要です",
            "It is recorded and reviewed",
        ):
            assert words in screen.text
        press(screen, "sure-hold")
        assert screen.door.asked == []
        button = screen.driver.find_element(By.ID, "sure-hold")
        ActionChains(screen.driver).click_and_hold(button).perform()
        screen.until(lambda: screen.asked("press", "counter-1", "break_glass"))
        ActionChains(screen.driver).release().perform()

    def test_a_key_can_be_held_as_well(self, screen: Screen) -> None:
        press(screen, "other", "way-break_glass")
        screen.js("document.getElementById('sure-hold').focus()")
        screen.keys(Keys.ENTER, Keys.SPACE)
        assert screen.door.asked == []
        ActionChains(screen.driver).key_down(Keys.ENTER).perform()
        screen.until(lambda: screen.asked("press", "counter-1", "break_glass"))
        ActionChains(screen.driver).key_up(Keys.ENTER).perform()

    def test_escape_and_no_are_no(self, screen: Screen) -> None:
        for key in (Keys.ESCAPE, Keys.ENTER):
            press(screen, "other", "way-break_glass")
            screen.keys(key)
            assert not screen.driver.find_element(By.ID, "ways").is_displayed()
        assert screen.focused == "other"
        assert screen.door.asked == []
        assert screen.covered

    def test_the_ways_are_for_a_seat_that_is_nobodys_also_while_a_forgotten_key_asks(self, screen: Screen) -> None:
        screen.sit_down(active())
        assert not screen.driver.find_element(By.ID, "ways").is_displayed()
        screen.show(locked(Message.PIN, prompt=PIN))
        screen.until(lambda: screen.look == "pin")
        assert not screen.driver.find_element(By.ID, "key").is_displayed()
        assert screen.driver.find_element(By.ID, "other").is_displayed()

    def test_a_refusal_is_said(self, screen: Screen) -> None:
        screen.door.refuse = DoorError("refused")
        press(screen, "other", "way-vouch", "sure-yes")
        screen.until(lambda: "今はできません" in screen.text)


class TestGlass:
    def test_the_frame_stays_for_the_whole_session_and_no_longer(self, screen: Screen) -> None:
        screen.sit_down(active(break_glass=True))
        screen.open_application()
        for shown in (
            active(message=Message.KEPT),
            sight(SeatState.FADING, Message.FADING, person=HANAKO, left=30),
            sight(SeatState.STEPPING_UP, Message.CONFIRM, person=HANAKO, break_glass=True),
            active(message=Message.WAIT, break_glass=True),
        ):
            screen.show(shown)
            assert self.frame(screen)
        screen.show(locked(Message.LOCKED))
        screen.until(lambda: screen.covered)
        assert not self.frame(screen)
        screen.sit_down(active(session="ses_b"))
        assert not self.frame(screen)

    def test_it_is_a_pattern_and_a_word_and_hides_no_work(self, screen: Screen) -> None:
        screen.sit_down(active(break_glass=True))
        screen.open_application()
        assert "緊急使用中" in screen.text
        assert "Emergency use" in screen.text
        image = screen.js("return getComputedStyle(document.getElementById('glass')).borderImageSource")
        assert image.startswith("repeating-linear-gradient")
        box = screen.js("return document.querySelector('iframe').getBoundingClientRect().toJSON()")
        assert (box["left"], box["right"], box["bottom"]) == (14, 1024 - 14, 768 - 14)

    @staticmethod
    def frame(screen: Screen) -> bool:
        return screen.driver.find_element(By.ID, "glass").is_displayed()


@pytest.fixture
def office(screen: Screen) -> Iterator[Office]:
    screen.go_by_name()
    screen.until(lambda: screen.look == "waiting")
    with open_office(screen) as made:
        yield made


def use_key(screen: Screen) -> None:
    screen.until(lambda: screen.driver.find_element(By.ID, "key").is_enabled())
    press(screen, "key")


def enrol_key(screen: Screen, office: Office) -> None:
    office.enrol()
    use_key(screen)
    screen.until(lambda: "継続します" in screen.text)


def log_in(screen: Screen) -> None:
    use_key(screen)
    screen.until(lambda: not screen.covered)


def lock(screen: Screen) -> None:
    screen.show(locked(Message.LOCKED))
    screen.until(lambda: screen.look == "locked")


class TestKeys:
    """The real reader and the real checker behind the page, a virtual key in the browser."""

    def test_a_key_is_enrolled_and_then_opens_the_seat(self, screen: Screen, office: Office) -> None:
        with plugged_in(screen) as key:
            enrol_key(screen, office)
            assert [each["isResidentCredential"] for each in key.credentials()] == [True]
            for count in (1, 2):
                log_in(screen)
                assert len(office.verdicts) == count
                lock(screen)
        assert [(each.subject, each.grade) for each in office.verdicts] == [(SUBJECT, "A")] * 2
        assert screen.complaints() == []

    def test_a_key_is_not_enrolled_twice(self, screen: Screen, office: Office) -> None:
        with plugged_in(screen):
            enrol_key(screen, office)
            known = json.loads(office.taken[0])["rawId"]
            office.enrol(base64.urlsafe_b64decode(known + "=="))
            use_key(screen)
            screen.until(lambda: "登録済みのキーです" in screen.text)
        assert len(office.enrolled) == 1

    def test_a_key_without_our_credential_is_said_plainly(self, screen: Screen, office: Office) -> None:
        with plugged_in(screen) as key:
            enrol_key(screen, office)
            key.clear()
            use_key(screen)
            screen.until(lambda: "キーは使われませんでした" in screen.text)
        assert screen.covered
        assert office.verdicts == []

    def test_a_key_that_nobody_enrolled(self, screen: Screen, office: Office) -> None:
        """Made for this office, but in no store: of a key that was enrolled elsewhere, or forgotten."""
        with plugged_in(screen):
            enrol_key(screen, office)
            office.checker.load([], {})
            use_key(screen)
            screen.until(lambda: "登録のないキーです" in screen.text)
        assert office.denial is Denial.UNKNOWN
        assert screen.covered

    def test_a_revoked_key(self, screen: Screen, office: Office) -> None:
        with plugged_in(screen):
            enrol_key(screen, office)
            office.checker.remove(SUBJECT, "tpl_1@1")
            use_key(screen)
            screen.until(lambda: "登録のないキーです" in screen.text)
        assert office.denial is Denial.REVOKED

    def test_the_browser_lets_nobody_through_whom_the_key_does_not_know(self, screen: Screen, office: Office) -> None:
        with plugged_in(screen) as key:
            enrol_key(screen, office)
            key.verifies(False)
            use_key(screen)
            screen.until(lambda: "キーは使われませんでした" in screen.text)
        assert screen.covered
        assert office.verdicts == []

    def test_a_page_that_asks_for_less_is_refused_by_the_checker(self, screen: Screen, office: Office) -> None:
        with plugged_in(screen) as key:
            enrol_key(screen, office)
            key.verifies(False)
            screen.js(
                """const real = navigator.credentials.get.bind(navigator.credentials);
                const id = Uint8Array.from(atob(arguments[0]), (each) => each.charCodeAt(0));
                const less = { userVerification: "discouraged", allowCredentials: [{ type: "public-key", id }] };
                navigator.credentials.get = ({ publicKey, signal }) =>
                  real({ publicKey: { ...publicKey, ...less }, signal });""",
                key.credentials()[0]["credentialId"],
            )
            use_key(screen)
            screen.until(lambda: "このキーは使えません" in screen.text)
        assert office.denial is Denial.UNVERIFIED
        assert screen.covered

    def test_a_cloned_key(self, screen: Screen, office: Office) -> None:
        """CVE-2024-45678: the private key was read out; the copy counts its signatures from where it was taken."""
        with plugged_in(screen) as key:
            enrol_key(screen, office)
            (copy,) = key.credentials()
            for _ in range(2):
                log_in(screen)
                lock(screen)
            assert key.credentials()[0]["signCount"] > copy["signCount"] + 1
            key.put(copy)
            use_key(screen)
            screen.until(lambda: "このキーは使えません" in screen.text)
        assert office.denial is Denial.CLONED
        assert (office.verdicts[-1].subject, office.verdicts[-1].reference) == (SUBJECT, "tpl_1@1")
        assert screen.covered

    def test_a_captured_response_is_good_for_nothing(self, screen: Screen, office: Office) -> None:
        """The state of the ceremony is the nonce that is armed: another one is armed after every answer."""
        with plugged_in(screen):
            enrol_key(screen, office)
            log_in(screen)
            captured = office.taken[-1]
            lock(screen)
            screen.js(
                """window.caught = arguments[0];
                navigator.credentials.get = async () => ({ toJSON: () => JSON.parse(window.caught) });""",
                captured,
            )
            use_key(screen)
            screen.until(lambda: "このキーは使えません" in screen.text)
        assert office.taken[-1] == captured
        assert office.denial is Denial.REPLAYED
        assert screen.covered

    def test_an_officer_enrols_a_key_without_leaving_their_seat(self, screen: Screen, office: Office) -> None:
        button = screen.driver.find_element(By.ID, "enrol-key")
        with plugged_in(screen):
            screen.sit_down(active())
            assert not button.is_displayed()
            office.enrol()
            screen.show(active(message=Message.KEPT, lent=True))
            screen.until(button.is_displayed)
            button.click()
            screen.until(lambda: office.enrolled)

    def test_a_step_up_with_a_key(self, screen: Screen, office: Office) -> None:
        button = screen.driver.find_element(By.ID, "confirm-key")
        with plugged_in(screen):
            enrol_key(screen, office)
            log_in(screen)
            screen.open_application()
            assert not button.is_displayed()
            screen.show(sight(SeatState.STEPPING_UP, Message.CONFIRM, person=HANAKO))
            screen.until(button.is_displayed)
            button.click()
            screen.until(lambda: len(office.verdicts) == 2 and not button.is_displayed())
        assert office.denial is None
        assert screen.frames == 1

    def test_an_address_is_no_name(self, screen: Screen, office: Office) -> None:
        screen.go()
        screen.until(lambda: screen.look == "waiting")
        with plugged_in(screen):
            use_key(screen)
            screen.until(lambda: "このアドレスでは使えません" in screen.text)

    def test_a_core_that_waits_for_no_key(self, screen: Screen, office: Office) -> None:
        office.key.disarm()
        use_key(screen)
        screen.until(lambda: "今はキーを待っていません" in screen.text)

    def test_another_session_ends_the_ceremony(self, screen: Screen, office: Office) -> None:
        """Somebody's finger was quicker: the browser's own window over their work is taken away."""
        screen.js(
            """navigator.credentials.get = ({ signal }) => new Promise((_, fail) => {
              window.waits = true;
              signal.addEventListener("abort", () => { window.stopped = true; fail(signal.reason); });
            });"""
        )
        use_key(screen)
        screen.until(lambda: screen.js("return window.waits === true"))
        screen.sit_down(active())
        screen.until(lambda: screen.js("return window.stopped === true"))
        assert office.taken == []


class TestLooks:
    @pytest.mark.parametrize(("width", "height"), SIZES)
    def test_everything_fits_in_both_languages(self, screen: Screen, width: int, height: int) -> None:
        screen.size(width, height)
        for language in LANGUAGES:
            screen.js("document.documentElement.lang = arguments[0]", language)
            for at, prompt in enumerate((AGAIN, PIN, Prompt(PromptId.NEW_PIN))):
                screen.show(locked(Message.PIN, prompt=prompt, at=Instant(boottime() + at)))
                wanted = "pin-wrong" if prompt.again else "pin"
                screen.until(lambda: screen.focused == "pin" and screen.look == wanted)  # noqa: B023 (called at once)
                assert overflowing(screen) == []
            screen.show(locked(Message.KEY_BLOCKED))
            screen.until(lambda: screen.look == "key-blocked")
            assert overflowing(screen) == []
            screen.door.refuse = DoorError("refused")
            use_key(screen)
            screen.until(lambda: screen.driver.find_element(By.ID, "told").is_displayed() and screen.door.asked)
            screen.until(lambda: screen.driver.find_element(By.ID, "key").is_enabled())
            assert overflowing(screen) == []
            screen.door.refuse = None
            for way in ("way-tiles", "way-vouch", "way-break_glass"):
                press(screen, "other")
                assert overflowing(screen) == []
                press(screen, way)
                screen.until(lambda: people(screen) == (3 if way == "way-tiles" else 0))  # noqa: B023 (as above)
                assert overflowing(screen) == []
                screen.keys(Keys.ESCAPE)

    def test_a_roster_of_many_scrolls_within_the_panel(self, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
        many = [Named(f"sub_{n}", f"山田 花子{n}", "やまだ はなこ") for n in range(120)]
        monkeypatch.setattr("tests.web.fakes.ROSTER", many)
        press(screen, "other", "way-tiles")
        screen.until(lambda: people(screen) == 120)
        panel = screen.js("return document.getElementById('ways').getBoundingClientRect().toJSON()")
        assert panel["top"] >= 0
        assert panel["bottom"] <= 768
        screen.js("document.querySelector('#people li:last-child button').focus()")
        screen.keys(Keys.ENTER)
        screen.until(lambda: any(words[0] == "claim" for words in screen.door.asked))


def overflowing(screen: Screen) -> list[list[str]]:
    code = """const bad = [], parts = "#cover :is(.headline, .detail, footer, button, input, p), #shape, #ways";
    for (const part of document.querySelectorAll(parts))
      if (part.checkVisibility({ visibilityProperty: true })) {
        const box = part.getBoundingClientRect();
        if (box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight
            || part.scrollWidth > part.clientWidth + 2) bad.push([part.tagName, part.id, part.className]);
      }
    return bad;"""
    found: list[list[str]] = screen.js(code)
    return found
