"""The lines of a file that may be CP932 or UTF-8: which of the two it is, and which of its lines are not.

A line feed is no part of any character in either, so the file is cut into lines first, and each is judged alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

UTF8, CP932 = "utf-8", "cp932"
_BOM: Final = b"\xef\xbb\xbf"
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
"""Characters of a city's own (gaiji) are private to it (Co), and are names."""
_NEITHER: Final = re.compile("[\x80\xa0\uf8f0-\uf8f3]")
"""What the codec makes of single bytes that no Japanese character begins with."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, numbered from 1. With a `fault` its text is not to be used."""

    number: int
    text: str
    fault: str = ""
    column: int = 0
    value: str = ""


def lines(raw: bytes, longest: int) -> tuple[str, Iterator[Line]]:
    """Return the file's encoding, and its lines, of at most `longest` bytes each."""
    if raw.startswith(_WIDE):
        return UTF8, iter([Line(1, "", "wide")])
    bom = raw.startswith(_BOM)
    cut = raw.removeprefix(_BOM).split(b"\n")
    encoding = UTF8 if bom else _encoding(cut, longest)
    return encoding, (_line(number, each, encoding, longest) for number, each in enumerate(cut, 1))


def _encoding(cut: list[bytes], longest: int) -> str:
    """The one that more lines are in; lines of plain ASCII are in both, and nobody's are in neither."""
    spoken = [each for each in cut if len(each) <= longest and not each.isascii()]
    utf8 = sum(_is(each, UTF8) for each in spoken)
    cp932 = sum(not _is(each, UTF8) and _is(each, CP932) for each in spoken)
    return CP932 if cp932 > utf8 else UTF8


def _line(number: int, raw: bytes, encoding: str, longest: int) -> Line:
    raw = raw.removesuffix(b"\r")
    if len(raw) > longest:
        return Line(number, "", "too_long", value=str(longest))
    other = CP932 if encoding == UTF8 else UTF8
    if encoding == CP932 and not raw.isascii() and _is(raw, UTF8):
        return Line(number, "", "other_encoding", value=_name(other))
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        if _is(raw, other):
            return Line(number, "", "other_encoding", value=_name(other))
        return Line(number, "", "undecodable", _column(raw[: error.start]), _name(encoding))
    for at, character in enumerate(text):
        if unicodedata.category(character) in _UNSEEN and character != "\t":
            column = text[:at].count(",") + 1
            return Line(number, "", "nul" if character == "\0" else "control", column, f"U+{ord(character):04X}")
    return Line(number, text)


def _column(before: bytes) -> int:
    return before.count(b",") + 1


def _name(encoding: str) -> str:
    return {UTF8: "UTF-8", CP932: "CP932"}[encoding]


def _is(raw: bytes, encoding: str) -> bool:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return encoding == UTF8 or _NEITHER.search(text) is None
