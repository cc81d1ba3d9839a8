"""What the yardstick counts and chooses; the peer itself needs `make peer-vein` and is run by the bench."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from tests.bench import vein_peer
from tests.bench.report import Report
from tests.bench.vein_peer_accuracy import chosen, eer, fingers, reported
from tests.bench.vein_peer_pipeline import displacements


def test_without_its_environment_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vein_peer, "PEER", tmp_path)
    report = Report()
    vein_peer.run(report)
    said = capsys.readouterr()
    assert (said.out, report.all_ok) == ("", True)
    assert "make peer-vein" in said.err


def test_a_run_that_requires_the_peer_fails_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vein_peer, "PEER", tmp_path)
    report = Report()
    vein_peer.run(report, require_peer=True)
    assert json.loads(capsys.readouterr().out)["bar"] == "make peer-vein"
    assert not report.all_ok


def test_every_third_finger_is_left_to_the_fit_in_the_order_of_numbers(tmp_path: Path) -> None:
    for subject in (1, 2, 10):
        for take in (1, 10, 2):
            (tmp_path / f"{subject}_1_{take}.jpg").touch()
    (tmp_path / "Thumbs.db").touch()
    found = fingers(tmp_path, r"^(?P<subject>\d+)_(?P<finger>\d)_(?P<sample>\d+)\.jpg$")
    assert list(found) == [("1", "", "1"), ("2", "", "1"), ("10", "", "1")]
    names = [[path.name for path in paths] for paths in reported(found, 1000)]
    assert names == [["2_1_1.jpg", "2_1_2.jpg", "2_1_10.jpg"], ["10_1_1.jpg", "10_1_2.jpg", "10_1_10.jpg"]]


def test_pairs_of_one_finger_are_all_compared_and_others_by_choice() -> None:
    genuine, impostor = chosen([0, 0, 1, 1], 3, random.Random(1))
    assert genuine == [(0, 1), (2, 3)]
    assert len(impostor) == 3
    assert all((a < 2) != (b < 2) for a, b in impostor)


@pytest.mark.parametrize(("genuine", "rate"), [([0.3, 0.4], 0.0), ([0.1, 0.3, 0.4, 0.5], 0.25), ([0.1, 0.1], 1.0)])
def test_equal_error_rate(genuine: list[float], rate: float) -> None:
    impostor = [0.2, 0.2, 0.2, 0.35] if len(genuine) > 2 else [0.2, 0.2]
    assert eer(np.array(genuine), np.array(impostor)) == pytest.approx(rate)


def test_displacements_are_shares_of_a_map_and_leave_some_of_it() -> None:
    assert displacements(380, 672) == {"shipped": (80, 90), "scaled": (80, 90), "near": (40, 45)}
    assert displacements(100, 300) == {"scaled": (21, 40), "near": (11, 20)}
