from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from authd.driver import Hint
from authd_drivers.vein.engine.compare import FINE
from authd_drivers.vein.study import measure
from authd_drivers.vein.study.images import Unread, read_image
from authd_drivers.vein.study.measure import extract_all, score_across, score_all
from tests.drivers.veins import picture, sim

RNG = np.random.default_rng(5)


def maps(count: int) -> measure.Words:
    return RNG.integers(0, 2**63, (count, 32), np.uint64)


def test_all_pairs_are_scored_as_the_engine_scores_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PAIRS", 20)
    templates = maps(11)
    expected = np.stack([FINE.scores(probe, templates) for probe in templates])
    assert np.allclose(score_all(templates, jobs=1), expected)
    assert np.allclose(score_across(templates[:3], templates[5:], jobs=1), expected[:3, 5:])


def test_many_scores_are_kept_on_disc(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = maps(5)
    small = score_all(templates, jobs=1)
    monkeypatch.setattr(measure, "IN_MEMORY", 10)
    large = score_all(templates, jobs=1)
    assert isinstance(large, np.memmap)
    assert np.array_equal(small, large)
    monkeypatch.setattr(measure, "MAX_TEMPLATES", 4)
    with pytest.raises(ValueError, match="at most 4"):
        score_all(templates, jobs=1)


def test_progress_ends_at_the_whole() -> None:
    seen: list[tuple[str, int, int]] = []
    score_all(maps(7), 1, lambda what, done, total: seen.append((what, done, total)))
    assert seen[-1] == ("compare", 28 + 21, 49)


@pytest.mark.real
def test_processes_give_the_same_as_one(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for number, file in enumerate(files):
        cv2.imwrite(str(file), picture("finger", number))
    one, two = extract_all(files, sim(), jobs=1), extract_all(files, sim(), jobs=2)
    assert one.taken == two.taken
    assert np.array_equal(score_all(one.templates, jobs=1), score_all(two.templates, jobs=2))


def test_a_picture_is_a_template_or_a_named_fault(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "good.png"), picture("finger", 1))
    cv2.imwrite(str(tmp_path / "small.png"), picture("finger", 1)[:100, :90])
    (tmp_path / "text.png").write_bytes(b"no picture")
    done = extract_all([tmp_path / f"{name}.png" for name in ("good", "small", "text")], sim(), jobs=1)
    assert done.found.tolist() == done.passed.tolist() == [True, False, False]
    assert [each.fault for each in done.taken] == ["", "size", "format"]
    assert done.taken[1].size == (90, 100)
    assert done.templates.any(axis=1).tolist() == [True, False, False]


def test_what_the_gate_refuses_has_a_template_still(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "good.png"), picture("finger", 1))
    strict = replace(sim(), quality=replace(sim().quality, accept=1.1))
    done = extract_all([tmp_path / "good.png"], strict, jobs=1)
    assert done.found.tolist() == [True]
    assert done.passed.tolist() == [False]
    assert done.taken[0].hint in set(Hint)
    assert 0 < done.quality[0] < 1


@pytest.mark.parametrize(("bits", "shift"), [(10, 2), (12, 4), (16, 8)])
def test_deep_pictures_are_scaled_by_the_sensors_depth(tmp_path: Path, bits: int, shift: int) -> None:
    deep = np.full((4, 4), (1 << bits) - 1, np.uint16)
    deep[0] = (1 << bits) // 4
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    found = read_image(tmp_path / "deep.png")
    assert not isinstance(found, Unread)
    assert found.dtype == np.uint8
    assert np.array_equal(found, deep >> shift)


def test_what_gives_no_frame_is_named(tmp_path: Path) -> None:
    whole = cv2.imencode(".png", picture("finger", 1))[1].tobytes()
    (tmp_path / "short.png").write_bytes(whole[:100])
    (tmp_path / "nothing.png").touch()
    cv2.imwrite(str(tmp_path / "float.tiff"), np.zeros((4, 4), np.float32))
    (tmp_path / "folder.png").mkdir()
    assert read_image(tmp_path / "short.png") is Unread.FORMAT
    assert read_image(tmp_path / "nothing.png") is Unread.FILE
    assert read_image(tmp_path / "float.tiff") is Unread.DEPTH
    assert read_image(tmp_path / "folder.png") is Unread.FILE
    assert read_image(tmp_path / "missing.png") is Unread.FILE
