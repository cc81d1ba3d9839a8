"""Keeps the corpus small: an input stays if it reaches a step from line to line that no smaller one reached."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any

from tests.fuzz.target import Target, judge

Steps = set[tuple[str, int, int]]
MOST_FILES = 22
"""Of one target; all of the corpus together stays below 200 files and 300 kB (test_corpus.py)."""
MOST_BYTES = 30_000


def reached(target: Target, module: Any, data: bytes) -> Steps:
    """Return the steps from line to line that one input takes in the target's parsers."""
    steps: Steps = set()
    before: dict[int, int] = {}

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        del argument
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(target.instrumented):
            return None
        if event == "line":
            steps.add((frame.f_code.co_filename, before.get(id(frame), 0), frame.f_lineno))
            before[id(frame)] = frame.f_lineno
        elif event == "call":
            before[id(frame)] = 0
        return trace

    sys.settrace(trace)
    try:
        judge(module, data)
    finally:
        sys.settrace(None)
    return steps


def smallest(target: Target, inputs: Iterable[bytes]) -> list[bytes]:
    """Return the inputs to keep, the smallest that reach anything new, after what the seeds reach already."""
    module = target.module()
    known: Steps = set()
    for seed in module.seeds():
        known |= reached(target, module, seed)
    kept: list[bytes] = []
    room = MOST_BYTES
    for data in sorted(set(inputs), key=lambda each: (len(each), each)):
        new = reached(target, module, data) - known
        if new and len(data) <= room and len(kept) < MOST_FILES:
            kept.append(data)
            known |= new
            room -= len(data)
    return kept


def keep(target: Target) -> int:
    """Let the finds of the last runs join the corpus; returns how many inputs it has now."""
    folders = (target.corpus, target.finds / "found")
    kept = smallest(target, [path.read_bytes() for folder in folders for path in sorted(folder.glob("*"))])
    target.corpus.mkdir(parents=True, exist_ok=True)
    for path in target.corpus.glob("*"):
        path.unlink()
    for data in kept:
        (target.corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return len(kept)
