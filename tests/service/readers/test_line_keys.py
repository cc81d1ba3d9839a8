"""The same scripts for what signs, names and is put in: keys, cards and services that match by themselves."""

from __future__ import annotations

import pytest

from authd.core.model import Denial, Fault, Hint, Prompt, PromptId, SubjectId
from authd.core.ports import Asking, Given, Hinted, Inserted, ReaderDown, ReaderUp, Sample, TurnedDown, Withdrawn
from authd.driver import (
    Capture,
    Claimed,
    Confirm,
    Delete,
    Denied,
    Enroll,
    Enrolled,
    Event,
    Feedback,
    Identifier,
    NoMatch,
    Probe,
    Progress,
    Proof,
    State,
    StateChange,
    Verify,
    Watch,
)
from authd.service.host.frames import Asked, Ended, Frame, Typed, Unasked
from authd.service.host.manifest import Manifest
from authd.service.readers.insertions import MOST_STAYS
from authd.service.readers.line import AGAIN_SECONDS, ANSWER_SECONDS, Job
from tests.service.readers.test_line import N1, N2, R, Script

KEY = Manifest(
    kind="touch",
    modality="fido2",
    capabilities=("capture", "watch", "confirm", "enroll", "prompt", "insertion"),
)
SERVICE = Manifest(kind="touch", modality="fprintd", capabilities=("verify", "watch", "enroll"))
SUBJECT = SubjectId("sub_" + "1" * 32)
PIN = Prompt(PromptId.PIN, 8)


def put_in(name: str) -> StateChange:
    return StateChange(State.CREDENTIAL_INSERTED, name)


def taken_out(name: str = "") -> StateChange:
    return StateChange(State.CREDENTIAL_REMOVED, name)


def key(*, armed: bool = True) -> Script:
    script = Script(KEY).up()
    if armed:
        script.line.arm(N1)
    script.heard()
    return script


def service() -> Script:
    script = Script(SERVICE).up()
    script.heard()
    return script


def test_a_proof_is_a_sample_bound_to_its_stay() -> None:
    script = key().says(put_in("a"), Proof(b"p", N1, "a"), Ended())
    assert script.heard() == [
        Inserted(R, "1-a"),
        Sample(R, N1, b"p", 1.0, given=Given.PROOF, insertion="1-a"),
    ]
    assert script.asked[-1] == Watch()


def test_a_key_that_nobody_touches_again_is_no_held_finger() -> None:
    assert not [timer for timer in key().says(Proof(b"p", N1)).timers if timer.live]


def test_a_stay_begins_once_and_ends_once() -> None:
    script = key().says(put_in("a"), put_in("a"), taken_out("a"), taken_out("a"), taken_out())
    assert script.heard() == [Inserted(R, "1-a"), Withdrawn(R, "1-a")]


def test_nothing_is_in_there_ends_every_stay() -> None:
    script = key().says(put_in("b"), put_in("a"), taken_out())
    assert script.heard()[2:] == [Withdrawn(R, "1-a"), Withdrawn(R, "1-b")]


def test_a_stay_ends_though_it_is_said_under_an_operation_that_is_over() -> None:
    script = key().says(put_in("a"))
    old = script.op
    script.line.arm(N2)
    script.says(taken_out("a"), op=old)
    assert script.heard() == [Inserted(R, "1-a"), Withdrawn(R, "1-a")]


def test_a_child_that_is_gone_ends_its_stays() -> None:
    script = key().says(put_in("a"))
    script.line.down(Fault.CRASHED, "")
    script.line.down(Fault.CRASHED, "")
    assert script.heard()[1:] == [Withdrawn(R, "1-a"), ReaderDown(R, Fault.CRASHED)]


@pytest.mark.parametrize("state", [State.DEVICE_REMOVED, State.SUSPENDED])
def test_a_device_that_is_gone_ends_them_before_its_child_is(state: State) -> None:
    script = key().says(put_in("a"), state)
    assert script.heard()[1:] == [Withdrawn(R, "1-a")]


def test_the_first_stay_of_another_child_is_another_stay() -> None:
    script = key().says(put_in("a"))
    script.line.down(Fault.CRASHED, "")
    assert script.up().says(put_in("a")).heard()[-1] == Inserted(R, "2-a")


