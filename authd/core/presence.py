"""Whether the owner is still there: idle, absence and maximum age, as plain arithmetic on instants.

Two rules:
1. Only a fresh touch is evidence of *who* is there. Activity postpones idle, and the sensor's "somebody" postpones
   absence, but neither takes back an absence whose fade has begun: that could be anybody who sat down.
2. A sensor that falls silent changes nothing it has said: an absence goes on counting, a presence is not renewed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from authd.core.model import EndReason, Instant, Limits


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of the person at the seat since their last touch."""

    active_at: Instant
    """Last touch, or last activity that the seat's own agent reported."""
    present: bool | None = None
    """The sensor's last word; None: it has said nothing."""
    absent_since: Instant | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """When a session fades and when it ends, and why."""

    fades_at: Instant
    ends_at: Instant
    reason: EndReason


def touched(watch: Watch, now: Instant) -> Watch:
    """A fresh touch by the owner: they are here now, whatever the sensor said.

    A sensor that says "nobody" at this very moment starts its count anew: were it forgotten instead, a person whom it
    never saw could walk away unseen.
    """
    return Watch(active_at=now, present=watch.present, absent_since=now if watch.present is False else None)


def active(watch: Watch, now: Instant) -> Watch:
    """The keyboard or mouse of the seat moved."""
    return replace(watch, active_at=now)


def sensed(watch: Watch, present: bool, now: Instant, *, fading: bool) -> Watch:
    """The sensor spoke. `fading`: an absence has already begun to fade, and only a touch takes it back."""
    if not present:
        since = watch.absent_since if watch.absent_since is not None else now
        return replace(watch, present=False, absent_since=since)
    return replace(watch, present=True, absent_since=watch.absent_since if fading else None)


def absence_fades(watch: Watch, limits: Limits, now: Instant) -> bool:
    """Whether an absence has begun to fade, whatever else does."""
    if watch.absent_since is None or limits.absence is None:
        return False
    return now >= fades_at(watch.absent_since, limits.absence, limits.fade)


def due(watch: Watch, limits: Limits, shift_began: Instant) -> Due:
    """The first of the limits that this session will meet if nothing more happens."""
    since, limit, reason = watch.active_at, limits.idle, EndReason.IDLE
    away = watch.absent_since
    if away is not None and limits.absence is not None and away + limits.absence < since + limit:
        since, limit, reason = away, limits.absence, EndReason.ABSENCE
    if shift_began + limits.overall < since + limit:
        since, limit, reason = shift_began, limits.overall, EndReason.EXPIRED
    return Due(fades_at(since, limit, limits.fade), Instant(since + limit), reason)


def fades_at(since: Instant, limit: int, fade: int) -> Instant:
    """The fade is the last part of the limit, never more than half of it, so that the lock itself is never late."""
    return Instant(since + limit - min(fade, limit // 2))
