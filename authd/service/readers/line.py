"""What one reader is asked, and what its words mean. No I/O: a child and a timer are passed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from authd.core.model import Fault, Nonce, Prompt, ReaderId, SubjectId
from authd.core.ports import Asking, Heard, Hinted, ReaderDown, ReaderUp, TurnedDown
from authd.driver import (
    Capture,
    Claimed,
    Confirm,
    Denied,
    Enroll,
    Enrolled,
    Event,
    Feedback,
    Identifier,
    NoMatch,
    Op,
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
from authd.service.readers.answers import Job, Last, answers, sample
from authd.service.readers.fingers import HOLD_SECONDS, Cancellable, Fingers, Later
from authd.service.readers.insertions import STATES, BadStay, Insertions

__all__ = ["AGAIN_SECONDS", "ANSWER_SECONDS", "HOLD_SECONDS", "Cancellable", "Child", "Job", "Later", "Line"]

AGAIN_SECONDS = 0.5
ANSWER_SECONDS = 10.0
"""From the finger seen to a sample or a hint; a driver that takes longer is stuck in its device."""
_DEVICE_STATES = {
    State.SUSPENDED: Fault.SUSPENDED,
    State.HOT: Fault.HOT,
    State.DEVICE_REMOVED: Fault.REMOVED,
}


class Child(Protocol):
    """What a line needs of its `Keeper`."""

    def send(self, op: int, message: Op | Typed) -> bool:
        """Send an operation, or what was typed for it; False while the child is not up."""
        ...

    def recycle(self, fault: Fault, detail: str) -> None:
        """Replace the child."""
        ...


class Line:
    """One reader: what it is asked, what its words mean. The `Handler` of its child; holds no I/O of its own."""

    def __init__(self, reader: ReaderId, manifest: Manifest, say: Callable[[Heard], None], later: Later) -> None:
        self.reader, self._manifest, self._say, self._later = reader, manifest, say, later
        self.child: Child | None = None
        self.stale: Counter[str] = Counter()
        """Words that were dropped because they belong to an operation that is over, or not to this kind of device."""
        self._fingers, self._insertions = Fingers(say, later), Insertions(reader, say)
        self._up = False
        self._told: Fault | None = None
        self._op = 0
        self._doing: Op | None = None
        """What the child was asked; None once it has answered, or has nothing to do."""
        self._armed: Capture | Verify | None = None
        self._job: Job | None = None
        self._asking = False
        self._resting = False
        """A device that has just said no is watched for a moment before it is asked again."""
        self._again: Cancellable | None = None
        self._answer: Cancellable | None = None

    # What the path asks.

    def arm(self, nonce: Nonce, claim: SubjectId | None = None, *, calm: bool = False) -> None:
        """Ask for one sample under this nonce, instead of whatever was asked before.

        A reader that only verifies is armed for somebody who was named. calm: no key blinks, no prompt shows.
        """
        if self._manifest.kind != "touch":
            return
        can, self._armed = self._manifest.capabilities, None
        if "capture" not in can and claim is not None:
            self._armed = Verify(nonce, claim)
        elif "capture" in can and not (calm and "insertion" in can):
            self._armed = Capture(nonce)
        self._cut_off()
        same = self._armed == self._doing if self._armed is not None else isinstance(self._doing, Watch)
        if not self._resting and not same:
            self._ask()

    @property
    def is_up(self) -> bool:
        """Whether its child serves."""
        return self._up

    def enrols(self, modality: str) -> bool:
        """Whether it can make a credential of that modality by itself."""
        return self._manifest.modality == modality and "enroll" in self._manifest.capabilities

    def disarm(self) -> None:
        """The nonce was used up elsewhere."""
        if self._armed is not None:
            self._armed = None
            if self._job is None:
                self._ask()

    def do(self, job: Job) -> None:
        """Carry this out instead of whatever was asked before; what is armed is asked again afterwards."""
        self._cut_off()
        if not self._up:
            job.tell(None)
            return
        self._job = job
        self._ask()

    def drop(self, job: Job) -> None:
        """Whoever wanted this has gone."""
        if self._job is job:
            self._job = None
            self._ask()

    def answer(self, typed: str) -> None:
        """Hand on what was typed, if the operation still asks for it."""
        if self._asking and self.child is not None:
            self._quiet()
            self.child.send(self._op, Typed(typed))

    # What its child does: the `Handler` of the supervisor.

    def up(self, keeper: Child) -> None:
        """The child serves."""
        self.child, self._up, self._told = keeper, True, None
        self._insertions.renew()
        self._say(ReaderUp(self.reader))
        self._ask()

    def down(self, fault: Fault, detail: str) -> None:
        """The child is gone; said once until it is up again, or until the reason changes."""
        del detail
        self._up, self._doing, self._resting = False, None, False
        self._cancel_timers()
        self._fingers.lost()
        self._quiet()
        self._cut_off()
        self._insertions.withdraw_all()
        if self._told is not fault:
            self._told = fault
            self._say(ReaderDown(self.reader, fault))

    def frame(self, frame: Frame) -> None:
        """The child says something."""
        match frame.message:
            case StateChange(state) if state in STATES and self._manifest.kind == "touch":
                self._stay(frame.message, frame.op)  # true whichever operation it was said in
            case Unasked():
                self._unasked(frame.op)
            case _ if frame.op != self._op:
                self.stale[type(frame.message).__name__] += 1
            case Ended():
                self._over()
            case Asked(id_, left, again):
                self._asked(Prompt(id_, left, again))
            case StateChange() | Feedback() | Progress():
                self._event(frame.message)
            case Probe() | Proof() | Claimed() | Identifier() | NoMatch() | Denied() | Enrolled():
                self._last(frame.message)
            case _:
                self._recycle(Fault.PROTOCOL, type(frame.message).__name__)

    def _ask(self) -> None:
        """Give the child its next operation: a job, the armed capture, else to watch the finger, key or person."""
        if not self._up or self.child is None:
            return
        self._op += 1
        if self._answer is not None:  # the operation it waits for is over
            self._answer.cancel()
        self._quiet()
        self._fingers.begin()
        watch = Watch() if "watch" in self._manifest.capabilities else None
        self._doing = self._job.op if self._job else (None if self._resting else self._armed) or watch
        if self._doing is not None:
            self.child.send(self._op, self._doing)

    def _over(self) -> None:
        self._quiet()
        answered, job = self._doing is None, self._job
        if job is not None:
            self._job = None
            job.tell(Ended())
        if answered or job is not None:
            self._ask()  # after a sample: watch whether the finger rests
        elif self._again is None:  # a driver that ends at once is not asked in a loop
            self._again = self._later(AGAIN_SECONDS, self._ask_again)

    def _rest(self) -> None:
        self._resting = True
        if self._again is None:
            self._again = self._later(AGAIN_SECONDS, self._ask_again)

    def _ask_again(self) -> None:
        self._again, self._resting = None, False
        self._ask()

    def _cut_off(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.tell(None)

    # What it says.

    def _asked(self, prompt: Prompt) -> None:
        """A PIN is asked for by who may ask, and only where a person was asked for something."""
        if "prompt" not in self._manifest.capabilities or not isinstance(self._doing, Capture | Verify | Enroll):
            self._recycle(Fault.PROTOCOL, "a prompt that was not expected")
            return
        self._await_answer(None)
        self._asking = True
        if self._job is not None:
            self._job.tell(prompt)
        self._say(Asking(self.reader, prompt))

    def _unasked(self, op: int) -> None:
        if op == self._op:  # else the prompt went with its operation
            self._quiet()

    def _quiet(self) -> None:
        if self._asking:
            self._asking = False
            self._say(Asking(self.reader, None))

    def _stay(self, change: StateChange, op: int) -> None:
        try:
            self._insertions.take(change)
            if op == self._op and self._job is not None:
                self._job.tell(change)
        except BadStay as bad:
            self._recycle(Fault.PROTOCOL, str(bad))

    def _event(self, event: StateChange | Feedback | Progress) -> None:
        self._await_answer(event)
        if self._job is not None:
            self._job.tell(event)
        match event:
            case StateChange(state) if state in _DEVICE_STATES:
                self._recycle(_DEVICE_STATES[state], "said by the device")
            case StateChange(state) if self._manifest.kind == "signal":
                self._fingers.sense(state)
            case _ if self._manifest.kind == "signal":
                self.stale[type(event).__name__] += 1
            case StateChange(state):
                self._fingers.move(state)
            case Feedback(hint):
                self._say(Hinted(hint))
            case Progress():
                pass

    def _await_answer(self, event: Event | None) -> None:
        """Start to wait at the device's `PROCESSING`; any other word but progress is an answer."""
        if isinstance(event, Progress):
            return
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None
        if event == StateChange(State.PROCESSING):
            self._answer = self._later(ANSWER_SECONDS, lambda: self._recycle(Fault.TIMEOUT, "no answer"))

    def _last(self, event: Last) -> None:
        """What ends an operation: once, and of what was asked."""
        if self._manifest.kind == "signal":
            self.stale[type(event).__name__] += 1
            return
        doing, self._doing = self._doing, None
        self._await_answer(event)
        if not answers(event, doing):
            self._recycle(Fault.PROTOCOL, "an answer to what was not asked")
        elif isinstance(event, Denied | Enrolled | NoMatch) and self._job is not None:
            self._job.tell(event)
        elif isinstance(event, Denied):
            self._rest()
            self._say(TurnedDown(self.reader, Nonce(event.nonce), event.why))
        elif not isinstance(event, Enrolled):
            self._sample(event, doing)

    def _sample(self, event: Probe | Proof | Claimed | Identifier | NoMatch, doing: Op | None) -> None:
        try:
            said = sample(self.reader, event, doing.reference if isinstance(doing, Verify) else None, self._insertions)
        except BadStay as bad:
            self._recycle(Fault.PROTOCOL, str(bad))
            return
        if not isinstance(doing, Confirm):
            self._armed = None
        if isinstance(event, NoMatch):
            self._rest()
        if isinstance(event, Probe):
            self._fingers.sampled(said.nonce)
        self._say(said)

    def _recycle(self, fault: Fault, detail: str) -> None:
        self._insertions.withdraw_all()  # at once: the child may take its time to die
        if self.child is not None:
            self.child.recycle(fault, detail)

    def _cancel_timers(self) -> None:
        for timer in (self._again, self._answer):
            if timer is not None:
                timer.cancel()
        self._again = self._answer = None
