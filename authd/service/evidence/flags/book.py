"""The registry as the ledger tells it: which records are protected, and what waits for a second person.

Nothing but ledger rows changes it, and hearing one late or twice changes nothing: so the book that a restart makes of
the whole ledger is the one that was there before. The number of a change's row is its version.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import takewhile
from typing import Final

from authd.core.model import Entry, Kind, SubjectId, Value
from authd.core.protection import NOTHING, Act, Asked, Standing, heard, overtaken
from authd.service.evidence.records import RecordId
from authd.service.ledger import Recorded

MOST_RECORDS: Final = 8
"""Records that one flag covers: the same person under other systems' own numbers."""


class Change(StrEnum):
    """What two persons can do to a protection."""

    SET = "set"
    RENEW = "renew"
    RELEASE = "release"


KINDS: Final[Mapping[Change, Kind]] = {
    Change.SET: Kind.FLAG_SET,
    Change.RENEW: Kind.FLAG_RENEWED,
    Change.RELEASE: Kind.FLAG_RELEASED,
}
_CHANGES: Final = {kind: change for change, kind in KINDS.items()}
_ROWS: Final = (Kind.FLAG_REQUESTED, *_CHANGES, Kind.FLAG_DROPPED)


class Why(StrEnum):
    """Why a request came to nothing (closed list)."""

    REFUSED = "refused"
    """The second person said no."""
    OVERTAKEN = "overtaken"
    """A release, of what was set anew since it was asked for."""
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that the first person asked for, with a touch."""

    request: str
    change: Change
    records: tuple[RecordId, ...]
    by: SubjectId
    at: int
    """Number of its row."""
    of: int = 0
    """Of a release: the set that it takes back."""
    until: str = ""
    """Day by which it is to be renewed."""
    case: str = ""
    """The office's own number of the case on paper; never a name."""
    wall_ms: int = 0

    @property
    def asked(self) -> Asked:
        """As the rule sees it."""
        return Asked(self.at, self.of)


@dataclass(frozen=True, slots=True)
class Flag:
    """What is known of one record."""

    record: RecordId
    standing: Standing = NOTHING
    version: int = 0
    """The newest change, of whatever kind."""
    until: str = ""
    case: str = ""
    records: tuple[RecordId, ...] = ()
    """This one, and the others that were set with it."""
    wall_ms: int = 0

    @property
    def protected(self) -> bool:
        """Whether it is to be masked."""
        return self.standing.protected


class Book:
    """Flags and wishes. `hear` takes ledger rows, in any order."""

    def __init__(self) -> None:
        self.version = 0
        """Of the newest change."""
        self.flags: dict[RecordId, Flag] = {}
        """In the order of their newest changes."""
        self._wishes: dict[str, Wish] = {}
        self._done: set[str] = set()
        """Requests that were approved or dropped."""

    @property
    def waiting(self) -> Sequence[Wish]:
        """What waits for a second person, the oldest first."""
        return sorted(self._wishes.values(), key=lambda wish: wish.at)

    def wish(self, request: str) -> Wish | None:
        """Return a request that still waits."""
        return self._wishes.get(request)

    def find(self, record: RecordId) -> Flag | None:
        """Return what is known of a record; None: nothing was ever heard of it."""
        return self.flags.get(record)

    def overtaken(self, wish: Wish) -> bool:
        """Whether a release comes to nothing. A set never does."""
        if wish.change is not Change.RELEASE:
            return False
        others = [each.asked for each in self.waiting if set(each.records) & set(wish.records)]
        return any(overtaken(self._standing(record), wish.asked, others) for record in wish.records)

    def together(self, flag: Flag) -> tuple[RecordId, ...]:
        """Return the records that one release of this flag takes back: those of the same set."""
        others = (self.find(record) for record in flag.records if record != flag.record)
        same = (each.record for each in others if each is not None and each.standing == flag.standing)
        return (flag.record, *same)

    def after(self, version: int) -> list[Flag]:
        """Return every flag that has changed behind a version, in the order of their newest changes."""
        news = takewhile(lambda flag: flag.version > version, reversed(self.flags.values()))
        return sorted(news, key=lambda flag: flag.version)

    def hear(self, row: Recorded) -> None:
        """Take a row into account; rows of other kinds are left out."""
        entry = row.entry
        if entry.kind not in _ROWS:
            return
        request = str(entry.data.get("request", ""))
        if entry.kind is Kind.FLAG_REQUESTED:
            if request not in self._done:
                self._wishes[request] = _wish(row, request)
            return
        self._done.add(request)
        self._wishes.pop(request, None)
        if entry.kind in _CHANGES:
            self._apply(row)

    def _apply(self, row: Recorded) -> None:
        data, change = row.entry.data, _CHANGES[row.entry.kind]
        act = Act(row.seq, _number(data, "of") if change is Change.RELEASE else 0)
        records = _records(data)
        for record in records:
            known = self.flags.get(record, Flag(record))
            news = replace(known, standing=heard(known.standing, act), version=max(known.version, row.seq))
            if change is not Change.RELEASE and row.seq >= known.standing.set_in:
                news = replace(news, until=_text(data, "until"), case=_text(data, "case"))
                news = replace(news, records=records, wall_ms=row.wall_ms)
            if news.version > known.version:
                self.flags.pop(record, None)
            self.flags[record] = news
        self.version = max(self.version, row.seq)

    def _standing(self, record: RecordId) -> Standing:
        flag = self.flags.get(record)
        return NOTHING if flag is None else flag.standing


def written(wish: Wish) -> dict[str, Value]:
    """Return what a row says of a change."""
    data: dict[str, Value] = {"request": wish.request, "change": wish.change.value, "record": wish.records[0]}
    data |= {"until": wish.until, "case": wish.case, "of": wish.of}
    return data | ({"also": " ".join(wish.records[1:])} if wish.records[1:] else {})


def rows() -> Collection[Kind]:
    """Return the kinds of row that a book is made of."""
    return _ROWS


def _wish(row: Recorded, request: str) -> Wish:
    entry: Entry = row.entry
    data = entry.data
    change = Change(_text(data, "change"))
    by = entry.subject or SubjectId("")
    of, until, case = _number(data, "of"), _text(data, "until"), _text(data, "case")
    return Wish(request, change, _records(data), by, row.seq, of, until, case, row.wall_ms)


def _records(data: Mapping[str, Value]) -> tuple[RecordId, ...]:
    names = [_text(data, "record"), *_text(data, "also").split()]
    return tuple(RecordId(name) for name in names[:MOST_RECORDS] if name)


def _text(data: Mapping[str, Value], name: str) -> str:
    return str(data.get(name) or "")


def _number(data: Mapping[str, Value], name: str) -> int:
    found = data.get(name)
    return found if isinstance(found, int) else 0
