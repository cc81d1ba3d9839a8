"""Figures of benchmarks, demos and drills as JSON lines: one object a line, and exit 1 if any misses its bar."""

from __future__ import annotations

import json
import sys


class Report:
    """Prints each figure as it comes and remembers whether all were good."""

    def __init__(self) -> None:
        self.all_ok = True

    def figure(self, name: str, value: float | str | bool, unit: str, bar: str = "", ok: bool | None = None) -> None:
        """Print one figure. `bar` says in words what it must meet (`<= 60`); `ok` None: no bar, for information."""
        if isinstance(value, float):
            value = float(f"{value:.5g}")
        line = {"name": name, "value": value, "unit": unit, "bar": bar, "ok": ok}
        self.all_ok = self.all_ok and ok is not False
        print(json.dumps(line, ensure_ascii=False), flush=True)

    def at_most(self, name: str, value: float, unit: str, bar: float) -> None:
        """Print a figure that must not be above its bar."""
        self.figure(name, value, unit, f"<= {bar:g}", value <= bar)

    def at_least(self, name: str, value: float, unit: str, bar: float) -> None:
        """Print a figure that must not be below its bar."""
        self.figure(name, value, unit, f">= {bar:g}", value >= bar)

    def exit(self) -> None:
        """End the process: 0 if every figure met its bar."""
        sys.exit(0 if self.all_ok else 1)
