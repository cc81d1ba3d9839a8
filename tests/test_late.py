"""What `make late` makes late is there, and comes late."""

from __future__ import annotations

import asyncio
import importlib
import operator
import time
from types import ModuleType, SimpleNamespace

import pytest

from tests.tools import late


@pytest.mark.parametrize("name", late.LATE)
def test_what_is_made_late_is_there(name: str) -> None:
    module = importlib.import_module(name)
    for path in late.LATE[name]:
        assert callable(operator.attrgetter(path)(module))


async def test_it_does_the_same_but_later(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        async def item(self, what: str) -> str:
            return what

        event = item

    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    module: ModuleType = SimpleNamespace(__name__="authd.service.bus.stream", Stream=Stream)  # type: ignore[assignment]
    late.make_late(module)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert await Stream().item("a") == "a"
    assert len(slept) == 1


def test_a_row_is_made_durable_later(monkeypatch: pytest.MonkeyPatch) -> None:
    class LedgerFile:
        def commit(self) -> str:
            return "durable"

    slept = list[float]()
    module: ModuleType = SimpleNamespace(__name__="authd.service.ledger.file", LedgerFile=LedgerFile)  # type: ignore[assignment]
    late.make_late(module)
    monkeypatch.setattr(time, "sleep", slept.append)
    assert LedgerFile().commit() == "durable"
    assert slept
    assert min(slept) >= min(late.ROW_S)


def test_an_environment_of_other_work_is_left_alone() -> None:
    with pytest.raises(SystemExit, match="make late"):
        late.main()
