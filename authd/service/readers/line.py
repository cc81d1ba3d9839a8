"""What one reader is asked, and what its words mean. No I/O: a child and a timer are passed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from authd.core.model import Fault, Nonce, ReaderId
from authd.core.ports import FingerDown, FingerUp, Heard, Held, Hinted, ReaderDown, ReaderUp, Sample, Sensed
from authd.driver import Capture, Event, Feedback, NoMatch, Probe, Progress, State, StateChange, Watch
from authd.service.host.frames import Ended, Frame
from authd.service.host.manifest import Manifest

HOLD_SECONDS = 2.0
AGAIN_SECONDS = 0.5
ANSWER_SECONDS = 10.0
"""From the finger seen to a sample or a hint; a driver that takes longer is stuck in its device."""
_DEVICE_STATES = {
    State.SUSPENDED: Fault.SUSPENDED,
    State.HOT: Fault.HOT,
    State.DEVICE_REMOVED: Fault.REMOVED,
}


class Cancellable(Protocol):
    """A timer that was set."""

    def cancel(self) -> None:
        """Do not fire."""
        ...


Later = Callable[[float, Callable[[], None]], Cancellable]
"""Call the function after so many seconds."""


class Child(Protocol):
    """What a line needs of its `Keeper`."""

    def send(self, op: int, message: Capture | Watch) -> bool:
        """Send an operation; False while the child is not up."""
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
        self._up = False
        self._told: Fault | None = None
        self._op, self._capturing = 0, False
        self._armed: Nonce | None = None
        self._sampled: Nonce | None = None
        self._finger, self._confirmed = False, False
        self._present: bool | None = None
        self._hold: Cancellable | None = None
        self._again: Cancellable | None = None
        self._answer: Cancellable | None = None

    def arm(self, nonce: Nonce) -> None:
        """Ask for one sample under this nonce, instead of whatever was asked before."""
        if self._manifest.kind == "touch":
            self._armed = nonce
            self._ask()

    def disarm(self) -> None:
        """The nonce was used up elsewhere."""
        if self._armed is not None:
            self._armed = None
            self._ask()

    def up(self, keeper: Child) -> None:
        """The child serves."""
        self.child, self._up, self._told = keeper, True, None
        self._say(ReaderUp(self.reader))
        self._ask()

    def down(self, fault: Fault, detail: str) -> None:
        """The child is gone; said once until it is up again, or until the reason changes."""
        del detail
        self._up, self._finger, self._present = False, False, None
        self._cancel_timers()
        if self._told is not fault:
            self._told = fault
            self._say(ReaderDown(self.reader, fault))

    def _ask(self) -> None:
        """Give the child its next operation: the armed capture, else to watch the finger (or the person)."""
        if not self._up or self.child is None:
            return
        self._op += 1
        if self._answer is not None:  # the operation it waits for is over
            self._answer.cancel()
        self._confirmed, self._capturing = False, self._armed is not None
        if self._armed is not None:
            self.child.send(self._op, Capture(self._armed))
        elif "watch" in self._manifest.capabilities:
            self.child.send(self._op, Watch())

    def frame(self, frame: Frame) -> None:
        """The child says something."""
        if frame.op != self._op:
            self.stale[type(frame.message).__name__] += 1
            return
        match frame.message:
            case Ended():
                self._over()
            case StateChange() | Feedback() | Progress() | Probe() | NoMatch():
                self._event(frame.message)
            case _:
                self._recycle(Fault.PROTOCOL, type(frame.message).__name__)

    def _over(self) -> None:
        if self._capturing and self._armed is None:
            self._ask()  # after a sample: watch whether the finger rests
        elif self._again is None:
            self._again = self._later(
                AGAIN_SECONDS, self._ask_again
            )  # a driver that ends at once is not asked in a loop

    def _ask_again(self) -> None:
        self._again = None
        self._ask()

    def _event(self, event: Event) -> None:
        self._await_answer(event)
        match event:
            case StateChange(state) if state in _DEVICE_STATES:
                self._recycle(_DEVICE_STATES[state], "said by the device")
            case StateChange(state) if self._manifest.kind == "signal":
                self._sense(state)
            case _ if self._manifest.kind == "signal":
                self.stale[type(event).__name__] += 1
            case StateChange(state):
                self._move(state)
            case Feedback(hint):
                self._say(Hinted(hint))
            case Probe():
                self._sample(event)
            case Progress() | NoMatch():
                pass

    def _await_answer(self, event: Event) -> None:
        """Start to wait at the device's `PROCESSING`; any other word but progress is an answer."""
        if isinstance(event, Progress):
            return
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None
        if event == StateChange(State.PROCESSING):
            self._answer = self._later(ANSWER_SECONDS, lambda: self._recycle(Fault.TIMEOUT, "no answer"))

    def _sense(self, state: State) -> None:
        present = {State.PERSON_PRESENT: True, State.PERSON_ABSENT: False}.get(state)
        if present is not None and present is not self._present:
            self._present = present
            self._say(Sensed(present))

    def _move(self, state: State) -> None:
        if state is State.FINGER_DOWN:
            self._confirmed = True
            if not self._finger:
                self._finger = True
                self._say(FingerDown())
        elif state in (State.FINGER_UP, State.NEED_TOUCH):
            if self._finger:
                self._finger = False
                self._say(FingerUp())
            self._cancel_hold()

    def _sample(self, probe: Probe) -> None:
        if self._armed is None or probe.nonce != self._armed:
            self._recycle(Fault.PROTOCOL, "a sample that was not asked for")
            return
        self._sampled, self._armed, self._finger = self._armed, None, True
        self._cancel_hold()
        nonce = self._sampled
        self._hold = self._later(HOLD_SECONDS, lambda: self._held(nonce))
        self._say(Sample(self.reader, nonce, probe.data, probe.quality, probe.pad))

    def _held(self, nonce: Nonce) -> None:
        """Say it only if the operation in flight said itself that the finger is down: a guess must log nobody out."""
        self._hold = None
        if self._up and self._finger and self._confirmed and nonce == self._sampled:
            self._say(Held(nonce))

    def _recycle(self, fault: Fault, detail: str) -> None:
        if self.child is not None:
            self.child.recycle(fault, detail)

    def _cancel_hold(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None

    def _cancel_timers(self) -> None:
        self._cancel_hold()
        for timer in (self._again, self._answer):
            if timer is not None:
                timer.cancel()
        self._again = self._answer = None
