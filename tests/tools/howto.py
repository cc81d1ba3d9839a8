"""The how-tos, as their tests read them: each is tested as written.

A page of docs/how-to shows files and commands in fenced blocks. The word behind the language is the file's name:

    ```toml gateway.toml          a file: `page.file("gateway.toml")`, or all of them by `.write(folder)`
    ```sh                         commands: `.commands()`, run by `shell(text, folder)`
    ```python test_cover.py       a program; its test runs that very file

    page = how_to("forward-auth")
    page.write(tmp_path, {"/etc/authd-seat": str(tmp_path), "127.0.0.1:8785": f"127.0.0.1:{port}"})
    done = shell(page.commands()[0], tmp_path, {"/etc/authd-seat": str(tmp_path)})

What a test puts in place of a page's paths and ports must stand in the page, or `Changed` is raised: so a page that was
reworded cannot pass by being skipped. A file that is shipped (packaging/) is shown whole: `same(page, name, path)`.
tests/docs/test_how_to.py checks of every page that its TOML, JSON and Python can be read, that its commands are verbs
and options which exist, and that its links lead somewhere.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"
_FENCE = re.compile(r"^```([a-z0-9]*)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIMEOUT_S = 60.0


class Changed(AssertionError):
    """A page does not show (any more) what its test looks for."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `name`: the file that it is, or empty."""

    language: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page, and what it shows."""

    path: Path
    blocks: tuple[Block, ...]

    def file(self, name: str) -> str:
        """Return the file of this name; there is exactly one."""
        found = [block.text for block in self.blocks if block.name == name]
        if len(found) != 1:
            raise Changed(f"{self.path.name} shows {name} {len(found)} times")
        return found[0]

    def commands(self) -> list[str]:
        """Return the text of every block of commands."""
        return [block.text for block in self.blocks if block.language in ("sh", "bash") and not block.name]

    def write(self, folder: Path, instead: Mapping[str, str] | None = None) -> list[Path]:
        """Write every named file into a folder, by the last part of its name; `instead`: text -> text, in all of them.

        Each text of `instead` must stand in at least one of the files.
        """
        named = [block for block in self.blocks if block.name]
        for text in instead or {}:
            if not any(text in block.text for block in named):
                raise Changed(f"{self.path.name} shows no file with {text!r}")
        paths = [folder / Path(block.name).name for block in named]
        for path, block in zip(paths, named, strict=True):
            path.write_text(_replaced(block.text, instead or {}), encoding="utf-8")
        return paths


def how_to(name: str) -> Page:
    """Read `docs/how-to/<name>.md`."""
    return read(HOW_TO / f"{name}.md")


def read(path: Path) -> Page:
    """Read any page."""
    found = _FENCE.findall(path.read_text(encoding="utf-8"))
    return Page(path, tuple(Block(*each) for each in found))


def shell(text: str, folder: Path, instead: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run commands as they are written, in a folder, with this environment's `authd` and `python`; stop at an error.

    `instead`: text -> text, each of which must stand there. Returns what was said; raises what `check=True` raises.
    """
    for part in instead or {}:
        if part not in text:
            raise Changed(f"no {part!r} in {text!r}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LANG": "C.UTF-8"}
    command = ["bash", "-euo", "pipefail", "-c", _replaced(text, instead or {})]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=TIMEOUT_S
    )


def same(page: Page, name: str, path: Path) -> None:
    """Hold a page to the file that is shipped: it shows the whole of it."""
    if page.file(name) != path.read_text(encoding="utf-8"):
        raise Changed(f"{page.path.name}: {name} is not {path.relative_to(ROOT)}")


def lines(text: str) -> Sequence[str]:
    """Return the commands of a block, one each: continued lines joined, comments and empty lines left out."""
    joined = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.strip().startswith("#")]


def _replaced(text: str, instead: Mapping[str, str]) -> str:
    for old, new in instead.items():
        text = text.replace(old, new)
    return text
