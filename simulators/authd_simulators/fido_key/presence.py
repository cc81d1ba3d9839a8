"""The person at the key: touches and fingers, and the wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from authd_simulators.fido_key.status import CtapError, Status, Unplugged

KEEPALIVE_S = 0.1
TOUCH_S = 30.0
PROCESSING, UP_NEEDED = 1, 2
HOLD_S = 2.0

Keepalive = Callable[[int], object]


class Want(Enum):
    """What the blinking key asks for."""

    TOUCH = "touch"
    FINGER = "finger"


@dataclass(frozen=True, slots=True)
class Gesture:
    """One touch of the key: of a finger that it can tell (1 to 10; 0: a stranger's), or of any (None).

    feedback: what the sensor says of the print while it learns one (CTAP 2.1, 6.7.4; 0: good).
    """

    finger: int | None = None
    feedback: int = 0


TOUCH = Gesture()
WRONG = Gesture(0)


class Approve(Protocol):
    """Who touches the key."""

    def __call__(self, want: Want, wait_s: float, /) -> Gesture | None:
        """Wait at most so long; return a gesture, or None for none yet: asked again while the key blinks."""
        ...


def now_ns() -> int:
    """Return the time that also runs in suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Hand:
    """A hand that other threads move: `give` a gesture, and the key that blinks within `HOLD_S` sees it once."""

    def __init__(self) -> None:
        self.auto = False
        """The key is touched by itself, by finger `auto_finger`, whenever it blinks."""
        self.auto_finger = 1
        self._changed = threading.Condition()
        self._gesture: tuple[Gesture, int] | None = None
        self._asking: Want | None = None

    @property
    def asking(self) -> Want | None:
        """What the key asks for at this moment."""
        return self._asking

    def give(self, gesture: Gesture, hold_s: float = HOLD_S) -> None:
        """Touch the key now, for `hold_s` or until it took notice."""
        with self._changed:
            self._gesture = gesture, now_ns() + round(hold_s * 1e9)
            self._changed.notify_all()

    def wake(self) -> None:
        """Let a waiting key look again at once."""
        with self._changed:
            self._changed.notify_all()

    def wait_asked(self, limit_s: float) -> bool:
        """Wait until the key blinks, at most so long, and say whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._asking is not None, limit_s)

    def begin(self, want: Want | None) -> None:
        """Take note that the key asks, or (None) no longer does."""
        with self._changed:
            self._asking = want
            self._changed.notify_all()

    def approve(self, want: Want, wait_s: float) -> Gesture | None:
        """Return the gesture that was given, or None: the `Approve` of a key that nobody else speaks for."""
        del want
        if self.auto:
            return Gesture(self.auto_finger)
        with self._changed:
            if self._gesture is None:
                self._changed.wait(wait_s)
            given, self._gesture = self._gesture, None
        return given[0] if given is not None and given[1] > now_ns() else None


class Presence:
    """Waits for the person on behalf of a command; can be cancelled, and ends when the power does."""

    def __init__(self, touch_s: float = TOUCH_S) -> None:
        self.hand = Hand()
        self.approve: Approve = self.hand.approve
        self.touch_s = touch_s
        self.keepalive: Keepalive | None = None
        self._cancelled = threading.Event()
        self._gone = self._mine = threading.Event()

    @property
    def gone(self) -> threading.Event:
        """Set when this power cycle ends, and never cleared: the next one has an event of its own."""
        return self._gone

    def start(self, keepalive: Keepalive | None) -> None:
        """Begin a command."""
        self._cancelled.clear()
        self._mine = self._gone
        self.keepalive = keepalive

    def cancel(self) -> None:
        """End the wait of the command that is running."""
        self._cancelled.set()
        self.hand.wake()

    def power(self, on: bool) -> None:
        """Take note of power; losing it, however shortly, ends the command that waits."""
        self._gone.set()
        if on:
            self._gone = threading.Event()
        self.hand.wake()

    def wait(self, want: Want, limit_s: float | None = None) -> Gesture:
        """Return the next gesture. Raises `CtapError` on cancel and at the end of the time, `Unplugged`."""
        deadline = now_ns() + round((limit_s or self.touch_s) * 1e9)
        self.hand.begin(want)
        try:
            while True:
                gesture = self._look(want)
                if gesture is not None and not (want is Want.FINGER and gesture.finger is None):
                    return gesture
                if now_ns() > deadline:
                    raise CtapError(Status.USER_ACTION_TIMEOUT)
        finally:
            self.hand.begin(None)

    def _look(self, want: Want) -> Gesture | None:
        if self.keepalive is not None:
            self.keepalive(UP_NEEDED)
        self._stop_if_asked()
        gesture = self.approve(want, KEEPALIVE_S)
        self._stop_if_asked()
        return gesture

    def _stop_if_asked(self) -> None:
        if self._mine.is_set():
            raise Unplugged
        if self._cancelled.is_set():
            raise CtapError(Status.KEEPALIVE_CANCEL)
