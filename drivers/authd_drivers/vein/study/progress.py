"""How far a long measurement is: a bar on a terminal, a line now and then elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from authd_drivers.vein.study.texts import text

_BAR = 30
_REDRAW = 0.1
_LINE = 30.0
"""Seconds between two lines where there is no terminal."""


class Bar:
    """Shows progress (pool.Progress). Call `close` at the end, whatever the end was."""

    def __init__(self, language: str, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._language, self._terminal = language, self._out.isatty()
        self._what = ""
        self._begun = self._shown = _now()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how much is done, not more often than people can read."""
        now = _now()
        if what != self._what:
            self.close()
            self._what, self._begun = what, now
        elif now - self._shown < (_REDRAW if self._terminal else _LINE) and done < total:
            return
        self._shown = now
        self._show(done, max(1, total), now - self._begun)

    def close(self) -> None:
        """End the line."""
        if self._what and self._terminal:
            print(file=self._out, flush=True)
        self._what = ""

    def _show(self, done: int, total: int, seconds: float) -> None:
        name = text(f"work.{self._what}", self._language)
        said = f"{name} {done:,}/{total:,}"
        if not self._terminal:
            print(said, file=self._out, flush=True)
            return
        full = _BAR * done // total
        rest = f"{seconds * (total - done) / done:,.0f} s" if 0 < done < total else ""
        print(f"\r\x1b[K{said} [{'#' * full}{' ' * (_BAR - full)}] {rest}", end="", file=self._out, flush=True)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
