from __future__ import annotations

from pathlib import Path

import pytest

from authd_drivers.vein.study.dataset import DatasetError, read_exclusions, read_folder

PATTERN = r"(?P<subject>\d+)_(?P<finger>\w)_(?P<sample>\d+)\."


def folder(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def refused(tmp_path: Path, pattern: str = PATTERN) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read_folder(tmp_path, pattern)
    return caught.value


def test_names_are_read_from_the_path_and_numbers_sort_as_numbers(tmp_path: Path) -> None:
    data = read_folder(folder(tmp_path, "a/10_i_10.png", "a/10_i_9.png", "b/9_m_1.PNG", "b/9_i_1.bmp"), PATTERN)
    assert [each.path.name for each in data.pictures] == ["9_i_1.bmp", "9_m_1.PNG", "10_i_9.png", "10_i_10.png"]
    assert data.fingers == ("9/i", "9/m", "10/i")
    assert data.subjects == ("9", "10")
    assert data.finger.tolist() == [0, 1, 2, 2]
    assert data.subject.tolist() == [0, 0, 1]


def test_hand_and_session_are_optional(tmp_path: Path) -> None:
    pattern = r"^s(?P<session>\d)/(?P<subject>\d+)/((?P<hand>left|right)/)?(?P<finger>\w+)_(?P<sample>\d)\.png$"
    names = ("s1/1/left/index_1.png", "s2/1/left/index_1.png", "s1/1/left/index_2.png", "s1/1/ring_1.png")
    data = read_folder(folder(tmp_path, *names), pattern)
    assert [(each.label, each.session, each.sample) for each in data.pictures] == [
        ("1/left/index", "1", "1"),
        ("1/left/index", "1", "2"),
        ("1/left/index", "2", "1"),
        ("1/ring", "1", "1"),
    ]


def test_what_is_no_picture_is_passed_over_and_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    data = read_folder(folder(tmp_path, "1_i_1.png", "1_i_1.txt", "Thumbs.db", "extra.png"), PATTERN)
    assert len(data.pictures) == 1
    assert data.skipped == ("extra.png",)


def test_two_files_of_one_sample_are_refused(tmp_path: Path) -> None:
    said = refused(folder(tmp_path, "a/1_i_1.png", "b/1_i_1.png"))
    assert (said.id, said.values["one"], said.values["other"]) == ("duplicate", "a/1_i_1.png", "b/1_i_1.png")


@pytest.mark.parametrize(
    ("pattern", "id"),
    [
        ("(?P<subject>", "bad_pattern"),
        (r"(?P<subject>\d+)_(?P<finger>\w)", "no_group"),
        (r"(?P<subject>\d+)_(?P<finger>\w)_(?P<sample>\d)(?P<eye>\w)?", "unknown_group"),
        (r"(?P<subject>\d+)-(?P<finger>\w)-(?P<sample>\d)", "no_match"),
        (r"(?P<subject>x*)\d_(?P<finger>\w)_(?P<sample>\d)", "no_match"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_named(tmp_path: Path, pattern: str, id: str) -> None:  # noqa: A002
    said = refused(folder(tmp_path, "1_i_1.png"), pattern)
    assert said.id == id
    if id == "no_match":
        assert said.values["seen"] == "1_i_1.png"


def test_a_folder_without_pictures_and_no_folder_are_two_things(tmp_path: Path) -> None:
    assert refused(tmp_path).id == "no_pictures"
    assert refused(tmp_path / "missing").id == "no_folder"


def test_fingers_that_are_one_are_named_in_a_file_or_in_place(tmp_path: Path) -> None:
    data = read_folder(folder(tmp_path, "1_a_1.png", "1_b_1.png", "2_a_1.png"), PATTERN)
    listed = tmp_path / "same.txt"
    listed.write_text("# one finger twice\n1/a = 1/b  # by its owner\n\n", encoding="utf-8")
    assert read_exclusions([str(listed)], data) == (("1/a", "1/b"),)
    assert read_exclusions(["1/a=2/a"], data) == (("1/a", "2/a"),)
    for entry, id_ in (("1/a=3/c", "unknown_finger"), ("missing.txt", "no_exclusions")):
        with pytest.raises(DatasetError) as caught:
            read_exclusions([entry], data)
        assert caught.value.id == id_


def test_a_part_keeps_whole_people(tmp_path: Path) -> None:
    data = read_folder(folder(tmp_path, "1_a_1.png", "2_b_1.png", "3_a_1.png", "3_b_1.png"), PATTERN)
    assert data.first(2).fingers == ("1/a", "2/b")
    assert data.of(["3"]).finger.tolist() == [0, 1]
