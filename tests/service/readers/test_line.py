"""Scripts: what the child says on the left, what the path hears on the right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authd.core.model import Fault, Hint, Nonce, ReaderId
from authd.core.ports import FingerDown, FingerUp, Heard, Held, Hinted, ReaderDown, ReaderUp, Sample, Sensed
from authd.driver import Capture, Event, Feedback, Op, Probe, Progress, State, StateChange, Watch
from authd.service.host.frames import Asked, Ended, Frame, Opened, Typed, Unasked
from authd.service.host.manifest import Manifest
from authd.service.readers.line import AGAIN_SECONDS, ANSWER_SECONDS, HOLD_SECONDS, Line

R = ReaderId("vein-1")
N1, N2 = Nonce("01" * 16), Nonce("02" * 16)
TOUCH = Manifest(kind="touch", modality="vein", capabilities=("capture", "watch"))
SIGNAL = Manifest(kind="signal", capabilities=("watch",))
SAMPLE_1 = Sample(R, N1, b"p", 1.0)
DOWN, UP = State.FINGER_DOWN, State.FINGER_UP


class Timer:
    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self.seconds, self.call, self.live = seconds, call, True

    def cancel(self) -> None:
        self.live = False


class Script:
    """A line, its child and its timers in the hands of a test."""

    def __init__(self, manifest: Manifest = TOUCH) -> None:
        self.words: list[Heard] = []
        self.asked: list[Op | Typed] = []
        self.recycled: list[Fault] = []
        self.timers: list[Timer] = []
        self.op = 0
        self.line = Line(R, manifest, self.words.append, self._later)

    def _later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(seconds, call))
        return self.timers[-1]

    def send(self, op: int, message: Op | Typed) -> bool:
        self.op = op
        self.asked.append(message)
        return True

    def recycle(self, fault: Fault, detail: str) -> None:
        assert detail
        self.recycled.append(fault)

    def up(self) -> Script:
        self.line.up(self)
        return self

    def says(self, *events: Event | Ended | Asked | Unasked | State, op: int | None = None) -> Script:
        for event in events:
            message = StateChange(event) if isinstance(event, State) else event
            self.line.frame(Frame(self.op if op is None else op, message))
        return self

    def fire(self, seconds: float) -> Script:
        for timer in [timer for timer in self.timers if timer.live and timer.seconds == seconds]:
            timer.live = False
            timer.call()
        return self

    def heard(self) -> list[Heard]:
        words = self.words.copy()
        self.words.clear()
        return words


def armed() -> Script:
    script = Script().up()
    script.line.arm(N1)
    script.heard()
    return script


def sampled() -> Script:
    script = armed().says(State.NEED_TOUCH, DOWN, Probe(b"p", 1.0, N1), Ended())
    assert script.heard() == [FingerDown(), SAMPLE_1]
    return script


def test_a_reader_that_comes_up_is_watched_until_it_is_armed() -> None:
    script = Script().up()
    assert script.heard() == [ReaderUp(R)]
    script.line.arm(N1)
    assert script.asked == [Watch(), Capture(N1)]


def test_a_touch_is_a_sample_and_then_the_finger_is_watched() -> None:
    script = sampled()
    assert script.asked[-1] == Watch()


def test_a_new_nonce_replaces_the_old_one_whose_probe_is_stale() -> None:
    script = armed()
    old = script.op
    script.line.arm(N2)
    script.says(DOWN, Probe(b"p", 1.0, N1), Ended(), op=old)
    assert script.heard() == []
    assert script.asked[-1] == Capture(N2)
    assert script.line.stale == {"StateChange": 1, "Probe": 1, "Ended": 1}


def test_an_armed_reader_that_comes_back_is_armed_again() -> None:
    script = armed()
    script.line.down(Fault.CRASHED, "")
    script.up()
    assert script.asked[-1] == Capture(N1)


def test_a_nonce_that_is_used_up_is_not_armed_again() -> None:
    script = sampled()
    script.line.down(Fault.CRASHED, "")
    script.up()
    assert script.asked[-1] == Watch()


@pytest.mark.parametrize("nonce", [N2, Nonce("")])
def test_a_probe_under_another_nonce_costs_the_child_its_life(nonce: Nonce) -> None:
    script = armed().says(Probe(b"p", 1.0, nonce))
    assert (script.heard(), script.recycled) == ([], [Fault.PROTOCOL])


def test_a_second_probe_under_one_nonce_is_refused() -> None:
    script = armed().says(Probe(b"p", 1.0, N1))
    script.heard()
    script.says(Probe(b"q", 1.0, N1))
    assert (script.heard(), script.recycled) == ([], [Fault.PROTOCOL])


def test_a_finger_that_rests_for_two_seconds_is_a_hold() -> None:
    assert sampled().says(DOWN).fire(HOLD_SECONDS).heard() == [Held(N1)]


def test_a_hold_is_seen_across_a_new_arming() -> None:
    script = sampled()
    script.line.arm(N2)
    assert script.says(DOWN).fire(HOLD_SECONDS).heard() == [Held(N1)]


def test_a_finger_that_went_is_no_hold() -> None:
    assert sampled().says(DOWN, UP).fire(HOLD_SECONDS).heard() == [FingerUp()]


def test_a_finger_that_went_between_two_operations_is_no_hold() -> None:
    assert sampled().says(State.NEED_TOUCH).fire(HOLD_SECONDS).heard() == [FingerUp()]


def test_a_finger_that_came_back_is_no_hold() -> None:
    assert sampled().says(UP, DOWN).fire(HOLD_SECONDS).heard() == [FingerUp(), FingerDown()]


def test_silence_is_no_hold() -> None:
    assert sampled().fire(HOLD_SECONDS).heard() == []


def test_a_reader_that_died_is_no_hold() -> None:
    script = sampled().says(DOWN)
    script.line.down(Fault.REMOVED, "")
    assert script.fire(HOLD_SECONDS).heard() == [ReaderDown(R, Fault.REMOVED)]


def test_the_resting_finger_is_no_second_touch() -> None:
    script = sampled()
    script.line.arm(N2)
    assert script.says(DOWN).heard() == []


def test_a_hint_is_a_hint() -> None:
    assert armed().says(Feedback(Hint.WET)).heard() == [Hinted(Hint.WET)]


def test_the_same_trouble_is_said_once() -> None:
    script = armed()
    for fault in (Fault.REMOVED, Fault.REMOVED, Fault.CRASHED):
        script.line.down(fault, "")
    assert script.heard() == [ReaderDown(R, Fault.REMOVED), ReaderDown(R, Fault.CRASHED)]
    assert script.up().heard() == [ReaderUp(R)]


@pytest.mark.parametrize(
    ("state", "fault"),
    [(State.SUSPENDED, Fault.SUSPENDED), (State.HOT, Fault.HOT), (State.DEVICE_REMOVED, Fault.REMOVED)],
)
def test_a_device_that_says_it_is_gone_is_recycled(state: State, fault: Fault) -> None:
    assert armed().says(state).recycled == [fault]


def test_a_driver_that_ends_at_once_is_not_asked_in_a_loop() -> None:
    script = armed()
    asked = len(script.asked)
    script.says(Ended(), Ended())
    assert len(script.asked) == asked
    script.fire(AGAIN_SECONDS)
    assert script.asked[asked:] == [Capture(N1)]


def test_what_no_reader_says_is_refused() -> None:
    script = armed()
    script.line.frame(Frame(script.op, Opened()))
    assert script.recycled == [Fault.PROTOCOL]


def test_a_sensor_says_changes_and_is_never_armed() -> None:
    script = Script(SIGNAL).up()
    script.line.arm(N1)
    script.heard()
    script.says(State.PERSON_PRESENT, State.PERSON_PRESENT, State.PERSON_ABSENT)
    assert script.heard() == [Sensed(present=True), Sensed(present=False)]
    assert script.asked == [Watch()]


def test_a_sensor_that_comes_back_says_anew() -> None:
    script = Script(SIGNAL).up().says(State.PERSON_PRESENT)
    script.line.down(Fault.CRASHED, "")
    script.up()
    script.heard()
    assert script.says(State.PERSON_PRESENT).heard() == [Sensed(present=True)]


def test_a_sensor_touches_nothing_and_a_reader_senses_nobody() -> None:
    script = Script(SIGNAL).up()
    script.heard()
    assert script.says(DOWN, Probe(b"p", 1.0, N1), Feedback(Hint.DRY)).heard() == []
    assert armed().says(State.PERSON_PRESENT).heard() == []


def test_a_nonce_used_at_another_reader_is_dropped_here() -> None:
    script = armed()
    script.line.disarm()
    assert script.asked[-1] == Watch()


def test_a_device_that_processes_without_end_is_recycled() -> None:
    script = armed().says(DOWN, State.PROCESSING, Progress(0.5)).fire(ANSWER_SECONDS)
    assert script.recycled == [Fault.TIMEOUT]


@pytest.mark.parametrize("answer", [Probe(b"p", 1.0, N1), Feedback(Hint.DRY), UP], ids=lambda each: type(each).__name__)
def test_a_device_that_answers_is_not(answer: Event | State) -> None:
    assert armed().says(DOWN, State.PROCESSING, answer).fire(ANSWER_SECONDS).recycled == []


def test_a_cancelled_operation_is_not_waited_for() -> None:
    script = armed().says(DOWN, State.PROCESSING)
    script.line.arm(N2)
    assert script.fire(ANSWER_SECONDS).recycled == []
