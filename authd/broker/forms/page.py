"""Pages as old applications write them: their letters, and the fields of a form. Pure: any bytes make some page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

MOST_BYTES: Final = 1_048_576
MOST_FORMS: Final = 32
MOST_FIELDS: Final = 200
_META: Final = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
_ENDLESS: Final = re.compile(r"&#[0-9]{100,};?")
"""The number of no letter. Python refuses to read one of more than 4300 digits, with `ValueError`."""
_SENT: Final = ("hidden", "text", "password", "")
_CODECS: Final = {
    **dict.fromkeys(("shift-jis", "sjis", "x-sjis", "windows-31j", "cp932", "ms932"), "cp932"),
    **dict.fromkeys(("euc-jp", "x-euc-jp"), "euc_jp"),
    **dict.fromkeys(("iso-8859-1", "latin1", "us-ascii", "windows-1252"), "cp1252"),
    "iso-2022-jp": "iso2022_jp",
}


@dataclass(slots=True)
class Form:
    """One form: where it goes, and what it holds as it stands."""

    action: str = ""
    post: bool = False
    fields: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Page:
    """What came. `path`: where it was found in the end, after any redirects."""

    status: int
    path: str
    text: str
    charset: str
    forms: Sequence[Form]

    def form_with(self, name: str) -> Form | None:
        """Return the first form that has a field of this name."""
        return next((form for form in self.forms if name in form.fields), None)


def read(status: int, path: str, declared: str, body: bytes, usual: str = "utf-8") -> Page:
    """Read a page's bytes. `declared`: the charset of its header; `usual`: of pages that do not say theirs."""
    meta = _META.search(body[:4_096])
    charset = _known(declared or (meta[1].decode("ascii") if meta else ""), usual)
    text = body[:MOST_BYTES].decode(charset, "replace")
    reader = _Forms()
    reader.feed(_ENDLESS.sub("\ufffd", text))
    return Page(status, path, text, charset, tuple(reader.found))


def _known(name: str, usual: str) -> str:
    """Return a codec as browsers choose it."""
    if not name:
        return usual
    return _CODECS.get(name.strip().lower().replace("_", "-"), "utf-8")


class _Forms(HTMLParser):
    """Collects forms and what a browser would send of them untouched."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Form] = []
        self._open: Form | None = None

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Pass over `<![x[`, as browsers do: to the next `>`. Python's own asks for words that XML has there."""
        return self.parse_bogus_comment(i, report)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form" and len(self.found) < MOST_FORMS:
            self._open = Form(told.get("action", ""), told.get("method", "").lower() == "post")
            self.found.append(self._open)
        elif tag == "input" and self._open is not None and len(self._open.fields) < MOST_FIELDS:
            name, kind = told.get("name", ""), told.get("type", "").lower()
            if name and kind in _SENT:
                self._open.fields[name] = told.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
