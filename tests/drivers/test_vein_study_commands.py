"""`authd vein evaluate` as people call it, on generated fingers."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from authd_drivers.vein.study import commands, texts
from authd_drivers.vein.study.commands import vein
from authd_drivers.vein.study.measure import ungated
from authd_drivers.vein.study.progress import Bar
from tests.drivers.veins import picture, sim

PATTERN = r"(?P<subject>\d)_(?P<finger>\w+)_(?P<sample>\d)\.png$"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    def json(self) -> dict[str, dict[str, Any]]:
        return {content["name"]: content for content in map(json.loads, self.out.splitlines())}


Authd = Callable[..., Said]


@pytest.fixture(scope="module")
def fingers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people with two fingers of four pictures, and what else lies about in folders."""
    folder = tmp_path_factory.mktemp("fingers")
    for person in range(1, 5):
        for finger in ("index", "middle"):
            for take in range(4):
                cv2.imwrite(str(folder / f"{person}_{finger}_{take}.png"), picture(f"study {person} {finger}", take))
    cv2.imwrite(str(folder / "1_index_8.png"), np.zeros((10, 20), np.uint8))
    (folder / "1_index_9.png").write_bytes(b"no picture")
    (folder / "2_index_9.png").write_bytes((folder / "2_index_0.png").read_bytes())
    (folder / "overview.png").touch()
    (folder / "notes.txt").touch()
    return folder


@pytest.fixture
def authd(capsys: pytest.CaptureFixture[str]) -> Authd:
    def call(*words: str | Path) -> Said:
        whole = argparse.ArgumentParser(prog="authd")
        vein(whole.add_subparsers(required=True))
        try:
            args = whole.parse_args(["vein", "evaluate", *map(str, words)])
            code = args.run(args)
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return Said(int(code or 0), said.out, said.err)

    return call


def usual(folder: Path, *more: str | Path) -> list[str | Path]:
    return [folder, "--pattern", PATTERN, "--profile", "sim", "--jobs", "1", "--lang", "en", *more]


def test_the_figures_are_those_of_the_folder(fingers: Path, authd: Authd) -> None:
    found = authd(*usual(fingers, "--json", "--no-gate", "--roster", "4,100")).json()
    head = found["evaluation"]
    assert (head["pictures"], head["fingers"], head["people"], head["passed_over"]) == (35, 8, 4, 1)
    assert (head["profile"], head["threshold"]) == ("sim", sim().decision.threshold)
    assert head["same_picture"] == [["2_index_0.png", "2_index_9.png"]]
    assert (found["fta_percent.all"]["errors"], found["fta_percent.all"]["trials"]) == (2, 35)
    pairs = 8 * 6 + 3  # the one picture under two names is not compared with itself, but with three others
    assert found["genuine.single"]["value"] == pairs
    assert found["impostor.single"]["value"] == 33 * 32 // 2 - pairs - 1
    assert (found["genuine.enrol3"]["value"], found["impostor.enrol3"]["value"]) == (9, 9 * 7)
    assert found["fnir_percent.roster4"]["trials"] == 9
    assert found["fnir_percent.roster100"]["value"] is None
    assert found["eer_percent.enrol3"]["value"] < 5
    assert found["fault"]["path"] == "1_index_9.png"
    assert not any("_gate" in name for name in found)


def test_what_the_comparisons_cannot_show_is_said_and_not_printed(fingers: Path, authd: Authd) -> None:
    found = authd(*usual(fingers, "--json")).json()
    assert found["fnmr_percent_1e-2.single"]["value"] is not None
    assert found["fnmr_percent_1e-4.single"]["value"] is None
    assert "bound no rate below 6.3e-3" in found["fnmr_percent_1e-4.single"]["why"]
    assert "cannot be said: 476 impostor comparisons" in authd(*usual(fingers)).out


