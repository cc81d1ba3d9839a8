"""A policy bundle: the installed schema and base rules, a site's rules and settings, checked and parsed as one.

A site cannot change schema or base: they are always those of the installed `authd_policies`. A folder may hold a copy
of them (so that a city can start from the whole folder), and is refused if the copy differs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from authd.core.model import Message
from authd.service.pdp import cedar, settings
from authd.service.pdp.errors import BundleError

MAX_FILE = 1_000_000
"""Bytes of one policy, settings or test file."""
MAX_FILES = 200
WANTS = frozenset({Message.ANOTHER_FACTOR, Message.SECOND_PERSON})
"""What a rule says that the next touch can satisfy; the seat then waits for it."""
REFUSALS = {Message.REFUSED, Message.REFUSED_HOURS, Message.REFUSED_FACTORS} | WANTS
ANNOTATIONS = {"id", "message", "ja", "en"}
SCHEMA = "schema/authd.cedarschema"


def installed() -> Path:
    """Folder of the policies that came with authd."""
    return Path(str(resources.files("authd_policies")))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a bundle is read from. `settings` None: the folder's own, or the installed ones if it has none."""

    folder: Path
    settings: Path | None = None
    base: Path | None = None
    """Whose schema and base rules count; None: the installed ones (anything else is for tests)."""

    @property
    def root(self) -> Path:
        """Folder of schema and base rules."""
        return self.base or installed()

    @property
    def settings_path(self) -> Path:
        """The settings file in use."""
        own = self.folder / "settings.toml"
        return self.settings or (own if own.exists() else self.root / "settings.toml")


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy, where it stands, and what it says to people."""

    id: str
    parsed: cedar.Parsed
    statement: cedar.Statement
    message: Message
    words: Mapping[str, str]
    """By language: `ja`, `en`; base rules have both."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that decides. Rules stand in the order of Cedar's positional ids."""

    schema: cedar.Schema
    policies: cedar.PolicySet
    rules: tuple[Rule, ...]
    settings: settings.Settings
    lenient: cedar.PolicySet
    """The permits alone: whether anybody permits it, once no rule forbids it any more."""
    hash: str
    """sha256 (hex) over schema, rules and settings: all that can change a decision."""

    def named(self, policy_ids: Sequence[str]) -> tuple[str, ...]:
        """`@id`s of positional ids."""
        return tuple(self.rules[cedar.position(policy_id)].id for policy_id in policy_ids if policy_id)

    def only(self, keep: Callable[[Rule], bool]) -> Bundle:
        """The same bundle with fewer rules, for tests: never for decisions."""
        rules = tuple(rule for rule in self.rules if keep(rule))
        return replace(self, rules=rules, policies=_policies(rules), lenient=_lenient(rules))

    def rule(self, rule_id: str) -> Rule | None:
        """The rule with this `@id`."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)


def read(source: Source) -> Bundle:
    """Read and check a bundle, without its tests. Raises `BundleError`."""
    if not source.folder.is_dir():
        raise BundleError(str(source.folder), 1, "expected a folder with site/, tests/ and settings.toml")
    _same_base(source)
    schema_text = text_of(source.root, source.root / SCHEMA)
    schema = _schema(schema_text)
    base = chain.from_iterable(_rules(source.root, "base", schema))
    rules = tuple(chain(base, chain.from_iterable(_rules(source.folder, "site", schema))))
    _unique(rules)
    settings_text = text_of(source.settings_path.parent, source.settings_path)
    return Bundle(
        schema=schema,
        policies=_policies(rules),
        lenient=_lenient(rules),
        rules=rules,
        settings=settings.parse(settings_text, source.settings_path.name),
        hash=_hash([schema_text, *(rule.statement.text for rule in rules), settings_text]),
    )


def files(folder: Path, kind: str, pattern: str) -> Sequence[Path]:
    """Files of one kind (`base`, `site`, `tests/site` ...) in a fixed order. Raises `BundleError`: too many."""
    found = sorted((folder / kind).glob(f"**/{pattern}"))
    if len(found) > MAX_FILES:
        raise BundleError(kind, 1, f"at most {MAX_FILES} files, got {len(found)}")
    return found


def text_of(folder: Path, path: Path) -> str:
    """Text of a file of a bundle. Raises `BundleError`: unreadable, too long, not UTF-8."""
    name = path.relative_to(folder).as_posix()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise BundleError(name, 1, f"expected a readable file: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise BundleError(name, 1, f"expected at most {MAX_FILE} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BundleError(name, data[: error.start].count(b"\n") + 1, "expected UTF-8") from error


def _schema(text: str) -> cedar.Schema:
    try:
        return cedar.Schema.from_str(text)
    except ValueError as error:
        raise BundleError(SCHEMA, _line_of_token(text, str(error)), str(error)) from error


def _same_base(source: Source) -> None:
    for kind, pattern in (("schema", "*.cedarschema"), ("base", "*.cedar")):
        for path in files(source.folder, kind, pattern):
            name = path.relative_to(source.folder)
            ours = source.root / name
            if not ours.is_file() or text_of(source.folder, path) != text_of(source.root, ours):
                raise BundleError(name.as_posix(), 1, "expected the installed text: a site adds rules in site/ only")


def _rules(folder: Path, kind: str, schema: cedar.Schema) -> Iterator[Iterator[Rule]]:
    for path in files(folder, kind, "*.cedar"):
        name = path.relative_to(folder).as_posix()
        text = text_of(folder, path)
        yield (_rule(statement, kind, schema) for statement in cedar.statements(text, name))


def _rule(statement: cedar.Statement, kind: str, schema: cedar.Schema) -> Rule:
    def wrong(expected: str, line: int = 0) -> BundleError:
        return BundleError(statement.file, statement.line + line, expected)

    try:
        parsed = cedar.policy(statement.text)
    except ValueError as error:
        line = _line_of_token(statement.text, str(error)) - 1
        raise wrong(f"expected a Cedar policy: {error}", line) from error
    notes = parsed.annotations
    rule_id, message = notes.get("id", ""), notes.get("message", Message.REFUSED)
    if not re.fullmatch(rf"{kind}(\.[a-z0-9-]+)+", rule_id):
        raise wrong(f'expected @id("{kind}.name"), lower case letters, digits, - and ., got {rule_id!r}')
    if unknown := sorted(notes.keys() - ANNOTATIONS):
        raise wrong(f"unknown annotation @{unknown[0]}, expected one of: {', '.join(sorted(ANNOTATIONS))}")
    if message not in REFUSALS:
        raise wrong(f"@message must be one of {', '.join(sorted(REFUSALS))}, got {message!r}")
    if found := cedar.problems(statement.text, schema):
        raise wrong(f"{rule_id}: {found[0].partition(', ')[2] or found[0]}")
    words = {language: notes[language] for language in ("ja", "en") if language in notes}
    return Rule(rule_id, parsed, statement, Message(message), MappingProxyType(words))


def _policies(rules: Sequence[Rule]) -> cedar.PolicySet:
    return cedar.PolicySet.from_str("\n".join(rule.statement.text for rule in rules))


def _lenient(rules: Sequence[Rule]) -> cedar.PolicySet:
    return _policies([rule for rule in rules if rule.parsed.effect == "permit"])


def _unique(rules: Sequence[Rule]) -> None:
    seen: dict[str, cedar.Statement] = {}
    for rule in rules:
        if first := seen.get(rule.id):
            where = f"{first.file}:{first.line}"
            raise BundleError(rule.statement.file, rule.statement.line, f"@id {rule.id} must be unique, see {where}")
        seen[rule.id] = rule.statement


def _line_of_token(text: str, error: str) -> int:
    """Line of the one place where the token that an error complains of stands; 1 if there are several."""
    match = re.search(r"unexpected token `(.+)`", error)
    if match is None or text.count(match[1]) != 1:
        return 1
    return text[: text.index(match[1])].count("\n") + 1


def _hash(parts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
