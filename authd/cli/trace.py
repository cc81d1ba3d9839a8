"""`authd trace FOLDER`: which export found files came from, through whom, and whose records are in them."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from authd.cli import failures
from authd.cli.files import (
    BAD_NEWS,
    DEFAULT_CONFIG,
    OK,
    BadInput,
    add_files,
    answering,
    bar,
    label,
    local,
    open_reader,
    people,
    person_json,
    plain,
)
from authd.cli.whole import whole
from authd.locale import text
from authd.service.evidence.trace.crew import Crew, CrewError
from authd.service.evidence.trace.report import Leak, Origin, Report
from authd.service.evidence.trace.sources import Source, read_sources
from authd.service.evidence.trace.trace import NothingToLookFor, Progress, trace
from authd.service.keys import KeyFault, Keys
from authd.service.staff import PersonRecord

EXAMPLES = """\
examples:
  authd trace /media/server-copy                       which files, from which export, through whom
  authd trace /media/server-copy --residents who.csv   and the list of residents affected
  authd trace /media/server-copy --json > answer.json
  authd trace copy --ledger /mnt/state/ledger          with another host's ledger, keys and prints beside it

Nothing is unpacked, nothing is written but the file of --residents. An export is known again by what
`authd export` kept of it, any other data set once it is registered: authd carryout baseline FILE

