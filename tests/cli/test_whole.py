"""A disk that is full, or Ctrl-C, while a page or a list is written: no half file under its name, one sentence."""

from __future__ import annotations

import argparse
import errno
import os
from pathlib import Path

import pytest

from authd.cli import codes, printed
from authd.cli.files import answering
from authd.cli.whole import whole

FULL = OSError(errno.ENOSPC, "No space left on device")


def half(path: Path, error: BaseException) -> None:
    """Write the beginning of a file."""
    with whole(path) as file:
        file.write(b"half of it")
        raise error


@pytest.mark.parametrize("before", [None, b"the answer of yesterday"])
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full", "ctrl-c"])
def test_what_is_not_written_to_its_end_leaves_what_was_there(
    tmp_path: Path, before: bytes | None, error: BaseException
) -> None:
    path = tmp_path / "who.html"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(type(error)) as raised:
        half(path, error)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([] if before is None else [before])
    assert isinstance(raised.value, KeyboardInterrupt) or getattr(raised.value, "filename", None) == str(path)


def test_what_is_written_to_its_end_is_the_callers_alone(tmp_path: Path) -> None:
    path = tmp_path / "who.html"
    path.write_text("the answer of yesterday", encoding="utf-8")
    path.chmod(0o644)
    printed.write(path, "today's")
    assert (path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777) == ("today's", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_plain_file_is_written_as_it_is(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    with whole(link) as file:
        file.write(b"through it")
    assert (real.read_bytes(), link.is_symlink()) == (b"through it", True)
    with pytest.raises(OSError, match="symbolic links"), whole(link, os.O_NOFOLLOW):
        pass
    printed.write(Path(os.devnull), "nothing")
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize(("error", "code"), [(FULL, codes.WRONG), (FileNotFoundError(2, "?"), codes.USAGE)])
def test_a_full_disk_is_bad_news_and_no_wrong_input(
    error: OSError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(args: argparse.Namespace) -> int:
        raise error

    assert answering(run)(argparse.Namespace(lang="en")) == code
    assert capsys.readouterr().err.count("\n") == 1
