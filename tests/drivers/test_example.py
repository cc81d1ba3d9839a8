from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from authd.driver import DriverError, Reference
from authd_drivers.example import READER
from authd_drivers.example.comparator import ExactComparator
from tests.conformance.reader import Device, ReaderConformance
from tests.drivers.fifo import Fifo


class Button(Fifo):
    async def bad_touch(self) -> None:
        self.say(b"~\n")


class TestExample(ReaderConformance):
    @pytest.fixture
    def device(self, tmp_path: Path) -> Iterator[Device]:
        button = Button(tmp_path / "button", READER)
        yield button
        button.close()


PROBE, OTHER = b"a" * 32, b"b" * 32


def made(*people: tuple[str, bytes]) -> ExactComparator:
    comparator = ExactComparator()
    comparator.load([Reference(subject, f"tpl_{subject}@1", data) for subject, data in people])
    return comparator


def test_finds_the_one_person_in_scope() -> None:
    found = made(("sub_a", PROBE), ("sub_b", OTHER)).search(PROBE, ["sub_a", "sub_b"])
    assert found.best is not None
    assert found.best.subject == "sub_a"


def test_finds_nobody_out_of_scope_twice_or_removed() -> None:
    comparator = made(("sub_a", PROBE), ("sub_b", PROBE))
    assert comparator.search(PROBE, ["sub_c"]).best is None
    assert comparator.search(PROBE, ["sub_a", "sub_b"]).best is None
    comparator.remove("sub_a")
    assert comparator.search(PROBE, ["sub_a"]).best is None


def test_enrols_what_agrees_and_nothing_else() -> None:
    comparator = ExactComparator()
    assert comparator.enrol([PROBE] * 3) == [PROBE]
    with pytest.raises(ValueError):
        comparator.enrol([PROBE, PROBE, OTHER])
    with pytest.raises(DriverError):
        comparator.enrol([PROBE, PROBE, b""])
    with pytest.raises(DriverError):
        comparator.search(b"", [])