exit codes: 0 nothing was found, 1 something was found or could not be looked for, 2 wrong input
"""
_SHOWN = 20
_ORIGINS = 3
_WORTH = 0.1
"""Data sets with less of a file than this share of the best one's are in the JSON only: they overlap."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd trace`."""
    parser = subparsers.add_parser(
        "trace",
        help="where do found files come from? / 流出ファイルの出所を調べる",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what was found / 見つかったファイルのフォルダ")
    parser.add_argument("--residents", type=Path, metavar="FILE", help="write whose records they are / 対象者一覧CSV")
    parser.add_argument("--workers", type=int, choices=range(1, 5), default=0, help="processes that read (1-4)")
    add_files(parser)
    parser.set_defaults(run=answering(run))


def run(args: argparse.Namespace) -> int:
    """Trace a folder."""
    folder: Path = args.folder.resolve()
    if not folder.is_dir():
        raise BadInput(text("trace.no_folder", args.lang, folder=args.folder))
    state = state_folder(args)
    try:
        key = Keys(state).record_key()
    except KeyFault as error:
        raise BadInput(failures.words(error, args.lang)) from error
    reader = open_reader(args) if (state / "ledger").is_dir() or args.ledger else None
    sources = read_sources(reader) if reader else {}
    with ExitStack() as stack:
        crew = Crew(folder, (), key, workers=args.workers)
        try:
            report = trace(folder, state / "prints", sources, key, stack, _progress(args), crew)
        except NothingToLookFor as nothing:
            for line in nothing.flawed:
                print(plain(line), file=sys.stderr)
            raise BadInput(text("trace.nothing", args.lang, folder=state / "prints")) from None
        except CrewError as error:
            raise BadInput(failures.words(error, args.lang)) from error
        count = _residents(args, report)
        _show(args, report, count)
    return BAD_NEWS if report.leaks or report.flawed else OK


def state_folder(args: argparse.Namespace) -> Path:
    """Return the folder with keys, prints and ledger, from the options or the configuration. Raises `BadInput`."""
    from authd.service.config import ConfigError, load

    if args.ledger:
        return Path(args.ledger).absolute().parent
    try:
        return load(args.config or DEFAULT_CONFIG).state
    except ConfigError as error:
        raise BadInput(failures.words(error, args.lang)) from error


def _progress(args: argparse.Namespace) -> Progress:
    def show(done: int, files: int, size: int, whole: int, found: int) -> None:
        said = text("trace.progress", args.lang, done=f"{done:,}", files=f"{files:,}", found=found)
        print(f"\r{bar(size / max(1, whole))}  {said} ", end="\n" if done == files else "", file=sys.stderr, flush=True)

    def silent(*_: int) -> None:
        pass

    return show if sys.stderr.isatty() and not args.json else silent


def _residents(args: argparse.Namespace, report: Report) -> int:
    """Count the residents, and write who they are where that is asked for (0600)."""
    count = 0
    with ExitStack() as stack:
        write: Callable[[list[object]], object] = lambda _: None  # noqa: E731 (one of two)
        if args.residents:
            kept = stack.enter_context(whole(args.residents, os.O_NOFOLLOW))
            file = stack.enter_context(io.TextIOWrapper(kept, encoding="utf-8", newline=""))
            write = csv.writer(file).writerow
        write(["record", "data_set", "row", "files"])
        for count, each in enumerate(report.residents(), 1):  # noqa: B007 (the count is what is returned)
            write([each.record or "", each.data_set, each.row, each.files])
    return count


def _show(args: argparse.Namespace, report: Report, residents: int) -> None:
    known = people(args)
    if args.json:
        print(json.dumps({"summary": _summary(report, residents)}, ensure_ascii=False))
        for leak in report.leaks:
            print(json.dumps({"found": _leak_json(leak, known)}, ensure_ascii=False))
        for trouble in report.troubles:
            said = {"path": trouble.path, "why": trouble.why.value, "detail": trouble.detail}
            print(json.dumps({"not_read": said}, ensure_ascii=False))
        return
    for line in _lines(args, report, residents, known):
        print(plain(line))


def _summary(report: Report, residents: int) -> dict[str, Any]:
    return {
        "files": report.files,
        "read": report.read,
        "found": len(report.leaks),
        "residents": residents,
        "not_read": dict(Counter(trouble.why.value for trouble in report.troubles)),
        "data_sets": list(report.looked),
        "not_looked_for": list(report.flawed),
        "workers_peak_mb": report.peak_kb >> 10,
        "sandbox": list(report.sandbox),
        "sandbox_lacks": list(report.missing),
    }


def _leak_json(leak: Leak, known: Mapping[str, PersonRecord]) -> dict[str, Any]:
    return {
        "path": leak.path,
        "kind": leak.kind,
        "rows": leak.rows,
        "parts": [{"path": part.path, "kind": part.kind, "rows": part.rows} for part in leak.parts],
        "origins": [_origin_json(origin, known) for origin in leak.origins],
    }


def _origin_json(origin: Origin, known: Mapping[str, PersonRecord]) -> dict[str, Any]:
    found = {
        "data_set": origin.about.id,
        "kind": origin.about.kind,
        "title": origin.about.title,
        "rows": origin.rows,
        "of": origin.about.rows,
        "whole_rows": origin.exact,
        "cells_a_row": round(origin.fields, 1),
        "canaries": origin.canaries,
        "significance": round(origin.significance, 1),
    }
    source = origin.source
    if source is None:
        return found | {"ledger": None}
    told = asdict(source) | {"at": local(source.at_ms).isoformat(timespec="seconds")}
    for role in ("person", "approver"):
        subject = told[role]
        told[role] = subject and {"subject": subject, **(person_json(known.get(subject)) or {})}
    return found | {"ledger": {name: value for name, value in told.items() if name not in {"id", "at_ms"}}}


def _lines(
    args: argparse.Namespace, report: Report, residents: int, known: Mapping[str, PersonRecord]
) -> Iterator[str]:
    language = args.lang
    counts = {"files": f"{report.files:,}", "read": f"{report.read:,}", "found": len(report.leaks)}
    yield text("trace.summary", language, **counts, residents=f"{residents:,}", sets=len(report.looked))
    for place, leak in enumerate(report.leaks, 1):
        yield text("trace.leak", language, place=place, path=leak.path, kind=leak.kind, rows=f"{leak.rows:,}")
        for part in leak.parts[:_SHOWN]:
            yield "     " + text("trace.part", language, path=part.path, rows=f"{part.rows:,}")
        shown = [origin for origin in leak.origins if origin.rows >= _WORTH * leak.rows][:_ORIGINS]
        for number, origin in enumerate(shown):
            yield from ("     " + line for line in _origin_lines(origin, known, language, first=number == 0))
    if args.residents:
        yield text("trace.written", language, path=args.residents, residents=f"{residents:,}")
    for line in report.flawed:
        yield text("trace.flawed", language, detail=line)
    yield from _not_read(report, language)
    if report.missing:
        yield text("trace.sandbox", language, missing="; ".join(report.missing))


def _origin_lines(origin: Origin, known: Mapping[str, PersonRecord], language: str, *, first: bool) -> Iterator[str]:
    about = origin.about
    kind = text(f"trace.{'export' if about.kind == 'export' else 'baseline'}", language)
    name = f"{about.title or about.id} [{about.id}]"
    counts = {"rows": f"{origin.rows:,}", "of": f"{about.rows:,}", "share": f"{origin.share:.1%}"}
    yield text("trace.from" if first else "trace.also", language, kind=kind, title=name, **counts)
    if origin.canaries:
        yield "  " + text("trace.canaries", language, count=origin.canaries)
    if origin.source is None:
        yield "  " + text("trace.no_ledger", language)
    elif first:
        yield "  " + _told(origin.source, known, language)


def _told(source: Source, known: Mapping[str, PersonRecord], language: str) -> str:
    at = local(source.at_ms).isoformat(" ", "seconds")
    if source.kind == "baseline":
        return text("trace.told_baseline", language, at=at, seq=source.seq)
    return text(
        "trace.told",
        language,
        at=at,
        seq=source.seq,
        person=label(source.person, known) or "-",
        approver=label(source.approver, known) or "-",
        seat=source.seat or "-",
        session=source.session or "-",
        purpose=source.purpose or "-",
        destination=source.destination or "-",
        state=text("trace.closed" if source.closed else "trace.open", language),
    )


def _not_read(report: Report, language: str) -> Iterator[str]:
    """Yield what was not read, and why: counts first, then those that nobody expects by name."""
    if not report.troubles:
        return
    counts = Counter(trouble.why for trouble in report.troubles)
    yield text("trace.not_read", language, count=f"{sum(counts.values()):,}")
    for why, count in counts.most_common():
        yield f"  {count:,}  {text(f'trace_why.{why.value}', language)}"
        named = [trouble for trouble in report.troubles if trouble.why == why]
        for trouble in named[: _SHOWN if why.value != "unknown" else 0]:
            yield f"       {trouble.path}  {trouble.detail}".rstrip()
