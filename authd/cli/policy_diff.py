"""`authd policy diff`: what another bundle would have decided, by the ledger's own questions."""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from authd.cli._common import language
from authd.cli.codes import OK, WRONG
from authd.cli.files import label, local, open_reader, people, plain
from authd.cli.printed import Both, Column, Sheet, page, write
from authd.locale import text
from authd.service.ledger import Recorded
from authd.service.ledger.query import Reader
from authd.service.pdp import Bundle, Source, read
from authd.service.pdp.replay import PERMITTED, REFUSED, Change, Diff, Past, past, replay
from authd.service.staff import PersonRecord

DAY_MS: Final = 86_400_000
MONTH_DAYS: Final = 31
MOST: Final = 2_000_000
"""Decisions that are put again; the newest."""
_HOLDING: Final = tuple(f'"kind":"{kind.value}"'.encode() for kind in PERMITTED | REFUSED)
Known = Mapping[str, PersonRecord]


def diff(args: argparse.Namespace, source: Source) -> int:
    """Put the ledger's questions to the bundle; say what would come out otherwise."""
    after = read(source)
    before = read(Source(args.against)) if args.against else None
    until = args.until if args.until is not None else time.time_ns() // 1_000_000
    since = args.since if args.since is not None else until - args.days * DAY_MS
    reader = open_reader(args)
    try:
        rows = deque(decisions(reader, since, until), maxlen=args.last or MOST)
    finally:
        reader.close()
    found, known = replay(rows, after, before), people(args)
    if args.html is not None:
        write(args.html, page(_sheet(found, after, before, known, since, until)))
    for said in _json(found, since, until) if args.json else _lines(found, after, known, args.lang, since, until):
        print(said)
    return WRONG if found.changes else OK


def decisions(reader: Reader, since_ms: int, until_ms: int) -> Iterator[Past]:
    """Yield every decision of the interval, in order."""
    for row in rows_between(reader, since_ms, until_ms):
        decided = past(row.seq, row.wall_ms, row.entry)
        if decided is not None:
            yield decided


def rows_between(reader: Reader, since_ms: int, until_ms: int) -> Iterator[Recorded]:
    """Yield the rows of an interval that may be decisions; months before it are not opened."""
    first = (datetime.fromtimestamp(max(0, since_ms) / 1_000, UTC) - timedelta(days=2)).strftime("%Y-%m")
    for path in reader.segments():
        if path.stem[-7:] < first:
            continue
        for row in reader.select(path, "seq > ? ORDER BY seq", (reader.before(path),)):
            if since_ms <= row.wall_ms <= until_ms and any(word in row.bytes for word in _HOLDING):
                yield row


def _lines(found: Diff, after: Bundle, known: Known, language: str, since_ms: int, until_ms: int) -> Iterator[str]:
    yield text("policy.bundle", language, hash=found.after)
    yield _against(found, language)
    yield _compared(found, language, since_ms, until_ms)
    for change in found.changes:
        yield plain(_change(change, language))
        yield from (f"    {plain(words)}" for words in _meanings(change, after, language))
        yield from (f"    {line}" for line in _examples(change, known, language))
    yield from _caveats(found, language)
    if not found.changes:
        yield text("policy_diff.nothing" if found.decided else "policy_diff.no_decisions", language)


def _against(found: Diff, language: str) -> str:
    if not found.before:
        return text("policy_diff.then", language)
    return text("policy_diff.against", language, hash=found.before)


def _compared(found: Diff, language: str, since_ms: int, until_ms: int) -> str:
    since, until = (local(at).isoformat(" ", "minutes") for at in (since_ms, until_ms))
    counts = {"count": found.decided, "same": found.same, "changed": found.changed}
    return text("policy_diff.compared", language, since=since, until=until, **counts)


def _change(change: Change, language: str) -> str:
    return text(
        "policy_diff.line",
        language,
        what=text(f"policy_diff.{change.what}", language),
        count=change.count,
        people=len(change.subjects),
        action=change.action,
        before=", ".join(change.before) or "-",
        after=", ".join(change.after) or "-",
    )


def _meanings(change: Change, after: Bundle, language: str) -> Iterator[str]:
    """What the rules that now decide mean; those of `pdp.` are no rules."""
    for rule_id in change.after:
        rule = after.rule(rule_id)
        if rule is not None and rule.words.get(language):
            yield f"{rule_id}: {rule.words[language]}"
        elif rule is None:
            reason = rule_id.removeprefix("pdp.")
            yield f"{rule_id}: {text(f'policy_reason.{reason}', language)}"


