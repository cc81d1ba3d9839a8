"""`authd unattributed`: what is logged in to a wired system and belongs to no session."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from authd.cli._common import bad_settings, fail, language
from authd.cli.codes import OK, REFUSED, UNREACHABLE, USAGE, WRONG
from authd.cli.files import local, moment, plain
from authd.locale import LANGUAGES, text

if TYPE_CHECKING:
    from authd.broker.unattributed.compare import Group
    from authd.broker.unattributed.run import Compared
    from authd.broker.unattributed.settings import Settings
    from authd.broker.unattributed.watch import News
    from authd.cli.printed import Both, Sheet

DEFAULT: Final = Path("/etc/authd-seat/unattributed.toml")
EXAMPLES = """\
examples:
  authd unattributed                           look again and again; one line for each finding
  authd unattributed --once                    look once; exit code 1 where something was found
  authd unattributed --once --dry              the same, and nothing is recorded or ended
  authd unattributed --once --from 2026-11-01T00:00 --html found.html   a web log's past

exit codes: 0 nothing was found, 1 something was (or a system could not be looked at), 2 wrong input,
            3 no daemon there, 4 refused
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd unattributed`."""
    parser = subparsers.add_parser(
        "unattributed",
        help="find access to wired systems that belongs to no session / 誰の利用にも属さない接続を見つける",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar="FILE", help=f"unattributed.toml ({DEFAULT})")
    parser.add_argument("--once", action="store_true", help="look once, and report / 一回だけ照合して報告する")
    parser.add_argument("--dry", action="store_true", help="record and end nothing / 記録も切断もしない")
    parser.add_argument("--from", type=moment, dest="since", metavar="TIME", help="of logs: from when / いつから")
    parser.add_argument("--to", type=moment, dest="until", metavar="TIME", help="of logs: until when / いつまで")
    parser.add_argument("--json", action="store_true", help="one JSON object a line / 1行に1つのJSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="with --once: one page to print / 印刷用のページ")
    parser.add_argument("--lang", choices=LANGUAGES, default=language())
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look; what keeps it from looking is one line and an exit code."""
    from authd.broker.unattributed.settings import load
    from authd.client import ClientError, DoorError
    from authd.client.tables import BadSettings

    if not args.once and (args.html or args.since or args.until):
        return fail(text("misuse.needs_once", args.lang), USAGE)
    try:
        settings = load(args.config)
        return _report(args, settings) if args.once else _watch(args, settings)
    except (BadSettings, ClientError, ExceptionGroup) as error:
        cause = _first(error)
        if isinstance(cause, BadSettings):
            return bad_settings(cause, args.config, "unattributed", lang=args.lang)
        if isinstance(cause, DoorError):
            return fail(cause, REFUSED, lang=args.lang)
        if isinstance(cause, ClientError):
            return fail(text("unattributed.needs_daemon", args.lang), UNREACHABLE)
        raise


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    return error


def _watch(args: argparse.Namespace, settings: Settings) -> int:
    import asyncio

    from authd.broker.unattributed.run import watch

    def tell(news: News) -> None:
        print(json.dumps(_json(news), ensure_ascii=False) if args.json else line(news, args.lang), flush=True)

    asyncio.run(watch(settings, tell, dry=args.dry))
    return OK


def _report(args: argparse.Namespace, settings: Settings) -> int:
    import asyncio

    from authd.broker.unattributed.run import once

    found = asyncio.run(once(settings, since_ms=args.since, until_ms=args.until, dry=args.dry))
    if args.html is not None:
        from authd.cli import printed

        try:
            printed.write(args.html, printed.page(_sheet(found, dry=args.dry)))
        except OSError as error:
            return fail(error, USAGE, lang=args.lang)
    for said in _lines(found, args.lang, as_json=args.json, dry=args.dry):
        print(said)
    return WRONG if any(each.groups or each.blind for each in found) else OK


def _lines(found: Sequence[Compared], language: str, *, as_json: bool, dry: bool) -> Iterator[str]:
    for each in found:
        if as_json:
            yield json.dumps(_compared_json(each), ensure_ascii=False)
            continue
        yield plain(_summary(each, language))
        if each.unread:
            yield plain(text("unattributed.unread", language, system=each.system.name, count=each.unread))
        for group in each.groups:
            yield plain(
                f"  {_words('found', each.system.name, group, language)} [{_state(each, group, language, dry)}]"
            )
    if not as_json and not any(each.groups or each.blind for each in found):
        yield text("unattributed.none", language)


def _summary(each: Compared, language: str) -> str:
    if each.blind:
        return text("unattributed.blind", language, system=each.system.name, detail=each.blind)
    told = {"system": each.system.name, "source": each.system.source, "seen": each.seen, "found": len(each.groups)}
    return text("unattributed.compared_is", language, **told)


def _state(each: Compared, group: Group, language: str, dry: bool) -> str:
    seq, there = each.found(group), each.system.source == "postgresql"
    recorded = not dry and seq is not None
    row = text("unattributed.row" if recorded else "unattributed.not_recorded", language, seq=seq)
    state = "unattributed_how.cut" if each.cut(group) else f"unattributed.{'open' if there else 'past'}"
    return f"{row} / {text(state, language)}"


def line(news: News, language: str) -> str:
    """Return one piece of news as one line for a person."""
    if news.group is None:
        told = {"system": news.system.name, "count": news.count, "detail": news.detail}
        return plain(text(f"unattributed.{news.what}", language, **told))
    return plain(_words(news.what, news.system.name, news.group, language, count=news.count, detail=news.detail))


def _words(what: str, system: str, group: Group, language: str, *, count: int | None = None, detail: str = "") -> str:
    how = text(f"unattributed_how.{detail}", language) if what == "ended" else ""
    return text(
        f"unattributed.{what}",
        language,
        system=system,
        account=group.account or text("unattributed.no_account", language),
        address=group.address,
        place=group.place,
        why=text(f"unattributed_why.{group.why}", language),
        how=how,
        detail=detail,
        count=len(group.accesses) if count is None else count,
    )


def _json(news: News) -> Mapping[str, object]:
    told: dict[str, object] = {"what": news.what, "system": news.system.name, "source": news.system.source}
    told |= {"count": news.count, "detail": news.detail, "found": news.found}
    return told | (_group_json(news.group) if news.group is not None else {})


def _compared_json(each: Compared) -> Mapping[str, object]:
    groups = [{**_group_json(group), "found": each.found(group), "cut": each.cut(group)} for group in each.groups]
    told: dict[str, object] = {"system": each.system.name, "source": each.system.source, "seen": each.seen}
    return told | {"unread": each.unread, "blind": each.blind, "unattributed": groups}


def _group_json(group: Group) -> dict[str, object]:
    return {
        "why": group.why,
        "account": group.account,
        "address": group.address,
        "place": group.place,
        "since": local(group.since_ms).isoformat(),
        "until": local(group.until_ms).isoformat(),
        "accesses": len(group.accesses),
    }


def _sheet(found: Sequence[Compared], *, dry: bool) -> Sheet:
    from authd.cli.printed import Both, Column, Sheet

    def both(name: str) -> Both:
        return Both.of(f"unattributed.{name}")

    heads = ("system", "account", "address", "since", "until", "count", "why", "state")
    return Sheet(
        title=both("title"),
        facts=[(both("written"), Both(local(_now()).isoformat(" ", "seconds")))]
        + [(both("compared"), Both(_summary(each, "ja"), _summary(each, "en"))) for each in found],
        columns=[Column(both(name), _KINDS.get(name, "")) for name in heads],
        rows=[_row(each, group, dry) for each in found for group in each.groups],
        empty=both("none"),
        notes=[both("note_ledger"), both("note_grade"), both("note_poll")],
    )


def _row(each: Compared, group: Group, dry: bool) -> Sequence[Both]:
    from authd.cli.printed import Both

    nobody = Both.of("unattributed.no_account")
    times = (Both(local(at).strftime("%Y-%m-%d %H:%M:%S")) for at in (group.since_ms, group.until_ms))
    return [
        Both(f"{group.place} ({each.system.source})"),
        Both(group.account) if group.account else nobody,
        Both(group.address),
        *times,
        Both(str(len(group.accesses))),
        Both.of(f"unattributed_why.{group.why}"),
        Both(_state(each, group, "ja", dry), _state(each, group, "en", dry)),
    ]


def _now() -> int:
    from authd.broker.unattributed.run import wall_ms

    return wall_ms()


_KINDS: Final[Mapping[str, str]] = dict.fromkeys(("system", "account", "since", "until", "address"), "short")
