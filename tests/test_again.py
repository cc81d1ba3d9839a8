"""A file that failed beside all the others is run once more, alone; nothing else is excused, and nothing is hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import again

TEST = """
from pathlib import Path

def test_it():
    count = Path(__file__).with_suffix(".count")
    runs = int(count.read_text()) + 1 if count.exists() else 1
    count.write_text(str(runs))
    assert runs >= {good_at}
"""


def runs(folder: Path, name: str) -> int:
    return int((folder / f"test_{name}.count").read_text())


@pytest.mark.parametrize(
    ("good_at", "code", "tries"),
    [
        pytest.param([1, 1, 1], 0, [1, 1, 1], id="all well"),
        pytest.param([2, 1, 2], 0, [2, 1, 2], id="two failed beside the others"),
        pytest.param([3, 1, 1], 1, [2, 1, 1], id="one failed alone too"),
        pytest.param([2, 2, 2], 1, [1, 1, 1], id="three failed"),
    ],
)
def test_what_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good_at: list[int], code: int, tries: list[int]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, good in zip("abc", good_at, strict=True):
        (tmp_path / f"test_{name}.py").write_text(TEST.format(good_at=good))
    assert again.main(["--", "-q", "."]) == code
    assert [runs(tmp_path, name) for name in "abc"] == tries
    excused = [f"test_{name}.py" for name, good in zip("abc", good_at, strict=True) if good > 1]
    assert again.told().endswith(", ".join(excused) if code == 0 and excused else "no test had to be run again")


def test_what_is_no_failing_test_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_a.py").write_text("import nothing_of_this_name")
    assert again.main(["--", "-q", "."]) != 0
    assert again.told() == "no test had to be run again"


def test_the_second_run_has_the_same_choice_and_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e2e").mkdir()
    beside = ["-m", "real", "-n", "auto", "--ignore=tests/e2e", "e2e"]
    assert again.alone(beside, ["e2e/test_a.py"]) == [*beside[:-1], "-n", "0", "e2e/test_a.py"]
