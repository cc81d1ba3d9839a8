"""The leak trace: a generated leak like Sakai's, looked for by `authd trace` as people run it.

CI: 68,000 people and 1,400 files; `--full`: 680,000 and 14,000. The bars are the same ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from authd.service.evidence.carryout.export import baseline, export
from authd.service.evidence.carryout.table import look
from authd.service.evidence.trace import About
from authd.service.keys import Keys
from tests.bench.report import Report

SIZES: Final = {False: (68_000, 1_400), True: (680_000, 14_000)}
BOUND_S: Final = 60.0
BOUND_MB: Final = 500
_DEADLINE_S: Final = 900.0
_LOOK_S: Final = 0.02
_REGISTER: Final = "register"
_NUMBER: Final = "宛名番号"


def run(report: Report, *, full: bool) -> None:
    """Make the leak, register what left, trace, compare with what is known."""
    people, files = SIZES[full]
    tail = "" if full else ".ci"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _generate(root, people, files)
        made = json.loads((root / "leak/leak.json").read_text("utf-8"))
        begun = time.perf_counter()
        _register(root, made["sets"])
        report.figure(f"trace_register_s{tail}", round(time.perf_counter() - begun, 1), "s")
        seconds, processor, peak_mb, answer = _trace(root)
    report.figure(f"trace_processor_s{tail}", round(processor, 1), "s")
    report.at_most(f"trace_s{tail}", round(seconds, 1), "s", BOUND_S)
    report.at_most(f"trace_memory{tail}", peak_mb, "MB", BOUND_MB)
    _judge(report, made, answer, tail)


def _generate(root: Path, people: int, files: int) -> None:
    command = [sys.executable, "-m", "authd_simulators.leak", str(root / "leak")]
    command += ["--people", str(people), "--files", str(files)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=_DEADLINE_S)


def _register(root: Path, names: list[str]) -> None:
    """The register is a baseline; the others leave as exports, with canary rows that the leaked copies do not have."""
    state = root / "state"
    Keys(state).create()
    (state / "ledger").mkdir()
    key = Keys(state).record_key()
    for name in names:
        table = look(root / "leak/sets" / f"{name}.csv")
        if name == _REGISTER:
            baseline(key, table, state, About(id=name, kind="baseline", title=name), _NUMBER)
        else:
            about = About(id=name, kind="export", title=name)
            export(key, table, root / f"{name}.out", state, about, _NUMBER, lambda _: None)


def _trace(root: Path) -> tuple[float, float, int, list[dict[str, Any]]]:
    """Return seconds, seconds of all processors, MB (the command and its workers at their largest), the answer."""
    command = [sys.executable, "-m", "authd", "trace", str(root / "leak/server"), "--json"]
    command += ["--ledger", str(root / "state/ledger")]
    out = root / "answer.json"
    begun = time.perf_counter()
    with out.open("wb") as file:
        process = subprocess.Popen(command, stdout=file)
        held_kb = 0
        while True:
            held_kb = max(held_kb, _held_kb(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(_LOOK_S)
    seconds = time.perf_counter() - begun
    assert os.waitstatus_to_exitcode(status) == 1, "something is found"
    answer = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    processor = usage.ru_utime + usage.ru_stime
    return seconds, processor, (held_kb >> 10) + answer[0]["summary"]["workers_peak_mb"], answer


def _held_kb(pid: int) -> int:
    """Return the most that a process has held so far. `ru_maxrss` begins with what this one held when it forked."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _judge(report: Report, made: Mapping[str, Any], answer: list[dict[str, Any]], tail: str) -> None:
    leaked = {each["path"]: each for each in made["leaked"]}
    found = {line["found"]["path"]: line["found"] for line in answer if "found" in line}
    told = {path: each["origins"][0]["data_set"] for path, each in found.items()}
    named = [path for path, each in leaked.items() if told.get(path) == each["data_set"]]
    report.at_least(f"trace_found{tail}", len(leaked.keys() & found.keys()), "files", len(leaked))
    report.at_least(f"trace_named{tail}", len(named), "files", len(leaked))
    report.at_most(f"trace_false{tail}", len(found.keys() - leaked.keys()), "files", 0)
    rows = sum(found[path]["rows"] for path in named) / sum(each["rows"] for each in made["leaked"])
    report.at_least(f"trace_rows{tail}", round(rows, 4), "share", 0.99)
