"""`authd flags`: two persons at a terminal, and who holds what."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authd.cli.flags import covered_line, line
from authd.client.flags import Covered, FlagListed
from authd.locale import text
from tests.cli.conftest import Authd
from tests.service.bus.fakes import ONE, TWO, World, world
from tests.service.evidence.flags.office import Office, office

WAITING = FlagListed(True, "req_1", "release", "rec_a", 0, "", "2026-17", "2026-11-22T00:00:00Z", "sub_a")
PROTECTED = FlagListed(False, "", "set", "rec_a", 41, "2026-11-21", "2026-17", "2025-11-22T00:00:00Z", "")


@pytest.fixture
def host(folder: Path) -> World:
    return world(folder, frozenset({os.geteuid()}))


@pytest.fixture
async def desk(host: World, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path) as made:
        parts: Any = SimpleNamespace(flags=made.flags, views=made.views, procedures=made.procedures)
        host.house.evidence = parts
        async with host.serving():
            yield made


async def test_two_people_protect_and_release_at_a_terminal(desk: Office, authd: Authd) -> None:
    words = ("flags", "set", "20481", "--seat", "counter-1", "--case", "2026-17", "--also", "tax=77")
    asked = await desk.touched(authd(*words), (ONE, "chief"))
    assert asked.code == 0
    request = asked.out.strip()
    assert f"authd flags approve {request} --seat" in asked.err
    listed = await authd("flags", "list")
    assert "waits for the second person" in listed.out
    assert "2026-17" in listed.out
    approve = ("flags", "approve", request, "--seat", "counter-2")
    done = await desk.touched(authd(*approve), (TWO, "second"))
    assert (done.code, done.out) == (0, f"set: version {desk.flags.version}\n")
    assert "20481" not in (await authd("flags", "list")).out
    assert (await authd(*approve)).code == 4
    asked = await desk.touched(authd("flags", "release", "20481", "--seat", "counter-1"), (ONE, "chief"))
    refused = await desk.touched(
        authd("flags", "approve", asked.out.strip(), "--seat", "counter-2", "--refuse"), (TWO, "second")
    )
    assert refused.code == 0
    assert desk.protected()
    asked_for = authd("flags", "list", "20481", "--seat", "counter-1", "--purpose", "renewal")
    one = await desk.touched(asked_for, (ONE, "chief"))
    assert one.out.startswith("protected (to be renewed by ")
    asked_for = authd("flags", "list", "5", "--seat", "counter-1", "--purpose", "renewal")
    other = await desk.touched(asked_for, (ONE, "chief"))
    assert other.out == "not protected\n"


async def test_coverage_is_bad_news_while_a_system_is_silent_or_behind(desk: Office, authd: Authd) -> None:
    said = await authd("flags", "coverage")
    assert said.code == 1
    assert [each.split("\t")[:2] for each in said.out.splitlines()] == [
        ["resident", "silent"],
        ["tax", "silent"],
        ["mail", "not linked"],
    ]
    for system in ("resident", "tax"):
        await desk.flags.held(system, 0)
    said = await authd("flags", "coverage", "--json")
    assert said.code == 0
    assert [json.loads(each)["covered"] for each in said.out.splitlines()] == [True, True, False]


@pytest.mark.parametrize(
    "words",
    [
        ("set", "20481", "--seat", "counter-1", "--also", "tax"),
        ("list", "20481"),
        ("list", "20481", "--seat", "counter-1"),
    ],
)
async def test_what_is_missing_is_said(authd: Authd, words: tuple[str, ...]) -> None:
    said = await authd("flags", *words)
    assert (said.code, said.out) == (2, "")


def test_what_is_overdue_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    assert line(PROTECTED, "2026-11-22").endswith(text("flags.late", "ja"))
    assert not line(PROTECTED, "2026-11-21").endswith(text("flags.late", "ja"))
    assert line(WAITING, "2026-11-22").startswith("req_1\t解除\t")
    behind = Covered("tax", "税務", "Tax", True, 40, 41, False, 1, False)
    assert covered_line(behind) == "tax\t遅れ\t版 40 / 41\t1 秒前"
