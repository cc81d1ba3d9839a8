"""Which keys and cards are in one reader: each stay begins once and ends once, whatever the driver says or does not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from authd.core.model import ReaderId
from authd.core.ports import Heard, Inserted, Withdrawn
from authd.driver import State, StateChange

MOST_STAYS: Final = 16
"""At once in one reader; a driver that says more is not believed."""
REMEMBERED: Final = 256
STATES: Final = (State.CREDENTIAL_INSERTED, State.CREDENTIAL_REMOVED)


class BadStay(Exception):
    """The driver names a stay that is over, or too many of them."""


class Insertions:
    """The stays of one reader. A stay's name outside is the child's number and the driver's name for it.

    So the first stay of a new child is never taken for the first one of the child before.
    """

    def __init__(self, reader: ReaderId, say: Callable[[Heard], None]) -> None:
        self._reader, self._say = reader, say
        self._child = 0
        self._here: set[str] = set()
        self._over: deque[str] = deque(maxlen=REMEMBERED)

    def renew(self) -> None:
        """Another child serves: its names are new."""
        self.withdraw_all()
        self._child += 1

    def take(self, change: StateChange) -> None:
        """Take one of `STATES`. Raises `BadStay`."""
        if change.state is State.CREDENTIAL_REMOVED:
            self._withdraw(change.insertion)
        elif change.insertion:
            self._insert(self._name(change.insertion))

    def stay(self, insertion: str) -> str:
        """Return the name under which a stay of now is known; empty for none. Raises `BadStay`."""
        if not insertion:
            return ""
        if self._name(insertion) not in self._here:
            raise BadStay("a stay that is not")
        return self._name(insertion)

    def withdraw_all(self) -> None:
        """Nobody sees any more what is in there: all of it is over."""
        for name in sorted(self._here):
            self._end(name)

    def _name(self, insertion: str) -> str:
        return f"{self._child}-{insertion}"

    def _insert(self, name: str) -> None:
        if name in self._here:  # each operation begins by saying how things are
            return
        if name in self._over or len(self._here) >= MOST_STAYS:
            raise BadStay("a stay that is over, or too many of them")
        self._here.add(name)
        self._say(Inserted(self._reader, name))

    def _withdraw(self, insertion: str) -> None:
        if not insertion:  # it says that nothing is in there
            self.withdraw_all()
        elif self._name(insertion) in self._here:
            self._end(self._name(insertion))

    def _end(self, name: str) -> None:
        self._here.discard(name)
        self._over.append(name)
        self._say(Withdrawn(self._reader, name))
