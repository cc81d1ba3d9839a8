"""`authd review`: what supervisors look at each month and sign with a touch; what a door or time clock has seen."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from authd.cli import failures
from authd.cli._common import add_config, fail, language, with_daemon
from authd.cli.codes import OK, USAGE, WRONG
from authd.locale import text

if TYPE_CHECKING:
    from authd.client import SyncClient
    from authd.client.supervision import Ended, Review, ReviewItem

EXAMPLES = """\
examples:
  authd review list                                        every section's months, and which of them are late
  authd review show resident 2027-03                       what is to be looked at, and why sessions ended
  authd review sign resident 2027-03 --seat counter-1      by the supervisor who is logged in there, with a touch
  tail -F door.csv | authd review seen -                   lines: time,staff number,place[,out]

Nobody signs for what they did themselves. A seat that was active while its owner was seen elsewhere is told at once
(event discipline.noted, the supervisor's screen, authd status).

exit codes: 0 done, 1 a review is late; of seen: a line tells of an owner elsewhere, or cannot be read,
            2 wrong input, 3 no daemon there, 4 refused
"""
MOST_LINE = 1_000


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add the verb."""
    parser = subparsers.add_parser(
        "review",
        help="what supervisors look at and sign each month / 監督者の点検",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="WHAT", required=True)
    every = verbs.add_parser("list", help="every month and section / 点検の一覧")
    every.set_defaults(run=with_daemon(_list))
    show = verbs.add_parser("show", help="what is to be looked at / 見るもの")
    show.set_defaults(run=with_daemon(_show))
    sign = verbs.add_parser("sign", help="with the supervisor's touch / 触れて署名する")
    sign.add_argument("--seat", required=True, help="where the supervisor is logged in")
    sign.set_defaults(run=with_daemon(_sign))
    for each in (show, sign):
        each.add_argument("section", metavar="SECTION")
        each.add_argument("month", metavar="YYYY-MM")
    seen = verbs.add_parser("seen", help="lines of a door or time clock / 入退室・勤怠の記録")
    seen.add_argument("file", metavar="FILE.csv", help="- for standard input")
    seen.add_argument("--source", choices=["door", "host"], default="door")
    seen.set_defaults(run=with_daemon(_seen))
    for each in (every, show, sign, seen):
        add_config(each)
        each.add_argument("--json", action="store_true", help="one JSON object a line")


def _door(args: argparse.Namespace) -> SyncClient:
    from authd.client import connect_sync
    from authd.service.config import load

    return connect_sync(f"unix:{load(args.config).socket}")


def _list(args: argparse.Namespace) -> int:
    with _door(args) as door:
        found = door.reviews()
    for each in found:
        print(as_json(each) if args.json else line(each))
    if not found:
        print(text("review.nothing", language()), file=sys.stderr)
    return WRONG if any(each.late for each in found) else OK


def _show(args: argparse.Namespace) -> int:
    with _door(args) as door:
        found = door.review_items(args.section, args.month)
    if args.json:
        for each in (found.review, *found.items, *found.ended):
            print(as_json(each))
        return OK
    print(line(found.review))
    for item in found.items:
        print(item_line(item))
    for ended in found.ended:
        print(ended_line(ended))
    return OK


def _sign(args: argparse.Namespace) -> int:
    with _door(args) as door:
        review = door.review_items(args.section, args.month, args.seat).review
        print(text("review.touch", language()), file=sys.stderr, flush=True)
        signed = door.sign_review(args.seat, args.section, args.month, review.digest)
    print(as_json(signed) if args.json else f"{text('review.done', language())}\t{line(signed)}")
    return OK


def as_json(each: Any) -> str:
    """One object on one line."""
    import msgspec

    return msgspec.json.encode(each).decode()


def line(review: Review) -> str:
    """One line for a person: which month, until when, and how far it is."""
    said = language()
    state = "signed" if review.done else "late" if review.late else "waiting"
    words = [review.month, getattr(review, f"section_{said}") or "-", review.section, text(f"review.{state}", said)]
    words.append(text("review.open", said, open=review.open, items=review.items))
    if not review.done:
        words.append(text("review.due", said, due=review.due))
    words += [text("review.level", said, level=review.level)] if review.level and not review.done else []
    words += [
        text("review.by", said, who=each.name or each.subject, at=each.at, items=each.items) for each in review.signed
    ]
    return "\t".join(words)


def item_line(item: ReviewItem) -> str:
    """One line for a person: what, when, where, who, and what else is known."""
    said = language()
    who = f"{item.name} ({item.staff_number})" if item.name else item.subject or "-"
    words = ["*" if item.open else " ", item.at, text(f"review_what.{item.what}", said), item.seat or "-", who]
    words += [text("review.times", said, count=item.count)] if item.count > 1 else []
    words += [f"{name}={value}" for name, value in item.detail.items()]
    if item.what == "unattributed":
        words.append(text(f"unattributed_why.{item.detail['why']}", said))
    return "\t".join(words)


def ended_line(ended: Ended) -> str:
    """One line for a person: how the sessions of somebody ended at a seat."""
    said = language()
    who = f"{ended.name} ({ended.staff_number})" if ended.name else ended.subject or "-"
    counts = [f"{_reason(reason, said)} {count}" for reason, count in sorted(ended.counts.items())]
    return "\t".join([text("review.ended", said), ended.seat, who, *counts])


def _reason(reason: str, said: str) -> str:
    return text(f"end_reason.{reason}", said)


def _seen(args: argparse.Namespace) -> int:
    from authd.client import DoorError

    noted = passed = bad = 0
    if args.file != "-" and not Path(args.file).is_file():
        missing = text("file_fault.ENOENT", language())
        return fail(text("roster.unreadable", language(), file=args.file, why=missing), USAGE)
    with _door(args) as door, Path("/dev/stdin" if args.file == "-" else args.file).open("rb") as file:
        for number, raw in enumerate(lines(file), 1):
            row = sighting(raw, args.source) if raw is not None else None
            if row is None:
                bad += 1
                print(text("review.bad_line", language(), line=number), file=sys.stderr, flush=True)
                continue
            try:
                fed = door.seen([row])
            except DoorError as error:  # of this line alone: the next one is another's
                bad += 1
                print(f"{number}: {failures.words(error, language())}", file=sys.stderr, flush=True)
                continue
            noted, passed = noted + fed.noted, passed + fed.passed
    if args.json:
        print(json.dumps({"noted": noted, "passed": passed, "bad": bad}))
    else:
        print(text("review.fed", language(), noted=noted, passed=passed))
    return WRONG if noted or bad else OK


def lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Yield lines as they come, each at once: a feed says what is so now. None: one that is too long."""
    while raw := file.readline(MOST_LINE + 1):
        good = len(raw) <= MOST_LINE
        while raw and not raw.endswith(b"\n") and len(raw) > MOST_LINE:
            raw = file.readline(MOST_LINE + 1)
        yield raw if good else None


def sighting(raw: bytes, source: str) -> dict[str, object] | None:
    """Read `time,staff number,place[,out]`; a time without offset is this machine's. None: it is not one."""
    try:
        words = [word.strip() for word in raw.decode("utf-8-sig").split(",")]
        at = datetime.fromisoformat(words[0]).astimezone()
    except (ValueError, OverflowError):
        return None
    if len(words) not in (3, 4) or not words[1] or not words[2] or words[3:] not in ([], [""], ["out"], ["in"]):
        return None
    out = words[3:] == ["out"]
    return {"at": at.isoformat(), "staff_number": words[1], "place": words[2][:100], "source": source, "out": out}