@pytest.mark.parametrize(
    "events",
    [
        (put_in("a"), taken_out("a"), put_in("a")),
        (put_in("a"), taken_out("a"), Proof(b"p", N1, "a")),
        (Proof(b"p", N1, "never"),),
        (Identifier(b"p", N1, "never"),),
        tuple(put_in(str(each)) for each in range(MOST_STAYS + 1)),
        (Proof(b"p", N1, silent=True),),
        (Proof(b"p", N2),),
        (Claimed(SUBJECT, N1),),
        (Enrolled(b"", N1),),
        (Denied(Denial.UNKNOWN, N2),),
        (Proof(b"p", N1), Denied(Denial.UNKNOWN, N1)),
    ],
    ids=[
        "stay again",
        "proof after",
        "proof from nowhere",
        "number from nowhere",
        "too many",
        "silent",
        "nonce",
        "claimed",
        "enrolled",
        "denied",
        "two",
    ],
)
def test_what_cannot_be_costs_the_child_its_life(events: tuple[Event, ...]) -> None:
    script = key().says(*events)
    assert script.recycled == [Fault.PROTOCOL]


def test_what_a_proof_from_nowhere_says_is_not_heard() -> None:
    assert key().says(Proof(b"p", N1, "never")).heard() == []


def test_a_number_names_and_says_so() -> None:
    script = key().says(put_in("a"), Identifier(b"\x04", N1, "a"))
    assert script.heard()[1] == Sample(R, N1, b"\x04", 1.0, given=Given.IDENTIFIER, insertion="1-a")


def test_a_device_that_says_no_is_watched_before_it_is_asked_again() -> None:
    script = key().says(Denied(Denial.UNKNOWN, N1), Ended())
    assert script.heard() == [TurnedDown(R, N1, Denial.UNKNOWN)]
    script.line.arm(N2)
    assert script.asked[2:] == [Watch()]
    script.fire(AGAIN_SECONDS)
    assert script.asked[2:] == [Watch(), Capture(N2)]


def test_a_calm_seat_watches_its_keys_and_captures_from_the_rest() -> None:
    script = key(armed=False)
    script.line.arm(N1, calm=True)
    assert script.asked == [Watch()]
    script.line.arm(N1)
    script.line.arm(N2, calm=True)
    assert script.asked == [Watch(), Capture(N1), Watch()]
    vein = Script().up()
    vein.line.arm(N1, calm=True)
    assert vein.asked[-1] == Capture(N1)


def test_a_service_is_asked_for_who_was_named_and_for_nobody_else() -> None:
    script = service()
    script.line.arm(N1)
    assert script.asked == [Watch()]
    script.line.arm(N2, SUBJECT)
    assert script.asked[-1] == Verify(N2, SUBJECT)
    script.says(Claimed(SUBJECT, N2, b"f"), Ended())
    assert script.heard() == [Sample(R, N2, b"f", 1.0, claim=SUBJECT, given=Given.CLAIMED)]


def test_who_was_named_is_forgotten_with_the_next_arming() -> None:
    script = service()
    script.line.arm(N1, SUBJECT)
    script.line.arm(N2)
    assert script.asked[-1] == Watch()


def test_a_claim_is_nothing_to_a_reader_that_finds_by_itself() -> None:
    script = key(armed=False)
    script.line.arm(N1, SUBJECT)
    assert script.asked[-1] == Capture(N1)


def test_a_services_no_is_a_miss_of_who_was_named() -> None:
    script = service()
    script.line.arm(N1, SUBJECT)
    script.says(NoMatch(N1), Ended())
    assert script.heard() == [Sample(R, N1, b"", 0.0, claim=SUBJECT, given=Given.CLAIMED)]


def test_a_no_to_nobody_in_particular_is_no_answer() -> None:
    script = key().says(NoMatch(N1))
    assert (script.heard(), script.recycled) == ([], [Fault.PROTOCOL])


def test_a_pin_is_asked_for_typed_and_handed_on_once() -> None:
    script = key().says(Asked(PromptId.PIN, 8))
    assert script.heard() == [Asking(R, PIN)]
    script.line.answer("1234")
    script.line.answer("1234")
    assert script.asked[-1] == Typed("1234")
    assert script.asked.count(Typed("1234")) == 1
    assert script.heard() == [Asking(R, None)]


def test_a_prompt_goes_with_the_key_that_asked_for_it() -> None:
    """The operation goes on: it waits for the next key."""
    script = key().says(put_in("a"), Asked(PromptId.PIN))
    script.heard()
    script.says(Unasked(), taken_out("a"))
    assert script.heard() == [Asking(R, None), Withdrawn(R, "1-a")]
    script.line.answer("1234")
    assert Typed("1234") not in script.asked
    script.says(put_in("b"), Asked(PromptId.PIN, 8))
    assert script.heard() == [Inserted(R, "1-b"), Asking(R, PIN)]


def test_a_prompt_that_went_with_its_operation_takes_no_other_away() -> None:
    script = key().says(Asked(PromptId.PIN))
    script.line.arm(N2)
    script.says(Asked(PromptId.PIN, 8))
    script.heard()
    script.line.frame(Frame(1, Unasked()))
    assert script.heard() == []


