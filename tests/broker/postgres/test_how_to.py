from __future__ import annotations

import pytest

from tests.tools.howto import how_to, same
from tests.tools.postgres import PACKAGED


@pytest.mark.parametrize("name", ["broker.toml", "pg_hba.conf"])
def test_the_page_shows_the_files_that_are_shipped(name: str) -> None:
    same(how_to("postgresql"), name, PACKAGED / name)