def test_the_table_says_profile_thresholds_and_bounds(fingers: Path, authd: Authd) -> None:
    said = authd(*usual(fingers))
    assert (said.code, said.err.splitlines()[-1]) == (0, "comparisons 1,225/1,225")
    assert f"threshold {sim().decision.threshold}, margin {sim().decision.margin}" in said.out
    assert "nothing is fitted in this run" in said.out
    assert re.search(r"equal error rate \(EER\) +\d+\.\d\d % +<= \d+\.\d\d % ", said.out)
    assert "1 more pictures were passed over: the pattern does not fit them (the first: overview.png)" in said.out
    assert "1_index_8.png: another size: 20x10" in said.out
    assert "authd vein profile" in said.out
    assert "impostors: every two different fingers, also of one person" in said.out


def test_japanese_says_the_same_figures(fingers: Path, authd: Authd) -> None:
    english, japanese = authd(*usual(fingers)).out, authd(*usual(fingers, "--lang", "ja")).out
    assert "等価誤り率" in japanese
    assert re.findall(r"\d+\.\d\d %", english) == re.findall(r"\d+\.\d\d %", japanese)


def test_people_only_and_fingers_that_are_one_are_left_out(fingers: Path, authd: Authd) -> None:
    options = ("--json", "--no-gate", "--limit", "3")
    every = authd(*usual(fingers, *options)).json()["impostor.single"]["value"]
    people = authd(*usual(fingers, *options, "--impostors", "people")).json()
    one = authd(*usual(fingers, *options, "--exclude", "3/index=3/middle")).json()
    assert people["evaluation"]["impostors"] == "people"
    assert every - people["impostor.single"]["value"] == 4 * 4 + 5 * 4 + 4 * 4
    assert every - one["impostor.single"]["value"] == 4 * 4
    assert one["evaluation"]["excluded"] == [["3/index", "3/middle"]]


def test_sessions_are_measured_across_as_well(fingers: Path, authd: Authd) -> None:
    every_take_a_session = r"(?P<subject>\d)_(?P<finger>\w+)_(?P<session>[0-3])(?P<sample>\.png)$"
    found = authd(*usual(fingers, "--json", "--no-gate", "--pattern", every_take_a_session, "--enrol", "1")).json()
    pairs = 8 * 6
    assert found["genuine.single"]["value"] == found["genuine.single_sessions"]["value"] == pairs
    assert found["genuine.enrol1_sessions"]["value"] == 8 * 3
    assert "eer_percent.single_sessions" in found


def without(missing: str) -> Callable[[str], object]:
    return lambda name: None if name == missing else object()


def test_what_is_excluded_may_be_left_out_anyway(fingers: Path, authd: Authd) -> None:
    found = authd(*usual(fingers, "--json", "--no-gate", "--leave", "1/2", "--exclude", "1/index=1/middle")).json()
    head = found["evaluation"]
    assert (head["fingers"], head["left_out"], head["excluded"]) == (4, "1/2", [])
    assert "without 1 of every 2 people" in authd(*usual(fingers, "--leave", "1/2")).out


def test_a_camera_that_the_profile_is_not_for_is_one_line(tmp_path: Path, authd: Authd) -> None:
    for take in range(3):
        cv2.imwrite(str(tmp_path / f"1_i_{take}.png"), np.full((480, 640), 90, np.uint8))
    said = authd(*usual(tmp_path))
    assert (said.code, said.out) == (2, "")
    (line,) = (line for line in said.err.splitlines() if line.startswith("authd: "))
    assert "640x480" in line
    assert "authd vein profile" in line


