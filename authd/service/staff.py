"""Members of staff as the store keeps them, and what a name or an id must look like before it may be kept.

A subject is an opaque id for ever; everything else is an attribute that may change. Names are people's own: they are
brought to one form (NFC) and cleared of what cannot be seen, never judged. Compatibility ideographs are left as they
are, because NFC would turn a person's own character (U+FA19) into another one (U+795E).
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass, replace

from authd.core.model import SubjectId

NAME_LIMIT = 200
"""Longest name, kana or section, in characters."""
_SUBJECT = re.compile(r"sub_[A-Za-z0-9]{1,64}")
_TEMPLATE = re.compile(r"tpl_[A-Za-z0-9]{1,64}")
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_STAFF_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
_KEY = re.compile(r"[a-z]{1,16}:[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_COMPATIBILITY = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f])")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})


class BadAttribute(ValueError):
    """An id or attribute that is not kept; `field` says which. The value is never in the message."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A member of staff."""

    subject: SubjectId
    staff_number: str
    name: str
    kana: str
    section: str
    officer: bool = False
    disabled: bool = False


def new_subject() -> SubjectId:
    """Return an id that nobody ever had: `sub_` and 128 random bits."""
    return SubjectId("sub_" + secrets.token_hex(16))


def checked(person: PersonRecord) -> PersonRecord:
    """Return the person with names in their one form. Raises `BadAttribute`."""
    check_subject(person.subject)
    if not _STAFF_NUMBER.fullmatch(person.staff_number):
        raise BadAttribute("staff_number", "1 to 32 of A-Z, a-z, 0-9 and -")
    return replace(
        person,
        name=checked_name("name", person.name),
        kana=checked_name("kana", person.kana, empty=True),
        section=checked_name("section", person.section, empty=True),
    )


def checked_name(field: str, value: str, *, empty: bool = False) -> str:
    """Return a name in NFC, compatibility ideographs kept, without white space around it. Raises `BadAttribute`."""
    if len(value) > NAME_LIMIT:
        raise BadAttribute(field, f"at most {NAME_LIMIT} characters")
    parts = _COMPATIBILITY.split(value.strip())
    name = "".join(part if at % 2 else unicodedata.normalize("NFC", part) for at, part in enumerate(parts))
    if any(unicodedata.category(character) in _INVISIBLE for character in name):
        raise BadAttribute(field, "a character that cannot be seen")
    if not name and not empty:
        raise BadAttribute(field, "something is needed")
    if len(name) > NAME_LIMIT:
        raise BadAttribute(field, f"at most {NAME_LIMIT} characters")
    return name


def check_subject(subject: str) -> None:
    """Raise `BadAttribute` unless it is a subject's id."""
    _match("subject", _SUBJECT, subject)


def check_template(template: str) -> None:
    """Raise `BadAttribute` unless it is a template's id, without its version."""
    _match("template", _TEMPLATE, template)


def check_word(field: str, value: str) -> None:
    """Raise `BadAttribute` unless it is a plain lower-case word (a modality, a finger, a seat)."""
    _match(field, _WORD, value)


def check_key(key: str) -> None:
    """Raise `BadAttribute` unless it names a counter (`subject:sub_...`, `seat:counter-1`)."""
    _match("key", _KEY, key)


def _match(field: str, pattern: re.Pattern[str], value: str) -> None:
    if not pattern.fullmatch(value):
        raise BadAttribute(field, f"must match {pattern.pattern}")