def _examples(change: Change, known: Known, language: str) -> Iterator[str]:
    for each in change.examples:
        when = local(each.wall_ms).isoformat(" ", "minutes")
        yield plain(f"#{each.seq}  {when}  {each.seat}  {label(each.subject, known)}")
    if more := change.count - len(change.examples):
        yield text("policy_diff.more", language, count=more)


def _caveats(found: Diff, language: str) -> Iterator[str]:
    if found.without:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(found.without.items()))
        last = local(found.without_last_ms or 0).isoformat(" ", "minutes")
        yield text("policy_diff.without", language, count=found.without.total(), last=last, kinds=kinds)
    if found.unreadable:
        yield text("policy_diff.unreadable", language, count=found.unreadable)


def _json(found: Diff, since_ms: int, until_ms: int) -> Iterator[str]:
    """One object for each change, then one that sums up."""
    for each in found.changes:
        told: dict[str, object] = {"what": each.what, "action": each.action, "count": each.count}
        told |= {"people": len(each.subjects), "before": each.before, "after": each.after}
        rows = [{"seq": one.seq, "at": local(one.wall_ms).isoformat(), "seat": one.seat} for one in each.examples]
        yield json.dumps({**told, "examples": rows}, ensure_ascii=False)
    summed: dict[str, object] = {"since": local(since_ms).isoformat(), "until": local(until_ms).isoformat()}
    summed |= {"bundle": found.after, "against": found.before or None, "decisions": found.decided}
    summed |= {"same": found.same, "changed": found.changed, "unreadable": found.unreadable}
    yield json.dumps({**summed, "without_question": dict(found.without), "actions": dict(found.asked)})


def _sheet(found: Diff, after: Bundle, before: Bundle | None, known: Known, since_ms: int, until_ms: int) -> Sheet:
    def both(name: str) -> Both:
        return Both.of(f"policy_sheet.{name}")

    caveats = zip(_caveats(found, "ja"), _caveats(found, "en"), strict=True)
    return Sheet(
        title=both("diff"),
        facts=[
            (both("written"), Both(local(time.time_ns() // 1_000_000).isoformat(" ", "minutes"))),
            (both("bundle"), Both(found.after)),
            (both("before"), Both(_against(found, "ja"), _against(found, "en"))),
            (both("result"), Both(*(_compared(found, each, since_ms, until_ms) for each in ("ja", "en")))),
        ],
        columns=[Column(both(name), kind) for name, kind in _COLUMNS],
        rows=[_row(change, after, before, known) for change in found.changes],
        empty=Both.of("policy_diff.nothing" if found.decided else "policy_diff.no_decisions"),
        notes=[*(Both(*each) for each in caveats), both("note_asked"), both("note_missing"), both("note_settings")],
    )


def _row(change: Change, after: Bundle, before: Bundle | None, known: Known) -> Sequence[Both]:
    examples = (" / ".join(_examples(change, known, language)) for language in ("ja", "en"))
    return [
        Both.of(f"policy_diff.{change.what}"),
        Both(change.action),
        Both(str(change.count)),
        Both(str(len(change.subjects))),
        _rules(change.before, before or after),
        _rules(change.after, after),
        Both(*examples),
    ]


def _rules(ids: Sequence[str], bundle: Bundle) -> Both:
    found = [(rule_id, bundle.rule(rule_id)) for rule_id in ids]
    ja, en = (
        " / ".join(f"{rule_id} {rule.words.get(language, '') if rule else ''}".rstrip() for rule_id, rule in found)
        for language in ("ja", "en")
    )
    return Both(ja or "-", en)


_COLUMNS: Final = (
    ("what", "short"),
    ("action", ""),
    ("count", ""),
    ("people", ""),
    ("before", ""),
    ("after", ""),
    ("examples", "code"),
)


def add_diff(parser: argparse.ArgumentParser) -> None:
    """Add its options."""
    parser.add_argument("--against", type=Path, metavar="DIR", help="another bundle, instead of what was decided then")
    parser.add_argument("--days", type=_days, default=MONTH_DAYS, help=f"how far back ({MONTH_DAYS})")
    parser.add_argument("--last", type=_count, metavar="N", help="the last N decisions only")


def _days(word: str) -> int:
    return _between(word, 3_660)


def _count(word: str) -> int:
    return _between(word, MOST)


def _between(word: str, most: int) -> int:
    if not (word.isascii() and word.isdigit() and 0 < int(word[:9]) <= most):
        raise argparse.ArgumentTypeError(text("misuse.between", language(), given=repr(word), most=most))
    return int(word)


__all__ = ["DAY_MS", "add_diff", "decisions", "diff", "rows_between"]
