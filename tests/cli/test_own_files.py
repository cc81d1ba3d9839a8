"""The daemon's file given to a process beside it: said as that, with the file that is wanted and its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from authd.cli import codes
from authd.cli._common import OWN_FILES
from tests.cli.conftest import Authd
from tests.tools.howto import HOW_TO

WORDS = {
    "credentials": ("credentials", "list", "--broker"),
    "unattributed": ("unattributed", "--once", "--config"),
}
"""How the verb is given its file, where that is not by `--config` alone."""


@pytest.mark.parametrize("verb", OWN_FILES)
@pytest.mark.parametrize(
    ("locale", "said"), [("ja_JP.UTF-8", "authd 本体の設定です"), ("en_GB.UTF-8", "is the daemon's own file")]
)
async def test_the_daemons_file_is_known_again(
    verb: str, locale: str, said: str, authd: Authd, toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    wanted, page = OWN_FILES[verb]
    lang = ("--lang", locale[:2]) if verb == "unattributed" else ()
    answer = await authd(*WORDS.get(verb, (verb, "--config")), toml, *lang)
    assert (answer.code, answer.out) == (codes.USAGE, "")
    assert answer.err.count("\n") == 1
    for word in (str(toml), said, wanted, f"docs/how-to/{page}.md"):
        assert word in answer.err


@pytest.mark.parametrize("verb", OWN_FILES)
def test_the_page_shows_that_file(verb: str) -> None:
    wanted, page = OWN_FILES[verb]
    assert wanted in (HOW_TO / f"{page}.md").read_text(encoding="utf-8")


async def test_a_file_that_is_nobodys_is_still_told_by_its_field(authd: Authd, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("[seats]\n", encoding="utf-8")
    answer = await authd("gateway", "--config", path)
    assert (answer.code, "unknown field `seats`" in answer.err) == (codes.USAGE, True), answer.err
