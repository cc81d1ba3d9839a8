"""How failed tries slow the next one down (SECURITY.md I5, NIST SP 800-63B-4 section 3.2.2).

Two kinds of counter, never mixed:
- of a *claimed* credential (1:1): five tries, then 30 s before each, disabled at fifty; only its owner's success
  clears it. It is charged *before* the verification, so that pulling the plug in the middle buys nothing, and given
  back where the device was at fault. One that a tile or card claims for a service's word is another one than that of
  the person's own reader: whoever tries another's name with a wrong finger shuts out that way in, and no other.
- of a *seat* whose touch named nobody (1:N): it only delays, and it decays, so that a busy counter is never shut.
  Fingers have one, keys and cards have one: a busy reader never makes anybody's key wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from authd.core.model import MINUTE, SECOND, Counter, Instant

FREE_TRIES = 5
CLAIM_DELAY = 30 * SECOND
DISABLED_AT = 50
BUSY_DELAY = SECOND
"""Of a credential that is being verified somewhere at this moment."""
SEAT_DECAY = MINUTE // 2
"""One miss is forgotten in this time."""
SEAT_DELAYS = tuple(n * SECOND for n in (1, 2, 4, 8, 16, 30))
_CLAIM, _NAMED = "subject:", "named:"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a verification may start now."""

    allowed: bool
    until: Instant = Instant(0)
    """When to try again; meaningless once disabled."""
    disabled: bool = False


def claim_key(subject: str) -> str:
    """Counter of a claimed person."""
    return _CLAIM + subject


def named_key(subject: str) -> str:
    """Counter of a person whom a tile or card names, and whose finger a service compares."""
    return _NAMED + subject


def proof_key(seat: str) -> str:
    """Counter of a seat's keys and cards that proved nothing."""
    return "key:" + seat


def seat_key(seat: str) -> str:
    """Counter of a seat's unnamed misses."""
    return "seat:" + seat


def may_try(counter: Counter, now: Instant, *, claimed: bool) -> Verdict:
    """Judge a counter that `adopt` has brought to this boot."""
    if claimed and counter.failures >= DISABLED_AT:
        return Verdict(allowed=False, disabled=True)
    return Verdict(allowed=now >= counter.not_before, until=counter.not_before)


def charge_claim(counter: Counter, now: Instant) -> Counter:
    """Count a try of a claimed credential, before it is verified."""
    failures = counter.failures + 1
    wait = CLAIM_DELAY if failures >= FREE_TRIES else 0
    return replace(counter, failures=failures, not_before=Instant(now + wait), changed_at=now)


def refund(charged: Counter, before: Counter) -> Counter:
    """The device failed, not the person, or the second finger was good: as it was before the charge."""
    return replace(charged, failures=before.failures, not_before=before.not_before, changed_at=before.changed_at)


def succeed(counter: Counter, now: Instant) -> Counter:
    """The owner's success clears their counter."""
    return replace(counter, failures=0, not_before=Instant(0), changed_at=now)


def charge_seat(counter: Counter, now: Instant) -> Counter:
    """Count a touch that named nobody, after what has been forgotten meanwhile."""
    forgotten = max(0, now - counter.changed_at) // SEAT_DECAY
    failures = max(0, counter.failures - forgotten) + 1
    return replace(counter, failures=failures, not_before=Instant(now + seat_delay(failures)), changed_at=now)


def seat_delay(failures: int) -> int:
    """Nanoseconds before a seat's next try."""
    over = failures - FREE_TRIES
    return 0 if over <= 0 else SEAT_DELAYS[min(over, len(SEAT_DELAYS)) - 1]


def adopt(key: str, counter: Counter, now: Instant, boot: str) -> Counter:
    """Bring a counter from the store to this boot, whose clock started anew: a whole delay starts again."""
    if counter.boot == boot:
        return counter
    claimed = key.startswith((_CLAIM, _NAMED))
    wait = CLAIM_DELAY if claimed and counter.failures >= FREE_TRIES else 0
    if not claimed:
        wait = seat_delay(counter.failures)
    return Counter(counter.failures, Instant(now + wait), now, boot)
