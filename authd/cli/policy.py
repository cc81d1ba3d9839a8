"""`authd policy check | test | explain | coverage`: for those who write rules and those who test them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from authd.core.model import HOUR, SECOND, Decision, Limits
from authd.locale import LANGUAGES, text
from authd.service.pdp import Bundle, BundleError, Source, cases, installed, question, read

EXAMPLES = """\
examples:
  authd policy check                                    the rules and settings that came with authd
  authd policy check --bundle /etc/authd-seat/policy    a city's own; a bad line is named, and the exit code is 2
  authd policy test --bundle ./policy                   run its cases (the JSON format of `cedar run-tests`)
  authd policy coverage --bundle ./policy               rules that no case shows both ways
  authd policy explain --subject sub_1 --section resident --seat counter-1 --seat-section resident \\
                       --factor vein --margin 0.1 --at 2026-11-24T10:00
  authd policy explain --request request.json --lang en

exit codes: 0 good (of explain: explained), 1 a case fails or a rule is not covered, 2 wrong input
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
        ("check", "are rules and settings well formed?", check),
        ("test", "do all cases give what they should?", test),
        ("coverage", "is every rule shown both ways by a case?", coverage),
        ("explain", "what is decided, by which rules?", explain),
    ):
        parser = verbs.add_parser(name, help=words, epilog=EXAMPLES, formatter_class=raw)
        parser.add_argument("--bundle", type=Path, metavar="DIR", help="folder with site/, tests/, settings.toml")
        parser.add_argument("--settings", type=Path, metavar="FILE", help="instead of the bundle's settings.toml")
        parser.set_defaults(run=run, verb=verb)
        if verb is explain:
            _add_question(parser)


def run(args: argparse.Namespace) -> int:
    """Carry out one verb; whatever is wrong with a file is one line and exit code 2."""
    verb: Callable[[argparse.Namespace, Source], int] = args.verb
    try:
        return verb(args, Source(args.bundle or installed(), args.settings))
    except BundleError as error:
        print(error, file=sys.stderr)
        return 2


def check(args: argparse.Namespace, source: Source) -> int:
    """Read the bundle without running its cases."""
    bundle = read(source)
    print(f"ok: {len(bundle.rules)} rules, bundle {bundle.hash}")
    return 0


def test(args: argparse.Namespace, source: Source) -> int:
    """Run the cases; print those that fail."""
    outcomes = cases.run(source, read(source))
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    for outcome in wrong:
        print(f"{outcome.case.file}:{outcome.case.line}: {outcome.case.name}: {outcome.wrong}")
    print(f"results: {len(outcomes) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def coverage(args: argparse.Namespace, source: Source) -> int:
    """Print the rules that are not shown both ways."""
    bundle = read(source)
    found = cases.gaps(bundle, cases.run(source, bundle))
    for gap in found:
        at = gap.rule.statement
        effect, other = ("allow", "deny") if gap.rule.parsed.effect == "permit" else ("deny", "allow")
        if gap.never_decides:
            print(f"{at.file}:{at.line}: {gap.rule.id}: no case gets {effect} from this rule alone")
        if gap.never_silent:
            print(f"{at.file}:{at.line}: {gap.rule.id}: no case gets {other} because this rule is silent")
    print(f"results: {len(bundle.rules) - len(found)} rules covered, {len(found)} with gaps")
    return 1 if found else 0


def explain(args: argparse.Namespace, source: Source) -> int:
    """Print a decision and the rules that made it."""
    bundle = read(source)
    asked = _question(args)
    for line in _explained(bundle, question.decide(bundle, asked), args.lang):
        print(line)
    return 0


def _explained(bundle: Bundle, decision: Decision, language: str) -> Sequence[str]:
    lines = [text("policy.permitted", language)]
    if not decision.permitted:
        lines = [text("policy.refused", language, shown=text(decision.message, language))]
    for rule_id in decision.rules:
        lines += _rule(bundle, rule_id, language)
    if decision.permitted:
        lines.append(_limits(decision.limits, language))
    return [*lines, text("policy.bundle", language, hash=decision.bundle)]


def _rule(bundle: Bundle, rule_id: str, language: str) -> Sequence[str]:
    rule = bundle.rule(rule_id)
    if rule is None:
        reason = rule_id.removeprefix("pdp.")
        return [f"  {rule_id}: {text(f'policy_reason.{reason}', language)}"]
    at = rule.statement
    return [f"  {at.file}:{at.line}: {rule.id} ({rule.parsed.effect})", f"    {rule.words.get(language, '')}".rstrip()]


def _limits(limits: Limits, language: str) -> str:
    absence = "-" if limits.absence is None else f"{limits.absence / SECOND:g}"
    return text(
        "policy.limits",
        language,
        idle=f"{limits.idle / SECOND:g}",
        absence=absence,
        overall=f"{limits.overall / HOUR:g}",
        handover=text(f"policy_handover.{limits.handover}", language),
    )


def _add_question(parser: argparse.ArgumentParser) -> None:
    language = "en" if os.environ.get("LANG", "").startswith("en") else "ja"
    parser.add_argument("--lang", choices=LANGUAGES, default=language)
    parser.add_argument("--request", type=Path, metavar="FILE", help="the whole request as JSON, instead of the flags")
    parser.add_argument("--action", default="open_session", metavar="open_session|keep_session|step_up")
    parser.add_argument("--at", metavar="2026-11-24T10:00", help="local time")
    for name in ("subject", "section", "seat", "seat-section", "seat-class", "owner", "system", "purpose"):
        parser.add_argument(f"--{name}", metavar="ID" if name in {"subject", "seat", "owner", "system"} else "NAME")
    for name in ("factor", "fresh", "group"):
        parser.add_argument(f"--{name}", action="append", metavar="NAME", help="may be given several times")
    parser.add_argument("--grade", metavar="A|B|C|D")
    parser.add_argument("--margin", type=float, metavar="SCORE")
    for name in ("disabled", "shift-open", "untrusted-clock"):
        parser.add_argument(f"--{name}", action="store_true")


def _question(args: argparse.Namespace) -> question.Question:
    if args.request is None:
        return question.parse(json.dumps(_flags(args)), "flags")
    try:
        return question.parse(args.request.read_bytes(), args.request.name)
    except OSError as error:
        raise BundleError(str(args.request), 1, f"expected a readable file: {error.strerror}") from error


def _flags(args: argparse.Namespace) -> dict[str, object]:
    """The flags that were given, as the JSON of a request."""
    subject = _given(id=args.subject, section=args.section, disabled=args.disabled, groups=args.group)
    seat = _given(id=args.seat, section=args.seat_section) | _given(**{"class": args.seat_class})
    plain = {name: getattr(args, name) for name in ("action", "at", "grade", "margin", "fresh", "owner", "purpose")}
    return _given(
        **plain,
        subject=subject,
        seat=seat,
        system=_given(id=args.system) or None,
        factors=args.factor or [],
        shift_open=args.shift_open,
        clock_trusted=not args.untrusted_clock,
    )


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
