"""Printing through a real print server: what nobody has allowed is cancelled with its reason, and no page comes out."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from authd.core.model import Kind
from authd.service.evidence.carryout import SAID, Why
from tests.cli.conftest import Authd
from tests.cli.conftest import authd as authd
from tests.cli.conftest import folder as folder
from tests.cli.conftest import toml as toml
from tests.cli.hall import Hall, open_hall
from tests.packaging.cupsd import MISSING, WANTED, Cupsd, cupsd

ASK = """\
#!/bin/sh
AUTHD_CONFIG={toml} exec {python} -I -m authd "$@"
"""


@pytest.fixture(autouse=True)
def there() -> None:
    assert not MISSING, f"needs {WANTED}"


@pytest.fixture
async def hall(folder: Path, authd: Authd, tmp_path: Path) -> AsyncGenerator[Hall, None]:
    async with open_hall(folder, tmp_path, authd) as made:
        yield made


@pytest.mark.real
async def test_a_page_leaves_once_and_only_if_two_people_have_allowed_it(hall: Hall, toml: Path) -> None:
    ask = ASK.format(toml=toml, python=sys.executable)
    with cupsd(hall.folder / "cups", ask) as server:
        assert SAID[Why.UNKNOWN] in await printed(server, "wages", "nobody has allowed it")
        _, token = await hall.granted("--destination", "office", kind="print")
        assert SAID[Why.COPIES] in await printed(server, "wages", "twice", f"authd-capability={token}", "copies=2")
        await printed(server, "wages", "allowed", f"authd-capability={token}")
        (row,) = await hall.desk.rows(Kind.CARRYOUT_USED)
        assert row.entry.data["user"] == getpass.getuser()
        assert SAID[Why.SPENT] in await printed(server, "wages", "again", f"authd-capability={token}")
        await hall.granted("--destination", "office", "--title", "list of evacuees", kind="print")
        assert SAID[Why.UNKNOWN] in await printed(server, "another list", "not this")
        await printed(server, "list of evacuees", "by title")
        assert server.paper == "allowed\nby title\n"


@pytest.mark.real
async def test_without_a_daemon_no_page_comes_out(folder: Path) -> None:
    with cupsd(folder / "cups", "#!/bin/sh\nexit 3\n") as server:
        assert "the daemon did not answer" in await printed(server, "wages", "nobody knows")
        assert server.paper == ""


async def printed(server: Cupsd, title: str, text: str, *options: str) -> str:
    """Print, and return what the queue then says of its jobs, the newest last."""
    number = await asyncio.to_thread(server.print_, title, text + "\n", *options)
    said = await asyncio.to_thread(server.run, "lpstat", "-W", "completed", "-l", "-o")
    return said.split(f"office-{number} ")[1].split("office-")[0]
