"""What fuzzing once found stays found, on every Python and without a fuzzer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fuzz.corpus import reached
from tests.fuzz.target import CORPUS, ROOT, TARGETS, check

HERE = [name for name, target in TARGETS.items() if not target.apart]


@pytest.mark.parametrize("name", HERE)
def test_every_input_is_read_or_refused_with_the_declared_error(name: str) -> None:
    for error in check(TARGETS[name]):
        raise error


@pytest.mark.parametrize("name", TARGETS.keys() - HERE)
def test_every_input_is_refused_with_the_declared_error_in_a_process_of_its_own(name: str) -> None:
    command = [sys.executable, "-m", "tests.fuzz", name, "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True).stdout.strip() == ""


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_good_and_reach_the_parsers(name: str) -> None:
    target = TARGETS[name]
    module = target.module()
    for data in module.seeds():
        assert len(data) <= target.longest
        assert reached(target, module, data)


def test_the_corpus_is_small() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert len(files) < 200
    assert sum(path.stat().st_size for path in files) < 300_000
    assert {path.parent.name for path in files} <= set(TARGETS)
