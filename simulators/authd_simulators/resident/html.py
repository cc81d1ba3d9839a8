"""Fills the pages: everything that is not `Html` is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from string import Template


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def page(name: str, /, **values: str) -> Html:
    """Fill a page of `pages/`. A value that the page does not name, or lacks, is a `KeyError`."""
    return Html(_template(name).substitute({key: escape(value) for key, value in values.items()}))


def escape(value: str) -> Html:
    """Return the text as markup."""
    return value if isinstance(value, Html) else Html(html.escape(value))


def join(parts: Iterable[Html]) -> Html:
    """Put pieces of markup one after the other."""
    return Html("".join(parts))


@lru_cache(maxsize=32)
def _template(name: str) -> Template:
    return Template(files("authd_simulators.resident").joinpath("pages", f"{name}.html").read_text("utf-8"))
