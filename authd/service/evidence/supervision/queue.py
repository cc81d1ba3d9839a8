"""What a supervisor is to look at: the ledger's rows of a month, put together by section; and who has signed for it.

Pure. An item rests on rows by their numbers; a signature covers what stood in the ledger when it was given, but never
what its signer did themselves: that waits for somebody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import Final

from authd.core.model import Kind, SeatId, SubjectId, Value
from authd.service.evidence.supervision.days import DAY, LEFT, PROTECTED, REFUSED, VIEW_REFUSED
from authd.service.ledger import Recorded

MOST_ITEMS: Final = 2_000
"""Items of one review that are shown; a month with more is told as more, and every row is in the ledger."""

OTHERS: Final = ("helper", "approver")
"""What of a row's `data` names somebody who had a hand in it."""


class What(StrEnum):
    """Kinds of items, in the order of their weight."""

    ELSEWHERE = "elsewhere"
    BREAK_GLASS = "break_glass"
    TRIPPED = "tripped"
    BLOCKED = "blocked"
    UNATTRIBUTED = "unattributed"
    OPEN_EXPORT = "open_export"
    PROTECTED = "protected"
    OFF_ROSTER = "off_roster"
    DAY_OFF = "day_off"
    BEFORE = "before_shift"
    AFTER = "after_shift"
    LEFT_OPEN = "left_open"
    REFUSED = "refused"
    GAP = "gap"


ROWS: Final[Mapping[Kind, What]] = {
    Kind.BREAKGLASS_OPENED: What.BREAK_GLASS,
    Kind.CARRYOUT_TRIPPED: What.TRIPPED,
    Kind.CARRYOUT_BLOCKED: What.BLOCKED,
    Kind.CARRYOUT_REFUSED: What.REFUSED,
    Kind.CARRYOUT_USED: What.OPEN_EXPORT,
    Kind.UNATTRIBUTED_FOUND: What.UNATTRIBUTED,
    Kind.LEDGER_GAP: What.GAP,
}
"""Kinds of rows that are an item each. What was carried out is one until it is back; one kind of access is one, too."""
ACCESS: Final = ("system", "source", "why", "account", "address", "place")
"""What makes accesses that belong to no session one kind, and is shown of them."""
NOT_ENDS: Final = (REFUSED, VIEW_REFUSED, PROTECTED)
"""What a day's sum counts beside the ends of sessions."""
TOLD: Final = ("place", "seen", "source", "rules", "why", "system", "rows", "destination", "count", "limit", "reason")
"""What of a row's `data` is shown; no record's number is among it, and no purpose that somebody typed."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to look at. `seqs`: the ledger's rows that it rests on."""

    what: What
    at_ms: int
    seqs: tuple[int, ...]
    seat: SeatId | None = None
    subject: SubjectId | None = None
    others: frozenset[SubjectId] = frozenset()
    """Further people who did it: the helper of a break-glass, who allowed a carry-out."""
    count: int = 1
    detail: Mapping[str, Value] = field(default_factory=dict[str, Value])
    accounts: frozenset[SubjectId] = frozenset()
    """Whose account it is. It may have been anybody: they are not named, and do not sign for it."""

    def concerns(self, subject: SubjectId) -> bool:
        """Whether this person did it, had a hand in it, or may have."""
        return subject == self.subject or subject in self.others or subject in self.accounts


@dataclass(frozen=True, slots=True)
class Signature:
    """Somebody has looked at a month's items, up to the row `through`."""

    subject: SubjectId
    at_ms: int
    through: int
    items: int
    seq: int


@dataclass(frozen=True, slots=True)
class Review:
    """One section's month."""

    section: str
    month: str
    due: date
    items: Sequence[Item]
    signatures: Sequence[Signature] = ()
    level: int = 0
    """How many levels up it has been told of."""

    @property
    def open(self) -> list[Item]:
        """Return what nobody else than its own doer has looked at."""
        return [each for each in self.items if not any(_covers(sign, each) for sign in self.signatures)]

    @property
    def done(self) -> bool:
        """Whether somebody has looked at all of it; a month without anything is to be signed too."""
        return bool(self.signatures) and not self.open

    def for_signer(self, subject: SubjectId) -> list[Item]:
        """Return what this person's signature would cover."""
        return [each for each in self.open if not each.concerns(subject)]


def digest(items: Iterable[Item]) -> str:
    """Name what was shown, so that nothing else is signed: SHA-256 over the numbers of its rows, hex."""
    seqs = sorted(seq for item in items for seq in item.seqs)
    return sha256(",".join(map(str, seqs)).encode()).hexdigest()


