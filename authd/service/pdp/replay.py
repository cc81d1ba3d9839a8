"""What another bundle would have decided: the ledger's own questions, put again (`authd policy diff`).

A row of a decision holds the question as it was put (`asked`), with the people, the seat and the local time as they
were. Rows that were written before that was kept say who and which rules, and not what was asked: they are counted and
never guessed. Touches that waited for another one, and what a reload asked of those who sat there, left no row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from authd.core.model import Decision, Entry, Kind, Limits
from authd.service.pdp.asked import Question
from authd.service.pdp.bundle import Bundle
from authd.service.pdp.errors import BundleError
from authd.service.pdp.question import decide, parse

PERMITTED: Final = frozenset({Kind.GRANT, Kind.SESSION_STEPPED_UP, Kind.SESSION_KEPT, Kind.CARRYOUT_GRANTED})
REFUSED: Final = frozenset({Kind.ATTEMPT_REFUSED, Kind.CARRYOUT_REFUSED})
EXAMPLES: Final = 5
MOST_GROUPS: Final = 1_000
_Rules = tuple[str, ...]
_Key = tuple[str, str, _Rules, _Rules]


@dataclass(frozen=True, slots=True)
class Past:
    """One decision of the ledger. `asked` empty: the row does not say what was asked."""

    seq: int
    wall_ms: int
    seat: str
    subject: str
    kind: Kind
    permitted: bool
    rules: tuple[str, ...]
    bundle: str
    asked: str


def past(seq: int, wall_ms: int, entry: Entry) -> Past | None:
    """Read a row; None: the policy decided nothing by it."""
    if not _decided(entry):
        return None
    data = entry.data
    rules = tuple(rule for rule in str(data.get("rules") or "").split(",") if rule)
    return Past(
        seq,
        wall_ms,
        entry.seat or "",
        entry.subject or "",
        entry.kind,
        entry.kind in PERMITTED,
        rules,
        str(data.get("policy") or ""),
        str(data.get("asked") or ""),
    )


def _decided(entry: Entry) -> bool:
    """A session is kept by a touch, or by what is no decision; an attempt is refused by rules, or by a device."""
    match entry.kind:
        case Kind.SESSION_KEPT:
            return entry.data.get("by") == "touch"
        case Kind.ATTEMPT_REFUSED:
            return "rules" in entry.data
        case _:
            return entry.kind in PERMITTED or entry.kind in REFUSED


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two bundles says. `limits` None: not known, from the row alone."""

    permitted: bool
    rules: tuple[str, ...]
    limits: Limits | None = None

    @classmethod
    def of(cls, decision: Decision) -> Side:
        """What a decision says."""
        return cls(decision.permitted, decision.rules, decision.limits if decision.permitted else None)


@dataclass(frozen=True, slots=True)
class Example:
    """A row that shows a change, to be looked up."""

    seq: int
    wall_ms: int
    seat: str
    subject: str


@dataclass(slots=True)
class Change:
    """Decisions that come out otherwise, in the same way, by the same rules. `what`: refused, permitted, limits."""

    what: str
    action: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    count: int = 0
    subjects: set[str] = field(default_factory=set[str])
    examples: list[Example] = field(default_factory=list[Example])


@dataclass(slots=True)
class Diff:
    """The whole answer."""

    before: str
    """Hash of the bundle that it is compared with; empty: whatever bundle decided then."""
    after: str
    decided: int = 0
    same: int = 0
    changes: list[Change] = field(default_factory=list[Change])
    without: Counter[Kind] = field(default_factory=Counter[Kind])
    """Rows that do not say what was asked."""
    without_last_ms: int | None = None
    unreadable: int = 0
    """Rows of another version of authd, whose question this one does not understand."""
    asked: Counter[str] = field(default_factory=Counter[str])
    """Decisions by action."""

    @property
    def changed(self) -> int:
        """Decisions that would come out otherwise."""
        return sum(change.count for change in self.changes)


def replay(rows: Iterable[Past], after: Bundle, before: Bundle | None = None) -> Diff:
    """Put every question again; `before` None: compare with what was decided then."""
    diff, found = Diff(before.hash if before else "", after.hash), defaultdict[_Key, list[Past]](list)
    for row in rows:
        _one(diff, found, row, after, before)
    diff.changes = sorted((_change(key, each) for key, each in found.items()), key=lambda change: -change.count)
    diff.changes = diff.changes[:MOST_GROUPS]
    return diff


def _one(diff: Diff, found: Mapping[_Key, list[Past]], row: Past, after: Bundle, before: Bundle | None) -> None:
    if not row.asked:
        diff.without[row.kind] += 1
        diff.without_last_ms = max(diff.without_last_ms or row.wall_ms, row.wall_ms)
        return
    try:
        question = parse(row.asked)
    except BundleError:
        diff.unreadable += 1
        return
    diff.decided += 1
    diff.asked[question.action] += 1
    then, now = _then(row, question, before), Side.of(decide(after, question))
    what = _what(then, now)
    if not what:
        diff.same += 1
        return
    found[what, question.action, then.rules, now.rules].append(row)


def _then(row: Past, question: Question, before: Bundle | None) -> Side:
    return Side(row.permitted, row.rules) if before is None else Side.of(decide(before, question))


def _what(then: Side, now: Side) -> str:
    if then.permitted != now.permitted:
        return "permitted" if now.permitted else "refused"
    if then.limits is not None and now.limits is not None and then.limits != now.limits:
        return "limits"
    return ""


def _change(key: _Key, rows: Sequence[Past]) -> Change:
    examples = [Example(row.seq, row.wall_ms, row.seat, row.subject) for row in rows[:EXAMPLES]]
    people = {row.subject for row in rows}
    return Change(*key, len(rows), people, examples)
