"""`authd who --seat S --from T --to T`: which person sat there, when, and how strong the evidence is."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from authd.cli import rests
from authd.cli.files import (
    OK,
    BadInput,
    add_files,
    answering,
    check_seat,
    label,
    ledger_folder,
    local,
    moment,
    open_reader,
    people,
    person_json,
    plain,
)
from authd.cli.printed import Both, Column, Sheet
from authd.cli.rests import both
from authd.cli.views import add_asker, add_paper, asking, facts, interval, look_up, put_on_paper
from authd.core.model import EndReason
from authd.locale import text
from authd.service.gaps import heard
from authd.service.ledger import Stay, Unknown, presence, unknown
from authd.service.staff import PersonRecord

SHOWN_GAP_MS = 1_000
"""Times are shown to the second: a hand-over's milliseconds would read as nobody for no time at all."""
MOST_UNKNOWN = 20
"""Unknown times on one page."""
EXAMPLES = """\
examples:
  authd who --seat counter-1 --from 13:05 --to 13:20                 today
  authd who --seat counter-1 --from 2026-11-24T13:05 --to 2026-11-24T13:20 --lang en
  authd who --seat counter-1 --from 13:05 --to 13:20 --ledger /mnt/copy/ledger --json
  authd who --seat counter-1 --from 13:05 --to 13:20 --pdf answer.pdf       one page, Japanese and English

Every line states the grade of its evidence: A signed by the person's own key, B the person's act matched at this
seat's reader, C what a device says, D what somebody says. 証拠の等級を必ず示します。
Times for which the ledger cannot know (authd did not run, the clock was set, not yet) are said to be unknown, and
nobody's only where it can. 分からない時間は「不明」と示します。

exit codes: 0 answered (also: nobody was there), 1 the ledger is damaged, 2 wrong input
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd who`."""
    parser = subparsers.add_parser(
        "who",
        help="who was at a seat, when, with what evidence / いつ誰が席にいたか",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seat", required=True, help="such as counter-1 / 席の名前")
    parser.add_argument("--from", required=True, type=moment, dest="since", metavar="TIME", help="13:05 / 何時から")
    parser.add_argument("--to", required=True, type=moment, dest="until", metavar="TIME", help="13:20 / 何時まで")
    add_paper(parser)
    add_asker(parser)
    add_files(parser)
    parser.set_defaults(run=answering(asking(run)))


def run(args: argparse.Namespace) -> int:
    """Answer from the ledger's files."""
    if args.since > args.until:
        raise BadInput(text("who.backwards", args.lang))
    check_seat(args, args.seat)
    written = look_up(args, f"seat:{args.seat}") if args.html or args.pdf or args.at_seat else None
    reader = open_reader(args)
    try:
        stays = presence(reader, args.seat, args.since, args.until)
        now = time.time_ns() // 1_000_000
        vouched = 0 if args.ledger else heard(ledger_folder(args), now)  # a copy's sign of life is the copying
        blind = unknown(reader, args.since, args.until, now, vouched)
    finally:
        reader.close()
    known = people(args)
    if args.html or args.pdf:
        put_on_paper(args, _sheet(args, stays, blind, known, written))
        return OK
    for line in _json(args.seat, stays, blind, known) if args.json else _lines(args, stays, blind, known):
        print(line)
    return OK


def _json(
    seat: str, stays: Sequence[Stay], blind: Sequence[Unknown], known: Mapping[str, PersonRecord]
) -> Iterator[str]:
    """A stay a line; then the unknown times, with the same names and nobody in them."""
    for stay in stays:
        answer = {
            "seat": stay.seat,
            "subject": stay.subject,
            "person": person_json(known.get(stay.subject)),
            "session": stay.session,
            "since": local(stay.since_ms).isoformat(),
            "until": None if stay.until_ms is None else local(stay.until_ms).isoformat(),
            "seconds": stay.seconds,
            "reason": stay.reason,
            "grade": stay.grade,
            "clock_moved": stay.clock_moved,
            "rests_on": {"ja": rests.of_stay(stay, known, "ja"), "en": rests.of_stay(stay, known, "en")},
            "evidence": dict(stay.evidence),
            "rows": [stay.first, stay.last],
            "unknown": None,
        }
        yield json.dumps(answer, ensure_ascii=False)
    names = ("subject", "person", "session", "reason", "grade", "clock_moved", "rests_on", "evidence")
    for each in blind:
        answer = {"seat": seat, **dict.fromkeys(names), "since": local(each.since_ms).isoformat()}
        answer |= {"until": local(each.until_ms).isoformat(), "seconds": (each.until_ms - each.since_ms) / 1000}
        yield json.dumps({**answer, "rows": [each.row, each.row], "unknown": each.why})


def _lines(
    args: argparse.Namespace, stays: Sequence[Stay], blind: Sequence[Unknown], known: Mapping[str, PersonRecord]
) -> Iterator[str]:
    """In their order; what lies between stays and unknown times is nobody's."""
    language, done = args.lang, args.since
    yield plain(f"{args.seat}  {_time(args.since)} - {_time(args.until)}")
    both_sorts: list[Stay | Unknown] = [*stays, *blind]
    for each in sorted(both_sorts, key=lambda each: (each.since_ms, isinstance(each, Unknown))):
        if each.since_ms - done >= SHOWN_GAP_MS:
            yield f"  {_time(done)} - {_time(each.since_ms)}  {text('who.nobody', language)}"
        yield from _stay(each, known, language) if isinstance(each, Stay) else [f"  {_blind(each, language)}"]
        done = max(done, args.until if each.until_ms is None else each.until_ms)
    if args.until - done >= SHOWN_GAP_MS:
        yield f"  {_time(done)} - {_time(args.until)}  {text('who.nobody', language)}"


def _blind(each: Unknown, language: str) -> str:
    """Say for which time nothing is known, and why."""
    row = "" if each.row is None else f" (#{each.row})"
    why = text(f"who.unknown_{each.why}", language)
    return f"{_time(each.since_ms)} - {_time(each.until_ms)}  {text('who.unknown', language, why=why)}{row}"


def _stay(stay: Stay, known: Mapping[str, PersonRecord], language: str) -> Iterator[str]:
    until = text("who.open", language) if stay.until_ms is None else _time(stay.until_ms)
    ended = f"  {text('who.ended', language, reason=text(stay.reason, language))}" if stay.reason else ""
    yield plain(f"  {_time(stay.since_ms)} - {until}  {label(stay.subject, known)}{ended}")
    grade = text("who.no_grade", language) if stay.grade is None else f"{stay.grade}: {text(stay.grade, language)}"
    yield plain(f"      {text('who.evidence', language, grade=grade)}")
    yield f"      {rests.of_stay(stay, known, language)}"
    facts = " ".join(f"{name}={value}" for name, value in sorted(stay.evidence.items()))
    yield plain(f"      {stay.subject} {stay.session} #{stay.first}-{stay.last or ''} {facts}")
    if stay.reason is EndReason.CRASH:
        yield f"      {text('who.crash', language)}"
    if stay.clock_moved and stay.seconds is not None:
        yield f"      {text('who.clock_moved', language, seconds=round(stay.seconds))}"


def _sheet(
    args: argparse.Namespace,
    stays: Sequence[Stay],
    blind: Sequence[Unknown],
    known: Mapping[str, PersonRecord],
    written: int | None,
) -> Sheet:
    heads = {"since": "short", "until": "short", "person": "", "grade": "grade", "rests_on": "words", "ended": ""}
    count = Both.of("views.stays_are", count=len(stays))
    return Sheet(
        title=Both.of("views.title_who"),
        facts=[
            *facts(args, Both(plain(args.seat)), interval(args.since, args.until), count, written),
            *_unknown(blind),
        ],
        columns=[Column(Both.of(f"views.{head}"), kind) for head, kind in heads.items()],
        rows=[_cells(stay, known) for stay in sorted(stays, key=lambda stay: (stay.since_ms, stay.first))],
        empty=Both.of("who.unknown_empty" if blind else "views.empty_who"),
        notes=[Both.of("views.note_grade"), Both.of("views.note_clock")],
    )


def _unknown(blind: Sequence[Unknown]) -> list[tuple[Both, Both]]:
    """Return the unknown times, a line each; on paper so many of them that the page is still read."""
    shown = [both(partial(_blind, each)) for each in blind[:MOST_UNKNOWN]]
    more = [Both.of("who.unknown_more", count=len(blind) - MOST_UNKNOWN)] if len(blind) > MOST_UNKNOWN else []
    return [(Both.of("who.unknown_head"), each) for each in (*shown, *more)]


def _cells(stay: Stay, known: Mapping[str, PersonRecord]) -> list[Both]:
    return [
        Both(rests.moment_text(stay.since_ms), f"#{stay.first}"),
        Both.of("who.open") if stay.until_ms is None else Both(rests.moment_text(stay.until_ms), f"#{stay.last}"),
        Both(label(stay.subject, known)),
        Both(stay.grade or "-"),
        both(lambda language: rests.of_stay(stay, known, language)),
        both(lambda language: _ended(stay, language)),
    ]


def _ended(stay: Stay, language: str) -> str:
    """Say how it ended, and what its times are not good for."""
    said = [text(stay.reason, language)] if stay.reason else []
    if stay.reason is EndReason.CRASH:
        said.append(text("who.crash", language))
    if stay.clock_moved and stay.seconds is not None:
        said.append(text("who.clock_moved", language, seconds=round(stay.seconds)))
    return " ".join(said) or "-"


def _time(wall_ms: int) -> str:
    return local(wall_ms).isoformat(" ", "seconds")
