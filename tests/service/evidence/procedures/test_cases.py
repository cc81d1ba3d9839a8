"""Cases of procedures: a way through and how it ends, with file and line where it is not so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from authd.service.evidence.procedures.cases import run
from authd.service.evidence.procedures.pack import read
from authd.service.pdp import BundleError, Source, installed

CASE = '[case.one]\nprocedure = "counter"\nanswers = {answers}\nresult = "{result}"\n'


def outcome(folder: Path, answers: str, result: str = "passed", procedure: str = "counter") -> str:
    (folder / "tests" / "procedures").mkdir(parents=True, exist_ok=True)
    text = CASE.format(answers=answers, result=result).replace("counter", procedure)
    (folder / "tests" / "procedures" / "mine.toml").write_text(text, encoding="utf-8")
    source = Source(folder)
    (found,) = run(source, read(source))
    assert (found.case.file, found.case.line) == ("tests/procedures/mine.toml", 1)
    return found.wrong


def test_those_that_came_with_authd_hold_and_go_through_each_procedure() -> None:
    source = Source(installed())
    found = run(source, read(source))
    assert [each.wrong for each in found if each.wrong] == []
    ways = {(each.case.procedure, each.case.result) for each in found}
    assert ways >= {(kind, result) for kind in ("phone", "counter", "letter") for result in ("passed", "refused")}


def test_a_way_through_is_followed_to_its_end(tmp_path: Path) -> None:
    assert outcome(tmp_path, '["complete", "photo", "self", "present", "read"]') == ""
    assert outcome(tmp_path, '["complete"]', "open") == ""
    assert outcome(tmp_path, '["incomplete"]', "refused") == ""


def test_what_is_otherwise_is_said(tmp_path: Path) -> None:
    assert outcome(tmp_path, '["complete"]') == "expected passed, got open"
    assert outcome(tmp_path, '["yes"]') == "expected passed, got no answer yes to step 1, form"
    assert outcome(tmp_path, '["incomplete", "photo"]', "refused") == "expected refused, got refused at step 1, form"
    long = '["complete", "photo", "self", "present", "read", "read"]'
    assert outcome(tmp_path, long) == "expected passed, got passed at step 5"
    assert outcome(tmp_path, "[]", procedure="fax") == "there is no procedure fax"


@pytest.mark.parametrize(("line", "said"), [("result = 1", "must be a string"), ("result = 'yes'", "must be one of")])
def test_a_case_that_cannot_be_read_has_its_line(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "tests" / "procedures").mkdir(parents=True)
    (tmp_path / "tests" / "procedures" / "mine.toml").write_text(f'[case.one]\nprocedure = "phone"\n{line}\n')
    source = Source(tmp_path)
    with pytest.raises(BundleError, match=rf"tests/procedures/mine.toml:3: .*{said}"):
        run(source, read(source))


def test_a_city_that_has_only_overlays_is_tested_by_its_own_cases(tmp_path: Path) -> None:
    shutil.copytree(installed() / "procedures" / "section", tmp_path / "procedures" / "section")
    assert run(Source(tmp_path), read(Source(tmp_path))) == []
