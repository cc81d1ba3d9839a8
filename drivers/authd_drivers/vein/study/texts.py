"""The sentences of `authd vein`, in English and Japanese: a driver does not see the locale of authd."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from unicodedata import east_asian_width

LANGUAGES = ("ja", "en")


def language() -> str:
    """Return `ja` or `en`, by the locale of the caller."""
    names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "ja" if next((name for name in names if name), "").startswith("ja") else "en"


def text(id: str, language: str, /, **values: object) -> str:  # noqa: A002 (the word of authd.locale)
    """Return the sentence of this id (`error.no_folder`), its holes filled. Raises `KeyError` for a mistake here."""
    table, _, key = id.partition(".")
    return _catalogue(language)[table][key].format(**values)


@cache
def _catalogue(language: str) -> Mapping[str, Mapping[str, str]]:
    path = Path(__file__).parent / "texts" / f"{language}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def width(line: str) -> int:
    """Columns of a line on a terminal: Japanese letters take two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in line)


def padded(line: str, columns: int) -> str:
    """Fill a line with spaces."""
    return line + " " * (columns - width(line))
