"""The sentences people read, by id, in Japanese and English: `text("message.start", "ja", name="佐藤")`.

Every `*.toml` file beside a language's name is read; its tables are the first half of an id, its keys the second.
The nouns of `authd.core.model` are ids themselves: `Message.START` is `message.start`, `EndReason.IDLE` is
`end_reason.idle`. Only the standard library is imported here, so that every process can afford it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

__all__ = ["LANGUAGES", "UnknownText", "catalogue", "identify", "text"]

LANGUAGES = ("ja", "en")
"""Japanese first: it is the one that is asked for when nothing else is known."""

_HOLE = re.compile(r"\{([a-z_]+)\}")
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")


class UnknownText(KeyError):
    """No such id, no such language, or a value that the sentence needs was not given: a mistake in the program."""


def text(id: str, language: str, /, **values: object) -> str:  # noqa: A002 (the word everybody uses for it)
    """Return the sentence of this id, with `{name}`-like holes filled from `values`. Raises `UnknownText`.

    A value is inserted as it is: whoever makes HTML of the sentence escapes it afterwards.
    """
    sentence = catalogue(language).get(identify(id))
    if sentence is None:
        raise UnknownText(f"{language}: {identify(id)}")
    return _HOLE.sub(lambda hole: _value(values, hole[1]), sentence)


def identify(noun: str) -> str:
    """Return the id of a noun: a member of a `StrEnum` is named after its class, anything else is an id already."""
    if not isinstance(noun, StrEnum):
        return noun
    table = _WORD_START.sub("_", type(noun).__name__).lower()
    return f"{table}.{noun.value}"


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return every sentence of a language by id. Raises `UnknownText` for a language that is not there."""
    if language not in LANGUAGES:
        raise UnknownText(language)
    sentences: dict[str, str] = {}
    for path in sorted((Path(__file__).parent / language).glob("*.toml")):
        _merge(sentences, tomllib.loads(path.read_text(encoding="utf-8")), path)
    return sentences


def _merge(sentences: dict[str, str], tables: Mapping[str, Mapping[str, str]], path: Path) -> None:
    for table, lines in tables.items():
        for key, sentence in lines.items():
            if f"{table}.{key}" in sentences:
                raise UnknownText(f"{path.name} says {table}.{key} a second time")
            sentences[f"{table}.{key}"] = sentence


def _value(values: Mapping[str, object], name: str) -> str:
    if name not in values:
        raise UnknownText(f"the sentence needs {name}")
    return str(values[name])
