"""What a driver's states say of a finger or a person: down, up, held; there, or nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from authd.core.model import Nonce
from authd.core.ports import FingerDown, FingerUp, Heard, Held, Sensed
from authd.driver import State

HOLD_SECONDS = 2.0


class Cancellable(Protocol):
    """A timer that was set."""

    def cancel(self) -> None:
        """Do not fire."""
        ...


Later = Callable[[float, Callable[[], None]], Cancellable]
"""Call the function after so many seconds."""


class Fingers:
    """The finger on one reader, and whether it rests after its sample; or the person before a sensor."""

    def __init__(self, say: Callable[[Heard], None], later: Later) -> None:
        self._say, self._later = say, later
        self._down, self._confirmed = False, False
        self._sampled: Nonce | None = None
        self._present: bool | None = None
        self._hold: Cancellable | None = None

    def begin(self) -> None:
        """Another operation: it has not said yet how things are."""
        self._confirmed = False

    def lost(self) -> None:
        """The reader is gone, and with it whatever it has seen."""
        self._down, self._present = False, None
        self._cancel_hold()

    def sampled(self, nonce: Nonce) -> None:
        """A finger gave its sample, and may go on resting there."""
        self._sampled, self._down = nonce, True
        self._cancel_hold()
        self._hold = self._later(HOLD_SECONDS, lambda: self._held(nonce))

    def move(self, state: State) -> None:
        """Take a state of a reader."""
        if state is State.FINGER_DOWN:
            self._confirmed = True
            if not self._down:
                self._down = True
                self._say(FingerDown())
        elif state in (State.FINGER_UP, State.NEED_TOUCH):
            if self._down:
                self._down = False
                self._say(FingerUp())
            self._cancel_hold()

    def sense(self, state: State) -> None:
        """Take a state of a presence sensor."""
        present = {State.PERSON_PRESENT: True, State.PERSON_ABSENT: False}.get(state)
        if present is not None and present is not self._present:
            self._present = present
            self._say(Sensed(present))

    def _held(self, nonce: Nonce) -> None:
        """Say it only if the operation in flight said itself that the finger is down: a guess must log nobody out."""
        self._hold = None
        if self._down and self._confirmed and nonce == self._sampled:
            self._say(Held(nonce))

    def _cancel_hold(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
