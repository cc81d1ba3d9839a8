"""The agent's decisions, as scripts over a clock of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.agent import desk as rules
from authd.agent.desk import Alive, Desk, Do, Event, Gone, Heard, Held, Hung, LockAsked, Locker, Sleeping, Tick, Told
from authd.core.model import MILLISECOND, SECOND, Instant

START = Instant(1_000 * SECOND)


class Script:
    """What the agent did, as one would see it: a shield, a locker, what authd and logind were told."""

    def __init__(self) -> None:
        self.now = START
        self.desk, does = rules.begin(self.now)
        self.done: list[Do] = list(does)
        self.shielded = Do.SHIELD in does

    def __rshift__(self, event: Event | float) -> Script:
        """It happens; a number: so many milliseconds pass, with the ticks that are due."""
        if isinstance(event, float | int):
            return self._pass(int(event))
        self.desk, does = rules.step(self.desk, event, self.now)
        self._note(does)
        return self

    def _pass(self, ms: int) -> Script:
        until = self.now + ms * MILLISECOND
        while (due := rules.deadline(self.desk)) is not None and due <= until:
            self.now = Instant(max(self.now, due))
            self.desk, does = rules.step(self.desk, Tick(), self.now)
            assert rules.deadline(self.desk) != due, "the timer spins"
            self._note(does)
        self.now = Instant(until)
        return self

    def _note(self, does: tuple[Do, ...]) -> None:
        self.done += does
        for do in does:
            if do in (Do.SHIELD, Do.UNSHIELD):
                self.shielded = do is Do.SHIELD

    def does(self) -> list[str]:
        done, self.done = self.done, []
        return [each.value for each in done]

    @property
    def hidden(self) -> bool:
        return self.shielded or self.desk.locker is Locker.HELD


def locked() -> Script:
    script = Script() >> Heard(None) >> Held()
    script.does()
    return script


def open_() -> Script:
    """Somebody works there."""
    script = locked() >> Heard("s1") >> Gone()
    script.does()
    return script


def test_it_begins_covered_before_anybody_is_asked() -> None:
    script = Script()
    assert script.does() == ["hold", "shield", "hint", "start"]
    assert (script >> Held()).does() == ["rest", "wake", "speak"]
    assert script.desk.cover == "covered"


def test_a_session_uncovers_and_its_end_covers() -> None:
    script = locked() >> Heard("s1")
    assert script.does() == ["unshield", "hint", "speak", "end"]
    assert (script >> Gone()).does() == []
    assert (script >> Heard("s1") >> 150 >> Heard(None)).does() == ["shield", "hint", "start"]
    assert script.hidden


def test_a_silent_daemon_covers_within_a_second_and_its_session_does_not_come_back() -> None:
    script = open_() >> 999
    assert not script.hidden
    assert (script >> 1).does() == ["shield", "hint", "start"]
    assert script >> Held() >> Heard("s1")
    assert script.hidden
    assert script.does()[-1] == "press"
    assert (script >> Heard("s2")).does()[-4:] == ["unshield", "hint", "speak", "end"]


def test_an_answer_keeps_the_desktop_open_only_where_it_says_the_same_as_the_stream() -> None:
    script = open_() >> Heard("s1")
    for _ in range(5):  # the stream hangs; answers come
        assert script >> 300 >> Alive("s1")
    assert not script.hidden
    for _ in range(4):
        assert script >> 250 >> Alive(None)
    assert script.hidden
    assert script >> Alive("s1")  # and an answer opens nothing
    assert script.hidden


def test_logind_locks_and_authd_is_told() -> None:
    script = open_() >> LockAsked()
    assert script.does() == ["press", "shield", "hint", "start"]
    assert script >> Heard("s1") >> Held() >> Heard("s1")  # answers that crossed it
    assert script.hidden
    assert (locked() >> LockAsked()).does() == []


@pytest.mark.parametrize("how", ["died", "hung"])
def test_a_locker_that_dies_or_hangs_is_followed_by_another_under_the_shield(how: str) -> None:
    script = locked()
    if how == "hung":
        assert (script >> Hung()).does() == ["shield", "kill", "speak"]
    assert "shield" in (script >> Gone()).does() + (["shield"] if how == "hung" else [])
    assert script.hidden
    assert script.desk.locker is Locker.STARTING
    assert script.desk.lost == how
    assert (script >> Told() >> Held()).does()[-3:] == ["rest", "wake", "speak"]
    assert script.desk.lost is None


def test_a_screen_that_another_program_holds_stays_shielded_and_is_tried_again() -> None:
    script = locked() >> Gone()
    assert script >> 1_000
    assert script.desk.cover == "failed"
    assert script.hidden
    assert script >> Gone()
    assert script.desk.locker is Locker.NONE
    script.does()
    assert (script >> 299).does() == []
    assert (script >> 1).does() == ["start"]
    assert script >> Alive(None, "failed") >> Held()
    assert script.desk.cover == "covered"


def refused() -> Script:
    """Another program holds the screen, and authd does not know it yet."""
    script = locked() >> Gone() >> 1_000
    assert script.desk.cover == "failed"
    script.does()
    return script


def test_a_session_that_crossed_the_word_of_a_failed_cover_is_not_seen() -> None:
    script = refused() >> Heard("s1")
    assert script.does() == ["speak"]
    assert script >> Alive("s1", "open")  # to an older word
    assert script.hidden
    assert script >> Alive(None, "failed") >> Heard("s1") >> 300 >> Held() >> Heard(None)
    assert script.hidden
    assert "unshield" not in script.does()
    assert script.desk.over == ("s1",)


def test_a_failed_cover_is_told_though_another_locker_has_held_meanwhile() -> None:
    script = refused() >> Gone() >> 300 >> Held() >> Heard("s1")
    assert script.hidden
    assert script.desk.cover == "failed"
    script.does()
    assert (script >> Alive(None, "failed")).does() == ["press"]
    assert script.desk.cover == "covered"
    assert script >> Heard("s1") >> Heard(None)
    assert script.hidden
    assert script >> Heard("s2")
    assert not script.hidden


def test_where_authd_only_records_the_session_opens_with_its_answer() -> None:
    script = refused() >> Heard("s1")
    assert script.hidden
    assert "unshield" in (script >> Alive("s1", "failed")).does()
    assert script.desk.cover == "open"


def test_a_locker_that_gives_up_at_once_is_not_tried_in_a_spin() -> None:
    script = open_() >> Heard(None)
    script.does()
    for _ in range(20):
        assert script >> Gone() >> 30
    assert script.done.count(Do.START) <= 3
    assert script.hidden
    assert script.desk.lost == "refused"


def test_what_does_not_end_when_asked_is_killed() -> None:
    script = locked() >> Heard("s1") >> 100 >> Heard("s1") >> 400
    assert script.does()[-1] == "kill"


def test_a_lock_while_the_locker_goes_starts_another_one() -> None:
    script = locked() >> Heard("s1") >> Heard(None)
    assert script.hidden
    assert script.desk.locker is Locker.ENDING
    script.does()
    assert "start" in (script >> Gone()).does()
    assert script.hidden


def test_the_machine_sleeps_only_once_the_lock_is_acknowledged_by_both() -> None:
    script = open_() >> Sleeping(asleep=True)
    assert "let_go" not in (script >> Held()).does()
    assert "let_go" not in (script >> Heard("s1")).does()
    assert "let_go" in (script >> Heard(None)).does()
    other = open_() >> Sleeping(asleep=True) >> Heard(None)
    assert "let_go" not in other.does()
    assert "let_go" in (other >> Held()).does()


def test_a_locked_machine_may_sleep_at_once_and_is_held_again_when_it_wakes() -> None:
    script = locked() >> Sleeping(asleep=True)
    assert script.does() == ["let_go"]
    assert (script >> Sleeping(asleep=True)).does() == []
    assert (script >> Sleeping(asleep=False)).does() == ["hold"]
    assert script.hidden


def test_nobody_can_sit_down_between_the_warning_and_the_sleep() -> None:
    script = locked() >> Sleeping(asleep=True) >> Heard("s2")
    assert script.does() == ["let_go", "press"]
    assert script.hidden


def test_a_cover_that_fails_lets_go_once_the_session_is_ended() -> None:
    script = open_() >> Sleeping(asleep=True) >> Heard(None) >> Gone()
    assert "let_go" in script.does()
    assert script.shielded


def test_a_dead_daemon_does_not_keep_the_machine_awake() -> None:
    script = open_() >> Sleeping(asleep=True) >> Held()
    assert "let_go" not in script.does()
    assert "let_go" in (script >> 900 >> Tick() >> 200 >> Tick()).does()


events = st.one_of(
    st.sampled_from([Held(), Gone(), Hung(), LockAsked(), Told(), Tick(), Heard(None)]),
    st.sampled_from([Alive(None), Alive("s1"), Alive("s2")]),
    st.sampled_from([Alive(None, "failed"), Alive("s1", "failed"), Alive("s2", "failed")]),
    st.sampled_from([Heard("s1"), Heard("s2"), Sleeping(asleep=True), Sleeping(asleep=False)]),
    st.integers(0, 2_500),
)


@given(st.lists(events, max_size=60))
def test_in_every_order_it_is_hidden_unless_authd_has_just_said_that_a_session_is_open(
    lines: list[Event | int],
) -> None:
    script, ended = Script(), set[str]()
    said: tuple[str | None, Instant] = (None, START)
    for line in lines:
        if isinstance(line, Held | Hung) and script.desk.locker is Locker.NONE:
            continue  # nobody there to say it
        before, failed = script.desk.session, script.desk.cover == "failed"
        assert script >> line
        if isinstance(line, Heard):
            said = (line.session, script.now)
        if isinstance(line, Alive) and line.session == said[0]:
            said = (said[0], script.now)
        if before is not None and script.desk.session is None:
            ended.add(before)
        uncovered = not script.desk.wanted
        if uncovered:
            assert said[0] is not None
            assert said[0] not in ended
            assert script.now < said[1] + SECOND
            assert not failed or line == Alive(said[0], "failed")
        elif not (isinstance(line, Held | Gone | Hung)):
            assert script.hidden
        assert script.hidden or uncovered
        assert (script.desk.cover == "covered") <= (script.desk.locker is Locker.HELD)


def test_the_shield_is_what_the_property_above_rests_on() -> None:
    script = locked()
    script.shielded = False
    script.desk = replace(script.desk, locker=Locker.NONE)
    assert not script.hidden
    assert Desk().cover == "open"
