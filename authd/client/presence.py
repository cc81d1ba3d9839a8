"""What a client remembers of who is where, and for how long it may believe it. Pure: time is passed in."""

from __future__ import annotations

from collections import deque
from typing import Final

from authd.client.values import Person
from authd.core.model import SECOND, Instant

GOOD_FOR: Final = 2 * SECOND
"""Beyond the daemon's last beat; after that, nobody."""
REMEMBERED_ENDS: Final = 256


class Cache:
    """Answers to `who`, each until anything happens at its seat, all of them until the daemon falls silent.

    An answer and the lock that overtakes it may cross: a session that has once been seen to end is never believed
    again, and an answer that was asked for before something happened (an older `turn`) is not kept.
    """

    def __init__(self) -> None:
        self._known: dict[str, Person | None] = {}
        self._ended: deque[str] = deque(maxlen=REMEMBERED_ENDS)
        self._last_beat: Instant | None = None
        self.turn = 0
        """Counts what happened."""

    def beat(self, at: Instant) -> None:
        """Note that the daemon says it has told us everything up to now."""
        self._last_beat = at

    def left(self, now: Instant) -> float | None:
        """Return for how many seconds more its word is good (0: no longer); None before the first beat."""
        if self._last_beat is None:
            return None
        return max(0, self._last_beat + GOOD_FOR - now) / SECOND

    def over(self, session: str) -> bool:
        """Whether a lock has named this session."""
        return session in self._ended

    def knows(self, seat: str, now: Instant) -> bool:
        """Whether `get` has an answer that is still good."""
        return seat in self._known and bool(self.left(now))

    def get(self, seat: str) -> Person | None:
        """Return what is known."""
        return self._known[seat]

    def put(self, seat: str, person: Person | None, turn: int) -> Person | None:
        """Keep an answer that came at `turn`, and return what may be believed of it."""
        if person is not None and person.session in self._ended:
            return None
        if turn == self.turn:
            self._known[seat] = person
        return person

    def happened(self, seat: str | None, ended: str | None = None) -> None:
        """Something happened at a seat (None: anywhere); `ended` names a session that is over."""
        self.turn += 1
        if ended is not None:
            self._ended.append(ended)
        if seat is None:
            self._known.clear()
        else:
            self._known.pop(seat, None)

    def lost(self) -> None:
        """Nothing is heard any more: believe nothing."""
        self._last_beat = None
        self.happened(None)