@pytest.mark.parametrize("end", ["ended", "armed", "down", "disarmed"])
def test_a_prompt_ends_with_its_operation(end: str) -> None:
    script = key().says(Asked(PromptId.PIN))
    script.heard()
    if end == "ended":
        script.says(Ended())
    elif end == "armed":
        script.line.arm(N2)
    elif end == "down":
        script.line.down(Fault.CRASHED, "")
    else:
        script.line.disarm()
    assert script.heard()[0] == Asking(R, None)
    script.line.answer("1234")
    assert Typed("1234") not in script.asked


def test_somebody_who_types_is_not_waited_for_like_a_device() -> None:
    script = key().says(State.PROCESSING, Asked(PromptId.PIN)).fire(ANSWER_SECONDS)
    assert script.recycled == []


@pytest.mark.parametrize("manifest", [KEY, SERVICE])
def test_a_prompt_out_of_the_blue_is_refused(manifest: Manifest) -> None:
    script = Script(manifest).up().says(Asked(PromptId.PIN))
    assert script.recycled == [Fault.PROTOCOL]


def test_a_key_is_looked_for_silently() -> None:
    script = key(armed=False).says(put_in("b"))
    said: list[object] = []
    script.line.do(Job(Confirm(N1, b"id"), said.append))
    script.heard()
    script.says(Proof(b"p", N1, "b", silent=True), Ended())
    assert script.heard() == [Sample(R, N1, b"p", 1.0, given=Given.PROOF, insertion="1-b", silent=True)]
    assert script.asked == [Watch(), Confirm(N1, b"id"), Watch()]
    assert said == [Ended()]


@pytest.mark.parametrize("no", [NoMatch(N1), Denied(Denial.UNKNOWN, N1)])
def test_a_key_that_is_not_there_is_no_word(no: Event) -> None:
    script = key(armed=False)
    script.line.do(Job(Confirm(N1, b"id"), lambda _: None))
    assert script.says(no, Ended()).heard() == []


def test_a_proof_of_a_touch_is_no_answer_to_a_silent_question() -> None:
    script = key(armed=False)
    script.line.do(Job(Confirm(N1, b"id"), lambda _: None))
    assert script.says(Proof(b"p", N1)).recycled == [Fault.PROTOCOL]


def test_what_is_armed_is_asked_after_a_job() -> None:
    script = key()
    script.line.do(Job(Confirm(N2, b"id"), lambda _: None))
    assert script.says(Ended()).asked[-1] == Capture(N1)


def test_an_enrolment_hears_everything_of_its_own() -> None:
    script = key(armed=False)
    said: list[object] = []
    asked = Enroll(N1, SUBJECT)
    script.line.do(Job(asked, said.append))
    script.says(put_in("a"), State.NEED_TOUCH, Asked(PromptId.NEW_PIN), Progress(0.5), Feedback(Hint.PIN_INVALID))
    script.says(Enrolled(b"e", N1), Ended())
    assert said == [
        put_in("a"),
        StateChange(State.NEED_TOUCH),
        Prompt(PromptId.NEW_PIN),
        Progress(0.5),
        Feedback(Hint.PIN_INVALID),
        Enrolled(b"e", N1),
        Ended(),
    ]
    assert script.heard()[1:] == [Asking(R, Prompt(PromptId.NEW_PIN)), Hinted(Hint.PIN_INVALID), Asking(R, None)]


@pytest.mark.parametrize("end", ["down", "armed", "another"])
def test_a_job_that_is_cut_off_says_so(end: str) -> None:
    script = key(armed=False)
    said: list[object] = []
    script.line.do(Job(Delete("tpl"), said.append))
    if end == "down":
        script.line.down(Fault.REMOVED, "")
    elif end == "armed":
        script.line.arm(N1)
    else:
        script.line.do(Job(Delete("tpl"), lambda _: None))
    assert said == [None]


def test_a_reader_that_is_down_takes_no_job() -> None:
    said: list[object] = []
    Script(KEY).line.do(Job(Delete("tpl"), said.append))
    assert said == [None]


def test_a_sensor_has_no_stays() -> None:
    script = Script(Manifest(kind="signal", capabilities=("watch",))).up().says(put_in("a"), Probe(b"", 1.0, N1))
    assert script.heard() == [ReaderUp(R)]


def test_a_child_that_comes_up_ends_the_stays_of_the_one_before() -> None:
    script = key().says(put_in("a"))
    script.heard()
    assert script.up().heard()[0] == Withdrawn(R, "1-a")
