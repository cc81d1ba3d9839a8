"""A page of the gateway's own: one title and one sentence in both languages, without script, and its policy."""

from __future__ import annotations

import base64
import hashlib
import html
from functools import cache
from pathlib import Path
from string import Template

from authd.locale import text

STATIC = Path(__file__).parent / "static"


def page(words: str, form: str = "") -> bytes:
    """Return the page that says `<words>_title` and `<words>_text`. form: HTML that follows them."""
    said = {
        f"{part}_{language}": html.escape(text(f"{words}_{part}", language))
        for part in ("title", "text")
        for language in ("ja", "en")
    }
    return _template().substitute(said, style=_style(), form=form).encode("utf-8")


@cache
def policy(*, posts: bool = False) -> bytes:
    """Return the Content-Security-Policy that lets in the page's own style and nothing else. posts: and its form."""
    digest = base64.b64encode(hashlib.sha256(_style().encode("utf-8")).digest()).decode("ascii")
    action = "'self'" if posts else "'none'"
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action {action}".encode("ascii")


@cache
def _template() -> Template:
    return Template((STATIC / "page.html").read_text(encoding="utf-8"))


@cache
def _style() -> str:
    return (STATIC / "page.css").read_text(encoding="utf-8")
