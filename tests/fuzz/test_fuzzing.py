"""The fuzzer itself: it finds what is behind a few compared bytes, names it, goes on, and notices a crash."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import __main__ as command
from tests.fuzz import target as targets
from tests.fuzz import worker
from tests.fuzz.corpus import keep
from tests.fuzz.target import Target
from tests.fuzz.worker import Tally

PLANTED = types.ModuleType("tests.fuzz.targets.planted")


class Meant(Exception):
    pass


def one(data: bytes) -> None:
    if data[:1] == b"b":
        if data[1:2] == b"u":
            raise ZeroDivisionError("planted")
        raise Meant
    if data == b"slow":
        sum(number * number for number in range(200_000))


def seeds() -> Iterator[bytes]:
    yield b"good"


def declared(error: Exception) -> bool:
    return isinstance(error, Meant)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Target:
    for name, value in (("one", one), ("seeds", seeds), ("declared", declared)):
        monkeypatch.setattr(PLANTED, name, value, raising=False)
    monkeypatch.setitem(sys.modules, PLANTED.__name__, PLANTED)
    monkeypatch.setattr(targets, "FINDS", tmp_path / "finds")
    monkeypatch.setattr(targets, "CORPUS", tmp_path / "corpus")
    return Target("planted", (__name__,))


def test_an_error_that_is_not_declared_is_kept_with_its_input_and_the_run_goes_on(planted: Target) -> None:
    tally = Tally(planted, planted.module())
    for data in (b"good", b"bad", b"bug", b"bug 2"):
        tally.run(data)
    assert tally.runs == 4
    ((what, path),) = tally.errors.items()
    assert "ZeroDivisionError at test_fuzzing.py" in what
    assert Path(path).read_bytes() == b"bug"


def test_a_slow_input_is_kept(planted: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SLOW_MS", 0.0)
    tally = Tally(planted, planted.module())
    tally.run(b"slow")
    assert tally.slowest_ms > 0
    assert [path.read_bytes() for path in (planted.finds / "wrong").glob("slow-*")] == [b"slow"]


def test_the_corpus_keeps_what_reaches_new_code_and_is_smallest(planted: Target) -> None:
    found = planted.finds / "found"
    found.mkdir(parents=True)
    for number, data in enumerate((b"good", b"bx and more", b"bx", b"other", b"bu")):
        (found / str(number)).write_bytes(data)
    assert keep(planted) == 2
    assert sorted(path.read_bytes() for path in planted.corpus.glob("*")) == [b"bu", b"bx"]


@pytest.mark.real
def test_the_fuzzer_finds_the_way_into_a_frame() -> None:
    """Seconds of it read more kinds of frames than it was given."""
    outcome = command.run(targets.TARGETS["frames"], 3)
    assert outcome.result["errors"] == {}
    assert outcome.result["runs"] > 1_000
    assert list((targets.TARGETS["frames"].finds / "found").glob("*"))


@pytest.mark.real
def test_a_crash_is_not_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    assert command.run(targets.TARGETS["frames"], 1).result == {}