def test_too_many_pictures_to_compare_are_refused_before_any_work(
    fingers: Path, authd: Authd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authd_drivers.vein.study.evaluate.MAX_TEMPLATES", 34)
    said = authd(*usual(fingers))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("authd: 35 pictures are too many to be compared with each other (at most 34)")


def test_a_folder_of_what_is_no_picture_is_one_line(tmp_path: Path, authd: Authd) -> None:
    (tmp_path / "1_i_1.png").write_bytes(b"no picture")
    said = authd(*usual(tmp_path))
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines()[-1] == "authd: none of 1 pictures gave a template (format)"


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--pattern", r"(?P<subject>\d)_(?P<sample>\d)"], r"\?P<subject>\\d\+"),
        (["--pattern", r"(?P<subject>\d"], r"\?P<subject>\\d\+"),
        (["--pattern", r"(?P<subject>x)(?P<finger>y)(?P<sample>z)"], "1_index_0.png"),
        (["--pattern", r"(?P<subject>\d)_(?P<finger>index|middle)_(?P<sample>)\d?"], "1_index_0.png"),
        (["--pattern", r"(?P<subject>\d)_(?P<finger>index|middle)(?P<sample>_)"], "1_index_1.png"),
        (["--profile", "nonsense"], "nonsense"),
        (["--profile", "missing.toml"], "missing.toml"),
        (["--exclude", "missing.txt"], "missing.txt"),
        (["--exclude", "1/index=9/index"], "9/index"),
        (["--out", "/proc/nowhere"], "/proc/nowhere"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    fingers: Path, authd: Authd, change: list[str], said: str, language: str
) -> None:
    answer = authd(*usual(fingers, "--lang", language, *change))
    assert (answer.code, answer.out) == (2, "")
    (line,) = (line for line in answer.err.splitlines() if line.startswith("authd: "))
    assert re.search(said, line)


@pytest.mark.parametrize(
    "words", [["--enrol", "0"], ["--roster", "20,x"], ["--jobs", "-1"], ["--gate", "--no-gate"], ["--limit", "1e3"]]
)
def test_numbers_have_limits(fingers: Path, authd: Authd, words: list[str]) -> None:
    assert authd(*usual(fingers, *words)).code == 2


def test_without_matplotlib_the_figures_still_come(
    fingers: Path, tmp_path: Path, authd: Authd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "find_spec", without("matplotlib"))
    said = authd(*usual(fingers, "--limit", "2", "--out", tmp_path))
    assert said.code == 0
    assert "equal error rate" in said.out
    assert "pip install 'authd-seat[plots]'" in said.err


def test_without_opencv_it_says_what_to_install(fingers: Path, authd: Authd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "find_spec", without("cv2"))
    said = authd(*usual(fingers))
    assert (said.code, said.err) == (2, "authd: this needs cv2, which is not installed: pip install authd-seat\n")


def test_the_curve_and_the_histograms_are_drawn(fingers: Path, tmp_path: Path, authd: Authd) -> None:
    out = tmp_path / "new" / "pictures"
    said = authd(*usual(fingers, "--limit", "3", "--out", out))
    assert said.code == 0
    assert sorted(each.name for each in out.iterdir()) == ["det.png", "det.svg", "scores.png", "scores.svg"]
    seen = cv2.imread(str(out / "det.png"))
    assert seen is not None
    assert seen.shape[1] > 900
    assert (out / "det.svg").read_text(encoding="utf-8").count("<path") > 10


def test_every_sentence_is_there_in_both_languages() -> None:
    folder = Path(texts.__file__).parent / "texts"
    said = {language: (folder / f"{language}.toml").read_text(encoding="utf-8") for language in texts.LANGUAGES}
    keys = {language: re.findall(r"^(\[\w+\]|\w+(?= = ))", text, re.MULTILINE) for language, text in said.items()}
    assert keys["ja"] == keys["en"]
    holes = {language: re.findall(r"\{\w+\}", text.partition("\n")[2]) for language, text in said.items()}
    assert sorted(holes["ja"]) == sorted(holes["en"])


def test_progress_is_a_bar_on_a_terminal_and_rare_lines_elsewhere(mocker: Any) -> None:
    clock = mocker.patch("authd_drivers.vein.study.progress._now", side_effect=[float(n) for n in range(100)])
    for terminal in (True, False):
        out = mocker.Mock(**{"isatty.return_value": terminal})
        bar = Bar("en", out)
        for done in (1, 2, 3, 4):
            bar("extract", done, 4)
        bar.close()
        written = "".join(call.args[0] for call in out.write.call_args_list)
        assert written.count("templates") == (4 if terminal else 2)
        assert ("\r" in written) is terminal
        assert written.endswith("\n")
    assert clock.called


def test_the_gate_is_opened_wholly() -> None:
    assert ungated(sim()).quality.accept < 0


@pytest.mark.real
def test_reading_the_command_line_loads_no_numpy() -> None:
    code = "import sys, authd_drivers.vein.study.commands; print({'numpy', 'cv2', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"set()\n"
