"""The page's files, read once at the start from beside this module, and the two pages that are filled in."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from authd.locale import LANGUAGES, catalogue, text
from authd.web.settings import Application, Seat

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
SAID = ("message.", "hint.", "screen.", "review.", "review_page.")
"""Tables of the catalogue that the page may need."""
EMPTY = {"name": "", "left": ""}
"""Values that scripts fill in."""


@dataclass(frozen=True, slots=True)
class Assets:
    """Static files by name, and the templates."""

    files: Mapping[str, bytes]
    seat: Template
    choice: Template
    build: str
    """Hash of everything: a page of another build loads itself anew."""


def load() -> Assets:
    """Read every file of the page."""
    files = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in TYPES}
    files["words.js"] = words()
    names = ("seat.html", "choice.html", "procedure.html", "review.html")
    pages = {name: (STATIC / name).read_text(encoding="utf-8") for name in names}
    digest = hashlib.sha256(b"\0".join([*files.values(), *(page.encode() for page in pages.values())])).hexdigest()
    seat = pages["seat.html"].replace("$procedure_panel\n", pages["procedure.html"])
    seat = seat.replace("$review_panel\n", pages["review.html"])
    return Assets(files, Template(seat), Template(pages["choice.html"]), digest[:16])


def words() -> bytes:
    """Return the page's sentences as a JavaScript module, `words[language][id]`."""
    said = {
        language: {id_: line for id_, line in catalogue(language).items() if id_.startswith(SAID)}
        for language in LANGUAGES
    }
    return f"export default {json.dumps(said)};\n".encode("ascii")


def type_of(name: str) -> str:
    """Return the content type of a static file."""
    return TYPES[Path(name).suffix]


def seat_page(assets: Assets, seat: Seat, applications: Iterable[Application], language: str) -> str:
    """Return the page of a seat: covered, before any script has run."""
    listed = [{"id": each.id, "name": {"ja": each.name_ja, "en": each.name_en}} for each in applications]
    return assets.seat.substitute(
        _labels(language),
        build=assets.build,
        seat=seat.id,
        seat_name=_seat_name(seat),
        ways=" ".join(seat.ways),
        application_list=html.escape(json.dumps(listed)),
    )


def choice_page(assets: Assets, seats: Iterable[Seat], language: str) -> str:
    """Return the page on which a seat is chosen."""
    links = "\n".join(f'<li><a href="/seat/{seat.id}?lang={language}">{_seat_name(seat)}</a></li>' for seat in seats)
    return assets.choice.substitute(_labels(language), seats=links)


def _labels(language: str) -> dict[str, str]:
    """Return every `screen.*` sentence that needs no value as a pair of marked-up texts, for the templates."""
    keys = [id_.removeprefix("screen.") for id_ in catalogue("ja") if id_.startswith("screen.")]
    labels = {key: pair(text(f"screen.{key}", "ja", **EMPTY), text(f"screen.{key}", "en", **EMPTY)) for key in keys}
    return labels | {"lang": language, "page_title": html.escape(text("screen.title", language))}


def _seat_name(seat: Seat) -> str:
    return pair(seat.name_ja, seat.name_en)


def pair(ja: str, en: str) -> str:
    """Return one text in both languages; the style sheet decides which is the larger."""
    spans = f'<span lang="ja">{html.escape(ja)}</span><span lang="en">{html.escape(en)}</span>'
    return f'<span class="two">{spans}</span>'
