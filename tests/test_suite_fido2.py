"""The tool that runs the outside suite counts honestly, and imports nothing of the sdist but its tests."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.bench.report import Report
from tests.tools.suite_fido2 import Outcome, Run, outcome, tell, unpack

REPORT = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'


def test_what_failed_or_was_skipped_is_not_passed(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT.format(60, 1, 2, 5))
    assert outcome(report, "") == Outcome(passed=52, failed=3, skipped=5, said="")


def test_a_suite_that_ends_without_a_report_failed(tmp_path: Path) -> None:
    assert outcome(tmp_path / "report.xml", "").failed == 1


@pytest.mark.parametrize(("result", "ok"), [(Outcome(53, 0, 0, ""), True), (Outcome(52, 0, 0, ""), False)])
def test_too_few_miss_the_bar(result: Outcome, ok: bool) -> None:
    figures = Report()
    tell(figures, Run("pty", "bio"), result)
    assert figures.all_ok is ok


def test_only_the_tests_are_unpacked(tmp_path: Path) -> None:
    sdist = tmp_path / "fido2.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        for name in ("fido2-2.2.1/fido2/__init__.py", "fido2-2.2.1/tests/device/test_x.py"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    folder = unpack(sdist, tmp_path)
    assert [path.name for path in folder.iterdir()] == ["tests"]
