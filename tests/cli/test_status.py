"""`authd status`, `authd people` and `authd stop`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from authd.service.bus.house import Error, Refused
from tests.cli.conftest import Authd
from tests.service.bus.fakes import ITO, SATO, World, world


@pytest.fixture
def host(folder: Path) -> World:
    return world(folder, frozenset({os.geteuid()}))


async def test_the_status_is_indented_lines(host: World, authd: Authd) -> None:
    async with host.serving():
        said = await authd("status")
    assert said.code == 0
    assert "seats:\n  counter-1:\n    state: locked\n  counter-2:\n    state: locked\n" in said.out
    assert "door:\n" in said.out


async def test_the_status_is_json_for_programs(host: World, authd: Authd) -> None:
    async with host.serving():
        said = await authd("status", "--json")
    assert json.loads(said.out)["seats"] == {seat: {"state": "locked"} for seat in ("counter-1", "counter-2")}
    assert said.out.count("\n") == 1


async def test_people_are_one_a_line_with_their_marks(host: World, authd: Authd) -> None:
    async with host.serving():
        said = await authd("people")
        known = await authd("people", "--json")
    assert said.out.splitlines() == [
        f"1001\t佐藤 花子\tサトウ ハナコ\tresident\t{SATO}\tofficer",
        f"1002\t伊藤 健\tイトウ ケン\ttax\t{ITO}",
    ]
    assert [json.loads(line)["staff_number"] for line in known.out.splitlines()] == ["1001", "1002"]


async def test_stop_ends_the_daemon(host: World, authd: Authd) -> None:
    async with host.serving():
        said = await authd("stop")
    assert (said.code, said.out, said.err) == (0, "", "")
    assert host.house.calls == [("stop",)]


@pytest.mark.parametrize("verb", ["status", "people", "stop"])
async def test_without_a_daemon_it_is_exit_3(verb: str, authd: Authd) -> None:
    said = await authd(verb)
    assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
    assert said.err.startswith("authd: no daemon there: ")


@pytest.mark.parametrize("verb", ["status", "people", "stop"])
async def test_another_account_is_refused(verb: str, folder: Path, authd: Authd) -> None:
    stranger = world(folder, frozenset())
    async with stranger.serving():
        said = await authd(verb)
    assert said.code in (3, 4), "the refusal, or only that the door hung up: the kernel may tell of that first"
    assert said.out == ""
    assert stranger.house.calls == []


async def test_a_refusal_is_exit_4(host: World, authd: Authd) -> None:
    async def stop() -> None:
        raise Refused(Error.REFUSED, "not now")

    host.house.stop = stop  # type: ignore[method-assign]
    async with host.serving():
        said = await authd("stop")
    assert (said.code, said.err) == (4, "authd: refused: not now\n")
