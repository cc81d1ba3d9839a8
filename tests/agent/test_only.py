"""One agent a desktop, and the number of one that is gone is nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from authd.agent import only
from authd.agent.only import Only, running
from authd.agent.settings import Settings
from authd.client.tables import BadSettings


def test_a_second_agent_is_refused_and_the_first_one_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(only, "BETWEEN_S", 0.0)
    assert running(tmp_path) is None
    first = Only(tmp_path)
    assert running(tmp_path) is None  # it would die of the signal yet
    first.tell()
    assert running(tmp_path) is not None
    with pytest.raises(BadSettings, match="another agent"):
        Only(tmp_path)
    first.close()
    assert (tmp_path / "agent").read_text().isdigit()
    assert running(tmp_path) is None  # the number may be another process's by now
    Only(tmp_path).close()


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o720)
    with pytest.raises(BadSettings, match="chmod 700"):
        Settings("counter-1", run=str(tmp_path)).folder()
    tmp_path.chmod(0o700)
    assert Settings("counter-1", run=str(tmp_path)).folder() == tmp_path
