"""One city for all of it: setting it up takes longer than what is tried in it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.tools.oidc_stage import Provider, provider


@pytest.fixture(scope="package")
def wired() -> Generator[Provider, None, None]:
    with provider() as made:
        yield made
