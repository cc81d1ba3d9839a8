"""`authd policy check | test | coverage | explain | diff`: for those who write rules and those who test them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from authd.cli import failures, policy_report
from authd.cli._common import language
from authd.cli.files import add_files, answering, moment
from authd.cli.policy_diff import add_diff
from authd.cli.policy_explain import add_question, explain
from authd.locale import LANGUAGES, text
from authd.service.evidence.procedures import cases as ways
from authd.service.evidence.procedures import pack
from authd.service.pdp import BundleError, Source, cases, installed, read

EXAMPLES = """\
examples:
  authd policy check                                    the rules, settings and procedures that came with authd
  authd policy check --bundle /etc/authd-seat/policy    a city's own; a bad line is named, and the exit code is 2
  authd policy test --bundle ./policy                   run its cases (JSON as of `cedar run-tests`; TOML of procedures)
  authd policy coverage --bundle ./policy               rules that no case shows both ways
  authd policy explain --subject sub_1 --section resident --seat counter-1 --seat-section resident \\
                       --factor vein --fresh vein --shift-open --margin 0.1 --at 2026-11-24T10:00
  authd policy explain --request request.json --lang en
  authd policy explain --row 1044                       why it was decided so, and what this bundle says of it
  authd policy diff --bundle ./policy                   what would have come out otherwise in the last 31 days
  authd policy diff --bundle ./policy --last 1000 --against /etc/authd-seat/policy --html diff.html

exit codes: 0 good (of explain: explained; of diff: nothing comes out otherwise), 1 a case fails, a rule is not covered,
            or a decision comes out otherwise, 2 wrong input
"""


Verbs = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage] - argparse has no public name for it


def register(subparsers: Verbs[argparse.ArgumentParser]) -> None:
    """Add `authd policy` and its verbs."""
    raw = argparse.RawDescriptionHelpFormatter
    group = subparsers.add_parser(
        "policy",
        help="check, test and explain the rules / 規則の検査・試験・説明",
        epilog=EXAMPLES,
        formatter_class=raw,
    )
    verbs = group.add_subparsers(metavar="VERB", required=True)
    for name, words, verb in (
        ("check", "are rules and settings well formed? / 規則と設定の形式の検査", check),
        ("test", "do all cases give what they should? / 規則の試験", test),
        ("coverage", "is every rule shown both ways by a case? / 試験の不足の検査", coverage),
        ("explain", "what is decided, by which rules? / 判断とその規則の説明", explain),
        ("diff", "what would have been decided otherwise? / 別の規則なら判断がどう変わるか", diff),
    ):
        parser = verbs.add_parser(name, help=words, epilog=EXAMPLES, formatter_class=raw)
        parser.add_argument("--bundle", type=Path, metavar="DIR", help="folder with site/, tests/, settings.toml")
        parser.add_argument("--settings", type=Path, metavar="FILE", help="instead of the bundle's settings.toml")
        parser.set_defaults(run=run, verb=verb)
        _add_output(parser, verb)


def _add_output(parser: argparse.ArgumentParser, verb: Callable[..., int]) -> None:
    """Add the options that say how to answer, and those of the verb alone."""
    if verb in (explain, diff):
        add_files(parser)
    else:
        parser.add_argument("--json", action="store_true", help="one JSON object a line / 1行に1つのJSON")
        parser.add_argument("--lang", choices=LANGUAGES, default=language())
    if verb in (test, coverage, diff):
        parser.add_argument("--html", type=Path, metavar="FILE", help="one page to print / 印刷用のページ")
    if verb is explain:
        add_question(parser)
    if verb is diff:
        add_diff(parser)
        parser.add_argument("--from", type=moment, dest="since", metavar="TIME", help="2026-11-01T00:00 / いつから")
        parser.add_argument("--to", type=moment, dest="until", metavar="TIME", help="2026-11-30T24:00 / いつまで")


def run(args: argparse.Namespace) -> int:
    """Carry out one verb; whatever is wrong with a file is one line and exit code 2."""
    verb: Callable[[argparse.Namespace, Source], int] = args.verb
    try:
        return answering(lambda given: verb(given, Source(given.bundle or installed(), given.settings)))(args)
    except BundleError as error:
        print(failures.words(error, args.lang), file=sys.stderr)
        return 2


def diff(args: argparse.Namespace, source: Source) -> int:
    """Say what this bundle would have decided otherwise."""
    from authd.cli import policy_diff

    return policy_diff.diff(args, source)


def check(args: argparse.Namespace, source: Source) -> int:
    """Read the bundle without running its cases."""
    bundle, packs = read(source), pack.read(source)
    ahead = bundle.settings.holidays_from(date.today())  # noqa: DTZ011 - the office's own day
    if args.json:
        told = {"rules": len(bundle.rules), "bundle": bundle.hash, "procedures": len(packs.base), "holidays": ahead}
        print(json.dumps(told | {"of_sections": len(packs.sections)}))
        return 0
    print(text("policy.checked", args.lang, count=len(bundle.rules), hash=bundle.hash))
    print(text("policy.checked_packs", args.lang, count=len(packs.base), sections=len(packs.sections)))
    if not ahead:
        print(text("policy.no_holidays", args.lang), file=sys.stderr)
    return 0


def test(args: argparse.Namespace, source: Source) -> int:
    """Run the cases, of rules and of procedures; print those that fail."""
    bundle = read(source)
    outcomes: list[cases.Outcome | ways.Outcome] = [*cases.run(source, bundle), *ways.run(source, pack.read(source))]
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    if args.html is not None:
        policy_report.write_tests(args.html, bundle, outcomes)
    for outcome in wrong:
        print(policy_report.failed(outcome, as_json=args.json))
    counts = {"passed": len(outcomes) - len(wrong), "failed": len(wrong)}
    print(json.dumps(counts | {"bundle": bundle.hash}) if args.json else text("policy.tested", args.lang, **counts))
    return 1 if wrong else 0


def coverage(args: argparse.Namespace, source: Source) -> int:
    """Print the rules that are not shown both ways."""
    bundle = read(source)
    outcomes = cases.run(source, bundle)
    found = cases.gaps(bundle, outcomes)
    if args.html is not None:
        policy_report.write_rules(args.html, bundle, found)
    for gap in found:
        for line in policy_report.gap_lines(gap, args.lang, as_json=args.json):
            print(line)
    counts = {"covered": len(bundle.rules) - len(found), "gaps": len(found)}
    print(json.dumps(counts | {"bundle": bundle.hash}) if args.json else text("policy.covered", args.lang, **counts))
    return 1 if found else 0
