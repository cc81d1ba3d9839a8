"""`authd policy explain`: what is decided, by which rules; of a question, or of a row of the ledger."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from authd.cli.files import BadInput, local, open_reader
from authd.core.model import HOUR, SECOND, Decision, Limits
from authd.locale import text
from authd.service.pdp import Bundle, BundleError, Source, question, read
from authd.service.pdp.asked import Question
from authd.service.pdp.replay import Past, past


def explain(args: argparse.Namespace, source: Source) -> int:
    """Print a decision and the rules that made it."""
    bundle = read(source)
    before, asked = _row(args) if args.row is not None else (None, _question(args))
    decision = question.decide(bundle, asked)
    if args.json:
        print(json.dumps(_explained_json(bundle, decision, before), ensure_ascii=False))
        return 0
    for line in [*(_then(before, args.lang) if before else ()), *_explained(bundle, decision, args.lang)]:
        print(line)
    return 0


def _row(args: argparse.Namespace) -> tuple[Past, Question]:
    """What a row of the ledger was about. Raises `BadInput`."""
    reader = open_reader(args)
    try:
        rows = reader.rows([args.row])
    finally:
        reader.close()
    if not rows:
        raise BadInput(text("policy.no_row", args.lang, seq=args.row))
    found = past(rows[0].seq, rows[0].wall_ms, rows[0].entry)
    if found is None or not found.asked:
        raise BadInput(text("policy.no_question", args.lang, seq=args.row, kind=rows[0].entry.kind.value))
    return found, question.parse(found.asked, f"#{found.seq}")


def _then(before: Past, language: str) -> Sequence[str]:
    id_ = "policy.past_permitted" if before.permitted else "policy.past_refused"
    when, rules = local(before.wall_ms).isoformat(" ", "minutes"), ", ".join(before.rules) or "-"
    return [
        text(id_, language, seq=before.seq, when=when, rules=rules, bundle=before.bundle),
        text("policy.now", language),
    ]


def _explained_json(bundle: Bundle, decision: Decision, before: Past | None) -> dict[str, object]:
    told: dict[str, object] = {"permitted": decision.permitted, "rules": decision.rules, "bundle": decision.bundle}
    told |= {} if decision.permitted else {"message": decision.message.value}
    if decision.permitted:
        told["limits"] = {name: value / SECOND for name, value in _spans(decision.limits).items()}
    if before is not None:
        told["then"] = {
            "seq": before.seq,
            "permitted": before.permitted,
            "rules": before.rules,
            "bundle": before.bundle,
        }
    rules = [rule for rule_id in decision.rules if (rule := bundle.rule(rule_id)) is not None]
    return told | {"where": {rule.id: f"{rule.statement.file}:{rule.statement.line}" for rule in rules}}


def _spans(limits: Limits) -> dict[str, int]:
    spans = {"idle_s": limits.idle, "overall_s": limits.overall}
    return spans if limits.absence is None else spans | {"absence_s": limits.absence}


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


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is asked."""
    parser.add_argument("--row", type=int, metavar="NUMBER", help="a row of the ledger / 台帳の行の番号")
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


def _question(args: argparse.Namespace) -> Question:
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