def items(rows: Iterable[Recorded], closed: frozenset[str]) -> list[Item]:
    """Return the items of a month's rows, the weightiest first. `closed`: what was carried out and is back."""
    found: list[Item] = []
    sums: defaultdict[tuple[SeatId | None, SubjectId | None], list[Recorded]] = defaultdict(list)
    accesses: defaultdict[tuple[str, ...], list[Recorded]] = defaultdict(list)
    for row in rows:
        data = row.entry.data
        if row.entry.kind is Kind.UNATTRIBUTED_FOUND:
            accesses[tuple(str(data.get(name, "")) for name in ACCESS)].append(row)
            continue
        if row.entry.kind is Kind.DISCIPLINE_NOTED and data.get("what") == DAY:
            sums[row.entry.seat, row.entry.subject].append(row)
            continue
        what = _what(row)
        if what is not None and not (what is What.OPEN_EXPORT and str(data.get("carryout")) in closed):
            found.append(_item(what, row))
    for place in sums.values():
        found += _summed(place)
    found += [_accessed(each) for each in accesses.values()]
    order = list(What)
    return sorted(found, key=lambda item: (order.index(item.what), item.at_ms, item.seqs))


def causes(rows: Iterable[Recorded]) -> Mapping[tuple[SeatId, SubjectId | None], Mapping[str, int]]:
    """Return why sessions ended, by seat and person, from the sums of their days."""
    found: defaultdict[tuple[SeatId, SubjectId | None], dict[str, int]] = defaultdict(dict)
    for row in rows:
        entry = row.entry
        if entry.kind is Kind.DISCIPLINE_NOTED and entry.data.get("what") == DAY and entry.seat is not None:
            counts = found[entry.seat, entry.subject]
            for reason, number in _counts(row).items():
                if reason not in NOT_ENDS:
                    counts[reason] = counts.get(reason, 0) + number
    return {place: counts for place, counts in found.items() if counts}


def protected(row: Recorded) -> Item:
    """Return the item of one view of a protected record. It names the record by its pseudonym, for `authd views`."""
    item = _item(What.PROTECTED, row)
    return replace(item, detail={"record": str(row.entry.data.get("record", "")), **item.detail})


def by_section(found: Iterable[Item], section: Callable[[Item], str]) -> Mapping[str, list[Item]]:
    """Return the items by the section that they belong to."""
    parts: defaultdict[str, list[Item]] = defaultdict(list)
    for item in found:
        parts[section(item)].append(item)
    return parts


def _what(row: Recorded) -> What | None:
    if row.entry.kind is not Kind.DISCIPLINE_NOTED:
        return ROWS.get(row.entry.kind)
    what = row.entry.data.get("what")
    return What(what) if what in set(What) else None


def _item(what: What, row: Recorded) -> Item:
    entry, data = row.entry, row.entry.data
    others = frozenset(SubjectId(str(data[name])) for name in OTHERS if data.get(name))
    detail = {name: data[name] for name in TOLD if name in data}
    subject = entry.subject
    if subject is None and row.entry.kind is Kind.CARRYOUT_USED and data.get("given_to"):
        subject = SubjectId(str(data["given_to"]))  # it is open in their name, whoever used it
    return Item(what, row.wall_ms, (row.seq,), entry.seat, subject, others, detail=detail)


def _summed(rows: list[Recorded]) -> list[Item]:
    """One person's month at one seat: how often it was left open and why, and how often they were refused."""
    left = {reason.value: sum(_counts(row).get(reason.value, 0) for row in rows) for reason in LEFT}
    ends = sum(number for row in rows for name, number in _counts(row).items() if name not in NOT_ENDS)
    refused = {name: sum(_counts(row).get(name, 0) for row in rows) for name in (REFUSED, VIEW_REFUSED)}
    last, found = rows[-1], list[Item]()
    for what, counts in ((What.LEFT_OPEN, left), (What.REFUSED, refused)):
        number = sum(counts.values())
        if number:
            told: dict[str, Value] = {name: each for name, each in counts.items() if each}
            seqs = tuple(row.seq for row in rows if any(name in row.entry.data for name in counts))
            if what is What.LEFT_OPEN:
                told["of"] = ends
            found.append(Item(what, last.wall_ms, seqs, last.entry.seat, last.entry.subject, count=number, detail=told))
    return found


def _accessed(rows: list[Recorded]) -> Item:
    """One kind of access in a month: how often it was found."""
    last = rows[-1]
    told = {name: last.entry.data[name] for name in ACCESS if name in last.entry.data}
    return Item(What.UNATTRIBUTED, last.wall_ms, tuple(row.seq for row in rows), count=len(rows), detail=told)


def _counts(row: Recorded) -> dict[str, int]:
    return {
        name: number
        for name, number in row.entry.data.items()
        if isinstance(number, int) and not isinstance(number, bool)
    }


def _covers(sign: Signature, item: Item) -> bool:
    return not item.concerns(sign.subject) and max(item.seqs, default=0) <= sign.through
