"""The board: which linked system holds which version of the protections, and which is silent.

It knows systems, versions and seconds; nothing of a record comes into this process. Every state is a sign and a word.
The page asks again every two seconds, without a script, and says so itself where authd does not answer.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from authd.locale import LANGUAGES, text
from authd.web.assets import STATIC, pair
from authd.web.door import SeatDoor, System
from authd.web.guard import content_policy
from authd.web.said import answered

STATES: Final = {
    "covered": ("●", "good"),
    "behind": ("▲", "retry"),
    "silent": ("✕", "alarm"),
    "not_linked": ("○", "neutral"),
}
"""Sign and tone; the word comes from the catalogue."""
MOST: Final = 64


class Board:
    """The page."""

    def __init__(self, door: SeatDoor, ancestors: Sequence[str] = ()) -> None:
        self._door = door
        self._ancestors = tuple(ancestors)
        self._page = Template((Path(STATIC) / "board.html").read_text(encoding="utf-8"))

    async def page(self, request: Request) -> Response:
        """Return the board as it is now."""
        asked = request.query_params.get("lang", "")
        language = asked if asked in LANGUAGES else LANGUAGES[0]
        try:
            page, status = self.filled(await answered(self._door.coverage()), language), 200
        except HTTPException:
            page, status = self.filled(None, language), 503
        headers = {"content-security-policy": content_policy([], self._ancestors)}
        if not self._ancestors:
            headers["x-frame-options"] = "DENY"
        return HTMLResponse(page, status_code=status, headers=headers)

    def filled(self, systems: Sequence[System] | None, language: str) -> str:
        """Return the page; None: authd does not answer, so nobody knows."""
        verdict, sign, tone = _verdict(systems)
        shown = sorted(systems or (), key=lambda each: (not each.linked, each.covered, each.name_ja))[:MOST]
        words = {name: _said(name) for name in ("title", "state", "system", "holds", "heard", "foot")}
        return self._page.substitute(
            words,
            lang=language,
            page_title=html.escape(text("board.title", language)),
            tone=tone,
            sign=sign,
            verdict=_said(verdict),
            rows="\n".join(_row(each) for each in shown),
        )


def _verdict(systems: Sequence[System] | None) -> tuple[str, str, str]:
    """What the house has to know at a glance: a sentence, a sign and a tone."""
    if systems is None:
        return "away", "?", "alarm"
    linked = [each for each in systems if each.linked]
    if not linked:
        return "none", "○", "neutral"
    if all(each.covered for each in linked):
        return "all", "●", "good"
    return ("silence", "✕", "alarm") if any(each.silent for each in linked) else ("lag", "▲", "retry")


def _row(each: System) -> str:
    sign, tone = STATES[each.state]
    word = pair(text(f"flags.{each.state}", "ja"), text(f"flags.{each.state}", "en"))
    holds, heard = "", ""
    if each.linked:
        holds = f"{each.version} / {each.wanted}"
        heard = _ago(each.silent_s)
    cells = f'<td class="state"><span class="sign" aria-hidden="true">{sign}</span> {word}</td>'
    cells += f"<td>{pair(each.name_ja, each.name_en)}</td><td>{holds}</td><td>{heard}</td>"
    return f'<tr data-state="{each.state}" data-tone="{tone}">{cells}</tr>'


def _ago(seconds: int | None) -> str:
    if seconds is None:
        return pair(text("flags.never", "ja"), text("flags.never", "en"))
    return pair(text("flags.ago", "ja", seconds=seconds), text("flags.ago", "en", seconds=seconds))


def _said(key: str) -> str:
    return pair(text(f"board.{key}", "ja"), text(f"board.{key}", "en"))
