"""The drills that these tests look at are played two at a time: most of one is waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.incidents.drilling import Drilled, drilled


@pytest.fixture(scope="session")
def play(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Drilled]]:
    """Return what a drill came to; every drill that a collected test names (`DRILL`) is begun with the first."""
    folder = tmp_path_factory.mktemp("drills")
    modules = [item.module for item in request.session.items if isinstance(item, pytest.Function)]
    names = sorted({str(getattr(module, "DRILL", "")) for module in modules} - {""})
    if hasattr(request.config, "workerinput"):
        names = []  # every worker collects every test, and would play the others' drills too
    with ThreadPoolExecutor(2) as pool:
        begun: dict[str, Future[Drilled]] = {name: pool.submit(drilled, name, folder) for name in names}
        yield lambda name: begun[name].result() if name in begun else drilled(name, folder)
        for each in begun.values():
            each.cancel()
