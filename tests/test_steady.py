"""A figure may be measured again; something that went wrong may not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.tools import steady


def line(name: str, unit: str, ok: bool | None) -> str:
    return json.dumps({"name": name, "value": 1, "unit": unit, "bar": "", "ok": ok})


def test_only_what_is_measured_is_excused() -> None:
    lines = [line("a_ms", "ms", False), line("wrong_person", "", False), line("fine", "ms", True), line("b", "x", None)]
    assert steady.misses(lines) == (["a_ms"], ["wrong_person"])
    assert steady.misses([line("unattributed_active_s", "s", False)]) == ([], ["unattributed_active_s"])


@pytest.mark.parametrize(("unit", "good_at", "code", "tries"), [("ms", 2, 0, 2), ("ms", 9, 1, 3), ("", 2, 1, 1)])
def test_it_tries_again_and_not_for_ever(tmp_path: Path, unit: str, good_at: int, code: int, tries: int) -> None:
    counter, script = tmp_path / "count", tmp_path / "bench.py"
    script.write_text(
        "import json, pathlib, sys\n"
        f"path = pathlib.Path({str(counter)!r})\n"
        "count = int(path.read_text()) + 1 if path.exists() else 1\n"
        "path.write_text(str(count))\n"
        f"ok = count >= {good_at}\n"
        f"print(json.dumps({{'name': 'n', 'value': 1, 'unit': {unit!r}, 'bar': '', 'ok': ok}}))\n"
        "sys.exit(not ok)\n"
    )
    assert steady.main(["--", sys.executable, str(script)]) == code
    assert counter.read_text() == str(tries)


def test_a_crash_is_no_figure(tmp_path: Path) -> None:
    script = tmp_path / "bench.py"
    script.write_text("raise SystemExit(3)")
    assert steady.main(["--", sys.executable, str(script)]) == 3
