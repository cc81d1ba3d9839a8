"""`pdp.reload`: a good bundle replaces the old one at once, a bad one leaves it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authd.service.pdp import BundleError, Loaded, Pdp, Refused, Source, load, read, watch
from authd.service.pdp.reload import reload
from tests.service.pdp_help import LOGIN, NOON, case, hall, shipped, site

CLOSED = '@id("site.closed")\nforbid (principal, action, resource);'


def point(source: Source) -> Pdp:
    return Pdp(read(source), lambda: NOON, hall())


def test_a_good_bundle_decides_at_once(tmp_path: Path) -> None:
    source = site(tmp_path)
    pdp = point(source)
    assert pdp.decide(LOGIN).permitted
    found = reload(pdp, site(tmp_path, CLOSED))
    assert isinstance(found, Loaded)
    assert pdp.decide(LOGIN).rules == ("site.closed",)
    assert pdp.decide(LOGIN).bundle == found.bundle.hash == pdp.bundle.hash


def test_the_same_bundle_is_nothing_new(tmp_path: Path) -> None:
    assert reload(point(site(tmp_path)), Source(tmp_path)) is None


@pytest.mark.parametrize(
    ("bad", "file", "line"),
    [
        ({"rules": "permit (principal"}, "site/own.cedar", 1),
        ({"settings": "[seat.counter]\nidle_s = 900"}, "settings.toml", 2),
        ({"cases": [case("wrong", "deny", [])]}, "tests/own.json", 3),
    ],
)
def test_a_bad_bundle_leaves_the_old_one(tmp_path: Path, bad: dict[str, Any], file: str, line: int) -> None:
    pdp = point(site(tmp_path))
    before = pdp.bundle
    found = reload(pdp, site(tmp_path, **bad))
    assert isinstance(found, Refused)
    assert (found.error.file, found.error.line) == (file, line)
    assert pdp.bundle is before is found.bundle
    assert pdp.decide(LOGIN).permitted


def test_what_nobody_thought_of_leaves_the_old_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(source: Source) -> None:
        raise RecursionError

    pdp = point(site(tmp_path))
    monkeypatch.setattr("authd.service.pdp.reload.load", explode)
    found = reload(pdp, Source(tmp_path))
    assert isinstance(found, Refused)
    assert "RecursionError" in str(found.error)


def test_load_raises_for_a_failing_case(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r'tests/own\.json:3: case "wrong": expected deny, got allow'):
        load(site(tmp_path, cases=[case("wrong", "deny", [])]))


class Script:
    """A `sleep` that does one thing after each poll, and ends the watch after the last."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.steps = list(steps)
        self.told: list[Loaded | Refused] = []

    async def sleep(self, seconds: float) -> None:
        assert seconds == 1.0
        if not self.steps:
            raise asyncio.CancelledError
        self.steps.pop(0)()

    async def run(self, pdp: Pdp, source: Source) -> list[Loaded | Refused]:
        with pytest.raises(asyncio.CancelledError):
            await watch(pdp, source, self.sleep, self.told.append)
        return self.told


def rest() -> None:
    """Nothing changes."""


async def test_nothing_is_told_while_nothing_changes(tmp_path: Path) -> None:
    source = site(tmp_path)
    assert await Script(rest, rest, rest).run(point(source), source) == []


async def test_a_change_is_taken_once_it_rests(tmp_path: Path) -> None:
    source = site(tmp_path)
    pdp = point(source)
    (told,) = await Script(rest, lambda: site(tmp_path, CLOSED), rest, rest, rest).run(pdp, source)
    assert isinstance(told, Loaded)
    assert not pdp.decide(LOGIN).permitted


async def test_a_change_before_the_watch_began_is_seen(tmp_path: Path) -> None:
    source = site(tmp_path)
    pdp = point(source)
    site(tmp_path, CLOSED)
    assert len(await Script(rest, rest).run(pdp, source)) == 1


async def test_bad_then_good_is_told_twice_and_never_decides_badly(tmp_path: Path) -> None:
    source = site(tmp_path)
    pdp = point(source)
    steps = (rest, lambda: site(tmp_path, "forbid ("), rest, lambda: site(tmp_path, CLOSED), rest)
    told = await Script(*steps).run(pdp, source)
    assert [type(each) for each in told] == [Refused, Loaded]


async def test_a_file_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    source = site(tmp_path)
    pdp = point(source)
    steps = (rest, rest, lambda: site(tmp_path, "forbid ("), lambda: site(tmp_path, CLOSED), rest, rest)
    (told,) = await Script(*steps).run(pdp, source)
    assert isinstance(told, Loaded)


async def test_a_folder_that_disappears_leaves_the_old_bundle(tmp_path: Path) -> None:
    source = site(tmp_path / "city")
    pdp = point(source)

    def remove() -> None:
        (tmp_path / "city").rename(tmp_path / "gone")

    (told,) = await Script(rest, remove, rest, rest).run(pdp, source)
    assert isinstance(told, Refused)
    assert pdp.decide(LOGIN).permitted
    assert shipped().rules
