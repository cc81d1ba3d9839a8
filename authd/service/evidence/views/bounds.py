"""How often, how many, and how old: what keeps a flood of reports, or an old one, out of the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from authd.core.model import SECOND, Instant

SESSION_BURST, APPLICATION_BURST = 60, 200
"""Views at once, of one session (a page of search results) and of one application; the rates stand in authd.toml."""
MOST_VIEWS = 20_000
"""Views of one session: nobody opens one every second for five hours. Bounds what is remembered of it, too."""
OLDEST_MS, EARLIEST_MS = 60_000, 5_000
"""How far behind, and ahead of, this host's wall clock an application's may be."""


class Tokens:
    """A bucket: `rate` tokens a second, at most `burst` saved up. Time is passed in."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: int, now: Instant) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._at = float(burst), now

    def take(self, now: Instant) -> bool:
        """Take one, if there is one."""
        self._left = min(self._burst, self._left + self._rate * (now - self._at) / SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class Sitting:
    """What is remembered of a session while it is active.

    Its nonces die with it, and no session outlives a daemon: a report that is played again after a restart names a
    session that is none any more.
    """

    tokens: Tokens
    opened: int = 0
    nonces: set[bytes] = field(default_factory=set[bytes])

    def knows(self, nonce: str) -> bool:
        """Whether a view with this nonce was taken before."""
        return _digest(nonce) in self.nonces

    def remember(self, nonce: str) -> None:
        """Take note of a nonce."""
        self.nonces.add(_digest(nonce))

    @property
    def full(self) -> bool:
        """Whether it may open no more."""
        return len(self.nonces) >= MOST_VIEWS


def _digest(nonce: str) -> bytes:
    return blake2b(nonce.encode(), digest_size=16).digest()
