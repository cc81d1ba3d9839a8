"""Every page: what it shows can be read, its commands exist, its links lead somewhere, and the index knows it."""

from __future__ import annotations

import argparse
import ast
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from authd.cli import SIMULATED, VERBS, parser
from tests.tools.howto import HOW_TO, ROOT, Block, Changed, lines, read, shell

DOCS = ROOT / "docs"
PAGES = sorted([*HOW_TO.glob("*.md"), *(DOCS / "tutorial").glob("*.md")])
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_OPTION = re.compile(r"--[a-z][a-z-]*")
_OTHERS = {"vein"}
"""Verbs of drivers."""


def _named(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", PAGES, ids=_named)
def test_what_a_page_shows_can_be_read(path: Path) -> None:
    for block in read(path).blocks:
        match block.language:
            case "toml":
                tomllib.loads(block.text)
            case "json":
                json.loads(block.text)
            case "python":
                ast.parse(block.text)
            case "sh" | "bash":
                subprocess.run(["bash", "-n", "-c", block.text], check=True)
            case _:
                pass


@pytest.mark.parametrize("path", PAGES, ids=_named)
def test_the_commands_of_a_page_exist(path: Path) -> None:
    for block in read(path).blocks:
        if block.language in ("sh", "bash"):
            for line in lines(block.text):
                _exists(line)


def _exists(line: str) -> None:
    for part in re.split(r"[|;&]+", line):
        words = shlex.split(part, comments=True)
        words = words[1:] if words[:1] == ["sudo"] else words
        if not words or Path(words[0]).name != "authd":
            continue
        verb = words[1]
        assert verb in VERBS or verb in SIMULATED or verb in _OTHERS, part
        if verb in VERBS:
            known = _options(parser(verb))
            asked = {word.split("=")[0] for word in words[2:] if _OPTION.match(word)}
            assert asked <= known, f"{part}: {asked - known}"


def _options(parser: argparse.ArgumentParser) -> set[str]:
    """Every option of a parser and of those below it."""
    options = set[str]()
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage] (argparse lists them nowhere else)
        options |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
            below: argparse._SubParsersAction[argparse.ArgumentParser] = action  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]
            options = options.union(*(_options(each) for each in below.choices.values()))
    return options


@pytest.mark.parametrize("path", sorted([*DOCS.rglob("*.md"), ROOT / "README.md"]), ids=_named)
def test_links_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), target


def test_the_index_knows_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    missing = [path.name for path in HOW_TO.glob("*.md") if f"how-to/{path.name}" not in index]
    assert not missing, "add a line to docs/README.md"


def test_a_block_has_a_language_a_name_and_its_text(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("x\n```toml a/b.toml\nport = 1\n```\n```sh\necho 1 \\\n  2\n# no\n```\n", encoding="utf-8")
    page = read(path)
    assert page.blocks == (Block("toml", "a/b.toml", "port = 1\n"), Block("sh", "", "echo 1 \\\n  2\n# no\n"))
    assert page.write(tmp_path, {"= 1": "= 2"}) == [tmp_path / "b.toml"]
    assert (tmp_path / "b.toml").read_text() == "port = 2\n"
    assert lines(page.commands()[0]) == ["echo 1    2"]
    assert shell(page.commands()[0], tmp_path, {"2": "3"}).stdout == "1 3\n"
    with pytest.raises(Changed):
        page.write(tmp_path, {"8785": "1"})
    with pytest.raises(Changed):
        page.file("c.toml")
    with pytest.raises(subprocess.CalledProcessError):
        shell("false; true", tmp_path)


def test_every_page_of_wiring_is_read_by_a_test_of_its_own() -> None:
    """The index says that each is tested as written."""
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    section = index.partition("### Wire what is there")[2].partition("\n## ")[0]
    pages = re.findall(r"how-to/([a-z-]+)\.md", section)
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    assert len(pages) >= 3
    assert [page for page in pages if f'"{page}"' not in sources and f"{page}.md" not in sources] == []


def test_no_page_gives_the_doors_secret_away(tmp_path: Path) -> None:
    """`router.key` holds both halves of the door's key; whoever has the second one can pass for authd."""
    pair = tmp_path / "keys" / "curve" / "router.key"
    pair.parent.mkdir(parents=True)
    pair.write_text("public\nsecret\n", "ascii")
    told = [line for page in PAGES for line in _shell_lines(page) if "keys/curve/router.key" in line]
    assert told
    for line in told:
        there = tmp_path / shlex.split(line)[-1].lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        placed = line.replace("/var/lib/authd-seat", str(tmp_path)).replace("/etc/", f"{tmp_path}/etc/")
        subprocess.run(["bash", "-euc", placed], check=True)
        assert there.read_text("ascii") == "public\n"
        assert there.stat().st_mode & 0o777 == 0o444


def _shell_lines(page: Path) -> list[str]:
    return [line for block in read(page).blocks if block.language in ("sh", "bash") for line in lines(block.text)]
