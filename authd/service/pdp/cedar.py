"""The few calls of cedarpy that authd makes, with parsed handles only; nothing else imports cedarpy.

Cedar itself gives no line for an error, so policy text is cut into statements here and each is parsed alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import cedarpy
from cedarpy import pst

Entities = cedarpy.Entities
PolicySet = cedarpy.PolicySet
Schema = cedarpy.Schema
Euid = dict[str, str]
"""`{"type": ..., "id": ...}`: this form, unlike Cedar's text, needs no escaping of a hostile id."""

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|;|[^";/]+|.', re.DOTALL)
_ERRORED = re.compile(r"policy `(policy\d+)`")


@dataclass(frozen=True, slots=True)
class Statement:
    """One policy as it stands in its file; `line` is that of its first character, from 1."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Cedar's answer. `reasons` and `errors` are positional policy ids (`policy3`); `failure`: no evaluation at all."""

    allow: bool
    reasons: tuple[str, ...]
    errors: tuple[str, ...]
    failure: str = ""


def statements(text: str, file: str) -> Iterator[Statement]:
    """Cut Cedar text at the semicolons outside strings and comments; a rest without one is a statement too."""
    start, line, parts = 0, 1, list[str]()
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if not parts:
            body = "" if piece.startswith("//") else piece.lstrip()
            line += piece[: len(piece) - len(body)].count("\n")
            start, piece = line, body
        if piece:
            parts.append(piece)
            line += piece.count("\n")
        if piece == ";":
            yield Statement(file, start, "".join(parts))
            parts.clear()
    if parts:
        yield Statement(file, start, "".join(parts).rstrip())


@dataclass(frozen=True, slots=True)
class Parsed:
    """One policy as Cedar reads it. `actions` None: every action; `conditional`: whether anything else limits it."""

    effect: str
    """`permit` or `forbid`."""
    annotations: Mapping[str, str]
    actions: frozenset[str] | None
    conditional: bool


def policy(text: str) -> Parsed:
    """Parse one policy. Raises `ValueError`: it is not exactly one policy."""
    parsed = PolicySet.from_str(text).to_pst()
    if parsed.templates or len(parsed.static_policies) != 1:
        raise ValueError("one policy without slots (?principal, ?resource)")
    only = next(iter(parsed.static_policies.values()))
    match only.action:
        case pst.ActionEq(entity=entity):
            actions: frozenset[str] | None = frozenset({entity.id})
        case pst.ActionIn(entities=named):
            actions = frozenset(entity.id for entity in named)
        case _:
            actions = None
    conditional = bool(only.clauses) or not all(isinstance(at, pst.ScopeAny) for at in (only.principal, only.resource))
    return Parsed(only.effect, dict(only.annotations), actions, conditional)


def problems(text: str, schema: Schema) -> Sequence[str]:
    """What the schema says against the policies, in Cedar's words; empty: nothing."""
    result = cedarpy.validate_policies(text, schema)  # pyright: ignore[reportUnknownMemberType] - cedarpy: bare dict
    return [error.error for error in result.errors]


def entities(pieces: Sequence[str], base: Entities | None = None, schema: Schema | None = None) -> Entities:
    """Parse entities, each a JSON text, on top of those of `base`. Raises `ValueError`."""
    text = f"[{','.join(pieces)}]"
    if base is not None:
        return base.with_added_json_str(text, schema)  # pyright: ignore[reportUnknownMemberType] - cedarpy: bare dict
    return Entities.from_json_str(text, schema)  # pyright: ignore[reportUnknownMemberType] - cedarpy: bare dict


def ask(request: Mapping[str, object], policies: PolicySet, known: Entities, schema: Schema | None = None) -> Answer:
    """Evaluate one request (principal, action, resource as `Euid` or text; context as JSON text).

    A schema checks the request first; that costs as much as the evaluation itself.
    """
    plain = dict(request)
    result = cedarpy.is_authorized(plain, policies, known, schema)  # pyright: ignore[reportUnknownMemberType] - bare dict
    errors = result.diagnostics.errors
    if result.decision is cedarpy.Decision.NoDecision:
        return Answer(allow=False, reasons=(), errors=(), failure="; ".join(errors) or "no decision")
    return Answer(
        allow=result.decision is cedarpy.Decision.Allow,
        reasons=tuple(sorted(result.diagnostics.reasons, key=position)),
        errors=tuple(_errored(error) for error in errors),
    )


def position(policy_id: str) -> int:
    """Place of a positional policy id in its text, from 0."""
    return int(policy_id.removeprefix("policy"))


def _errored(error: str) -> str:
    match = _ERRORED.search(error)
    return cast("str", match[1]) if match else ""
