"""Runs `authd drill` as anybody would, and reads its figures and its story."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Drilled:
    """What a drill printed, by the name of each figure, and the page that it wrote."""

    code: int
    figures: dict[str, dict[str, Any]]
    said: str
    story: str

    @property
    def wrong(self) -> list[str]:
        return [name for name, figure in self.figures.items() if figure["ok"] is not True]


def drilled(name: str, folder: Path) -> Drilled:
    story = folder / f"{name}.html"
    command = [str(Path(sys.executable).with_name("authd")), "drill", name, "--story", str(story)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    figures = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    return Drilled(done.returncode, figures, done.stderr, story.read_text("utf-8") if story.exists() else "")


def answered(done: Drilled, questions: set[str]) -> Drilled:
    """See that every scene came out as it must, and that each of these questions is answered."""
    assert done.wrong == [], done.said
    assert done.code == 0
    asked = {figure for figure in done.figures if not figure.startswith("scene_")}
    assert asked == questions | {"ledger_verified", "answer_s"}
    assert "✓ 答えられた" in done.story
    assert done.story.count("class='mark'") == sum(isinstance(each["value"], bool) for each in done.figures.values())
    return done
