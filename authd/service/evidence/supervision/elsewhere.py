"""Piggyback: a seat is active while its owner is seen elsewhere. It is told, never acted on: a feed may be wrong."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from authd.core.model import Entry, Epoch, Grade, SeatId, SessionId, SubjectId

MOST_STAYS: Final = 10_000
"""Sessions that are remembered, the newest; a sighting from before them says nothing."""
OLDEST_MS: Final = 24 * 3_600_000
"""How old a sighting may be when it is told."""
CLOCKS_MS: Final = 30_000
"""How far the clock of a door may be from ours: a sighting so near to a session's begin or end says nothing."""


class Source(StrEnum):
    """Who saw them."""

    SEAT = "seat"
    """A reader of another seat of this host."""
    HOST = "host"
    """Another host's authd."""
    DOOR = "door"
    """A door, a time clock, an attendance system."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Somebody was seen."""

    subject: SubjectId
    place: str
    at_ms: int
    source: Source = Source.DOOR
    grade: Grade = Grade.DEVICE
    """What a door says is a device's word (C); what another seat's reader has matched is B."""
    out: bool = False
    """They went out there, so they are not behind it any more."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One session of one person."""

    subject: SubjectId
    seat: SeatId
    session: SessionId
    epoch: Epoch
    since_ms: int
    until_ms: int | None = None


@dataclass(slots=True)
class Stays:
    """Who sat where lately. `here`: names under which a seat's own place may be told: itself, its section, the host."""

    here: dict[SeatId, frozenset[str]] = field(default_factory=dict[SeatId, frozenset[str]])
    _by_session: OrderedDict[str, Stay] = field(default_factory=OrderedDict[str, Stay])

    def begin(self, entry: Entry, wall_ms: int) -> None:
        """A session has started."""
        if entry.subject is None or entry.seat is None or entry.session is None:
            return
        self._by_session[entry.session] = Stay(entry.subject, entry.seat, entry.session, entry.epoch, wall_ms)
        if len(self._by_session) > MOST_STAYS:
            self._by_session.popitem(last=False)

    def end(self, entry: Entry, wall_ms: int) -> None:
        """A session has ended."""
        stay = self._by_session.get(entry.session or "")
        if stay is not None:
            self._by_session[stay.session] = replace(stay, until_ms=wall_ms)

    def elsewhere(self, sighting: Sighting) -> Stay | None:
        """Return the session of theirs that was open then, at another place; None: there was none."""
        return next((each for each in self._theirs(sighting) if self._apart(each, sighting)), None)

    def _theirs(self, sighting: Sighting) -> Iterable[Stay]:
        return (each for each in reversed(self._by_session.values()) if each.subject == sighting.subject)

    def _apart(self, stay: Stay, sighting: Sighting) -> bool:
        if sighting.place in self.here.get(stay.seat, frozenset({stay.seat})) and not sighting.out:
            return False
        if sighting.place == stay.seat:
            return False
        slack = 0 if sighting.source is Source.SEAT else CLOCKS_MS
        if sighting.at_ms < stay.since_ms + slack:
            return False
        return stay.until_ms is None or sighting.at_ms <= stay.until_ms - slack
