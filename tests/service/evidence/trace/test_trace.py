"""From a folder to an answer, by workers in their sandboxes."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from authd.service.evidence.trace import About, PrintsMaker
from authd.service.evidence.trace import lots as module
from authd.service.evidence.trace.crew import Crew
from authd.service.evidence.trace.lots import lots, missing, open_sets
from authd.service.evidence.trace.reading import Why
from authd.service.evidence.trace.report import Report
from authd.service.evidence.trace.sources import Source
from authd.service.evidence.trace.trace import NothingToLookFor, trace
from authd_simulators.leak import formats
from authd_simulators.leak.residents import COLUMNS, residents
from tests.service.evidence.trace.test_make import KEY

PEOPLE = list(residents(500, 1))


@pytest.fixture
def prints(tmp_path: Path) -> Path:
    maker = PrintsMaker(KEY, COLUMNS, number="宛名番号")
    for row in PEOPLE:
        maker.add(row)
    maker.write(tmp_path / "prints", About(id="co_1", kind="export", title="有権者"))
    return tmp_path / "prints"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "found"
    found.mkdir()
    return found


def traced(folder: Path, prints: Path, **crew: object) -> tuple[Report, list[str | None]]:
    with ExitStack() as stack:
        one = Crew(folder, (), KEY, workers=1, **crew)  # type: ignore[arg-type]  # bounds
        report = trace(folder, prints, {}, KEY, stack, crew=one)
        return report, [each.record for each in report.residents()]


@pytest.mark.real
def test_a_folder_that_somebody_prepared(folder: Path, prints: Path) -> None:
    """Links, pipes, sockets, holes, folders without an end, files that nobody may read: named, and the rest is read."""
    outside = folder.parent / "outside.csv"
    outside.write_bytes(formats.listed(PEOPLE, "utf-8"))
    (folder / "link.csv").symlink_to(outside)
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "s"))
    with (folder / "holes.csv").open("wb") as file:
        file.truncate(5 << 30)
    deep = folder
    for _ in range(70):
        deep /= "d"
        deep.mkdir()
    (folder / os.fsdecode("名簿.csv".encode("cp932"))).write_bytes(formats.listed(PEOPLE[:20]))
    (folder / "again.zip").write_bytes(formats.zipped({"x.csv": formats.listed(PEOPLE[10:30], "utf-16")}))
    before = sorted(path.name for path in folder.parent.iterdir())
    report, records = traced(folder, prints)
    why = {trouble.path.rpartition("d/")[2]: trouble.why for trouble in report.troubles}
    assert why == {
        "link.csv": Why.SYMLINK,
        "up": Why.SYMLINK,
        "pipe": Why.SPECIAL,
        "s": Why.SPECIAL,
        "holes.csv": Why.SPARSE,
        "d": Why.TOO_DEEP,
    }
    assert [(leak.path, leak.rows) for leak in report.leaks] == [("again.zip", 20), ("名簿.csv", 20)]
    assert [(part.path, part.rows) for part in report.leaks[0].parts] == [("again.zip!x.csv", 20)]
    assert len(records) == len(set(records)) == 30
    assert None not in records
    assert sorted(path.name for path in folder.parent.iterdir()) == before


@pytest.mark.real
def test_a_file_that_needs_too_much_memory_or_time_costs_itself_alone(folder: Path, prints: Path) -> None:
    (folder / "a-large.pdf").write_bytes(b"%PDF-1.5\n" + bytes(30 << 20))
    (folder / "b-list.csv").write_bytes(formats.listed(PEOPLE[:20]))
    report, _ = traced(folder, prints, heap_mb=24)
    assert [(trouble.path, trouble.why) for trouble in report.troubles] == [("a-large.pdf", Why.MEMORY)]
    assert [leak.path for leak in report.leaks] == ["b-list.csv"]
    (folder / "a-large.pdf").unlink()
    (folder / "b-list.csv").write_bytes(formats.listed(PEOPLE * 40))
    report, _ = traced(folder, prints, seconds=0.0)
    assert [trouble.why for trouble in report.troubles] == [Why.TOO_LONG]


def test_nothing_to_look_for(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingToLookFor):
        traced(folder, tmp_path / "none")


def test_prints_that_are_not_the_ledgers_are_named_and_not_used(folder: Path, prints: Path) -> None:
    (prints / "broken.prints").write_bytes(b"broken")
    (prints / "co_3.prints").write_bytes(b"broken too")
    told = {id_: Source(id_, digest="0" * 64) for id_ in ("co_1", "co_2", "co_3")}
    with ExitStack() as stack, pytest.raises(NothingToLookFor) as caught:
        trace(folder, prints, told, KEY, stack)
    flawed = [line.split(":")[0] for line in caught.value.flawed]
    assert flawed == ["broken.prints", "co_1.prints", "co_3.prints", "co_2"]


def exported(prints: Path, id_: str, rows: Sequence[Sequence[str]]) -> str:
    """Take the fingerprints of an export; return their digest."""
    maker = PrintsMaker(KEY, COLUMNS, number="宛名番号")
    for row in rows:
        maker.add(row)
    return maker.write(prints, About(id=id_, kind="export")).digest


def test_the_newest_are_looked_for_first_and_all_in_the_end(prints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = {"co_0": 10, "co_2": 20, "co_3": 30, "co_5": 40}
    told = {id_: Source(id_, digest=exported(prints, id_, PEOPLE[:1]), at_ms=at_ms) for id_, at_ms in at.items()}
    (prints / "co_1.prints").unlink()
    (prints / "co_4.prints").symlink_to("nowhere")
    monkeypatch.setattr(module, "MOST_SETS", 2)
    names = [[path.name.partition(".")[0] for path in lot] for lot in lots(prints, told)]
    assert names == [["co_3", "co_5"], ["co_0", "co_2"], ["co_4"]]
    with ExitStack() as stack:
        whole = open_sets([path for lot in lots(prints, told) for path in lot], told, stack)
        assert [each.about.id for each in whole.prints] == ["co_3", "co_5", "co_0", "co_2"]
        assert [line.split(":")[0] for line in whole.flawed] == ["[Errno 2] No such file or directory"]
    assert missing(prints, {**told, "co_6": Source("co_6")}, list(told)) == [f"co_6: its prints are not in {prints}"]


@pytest.mark.real
def test_a_leak_of_an_export_older_than_a_lot_is_named(
    folder: Path, prints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four exports at once, seven in all; what one look says of a file, several say of it too."""
    for at in range(6):
        exported(prints, f"co_{at + 2}", PEOPLE[at * 50 : at * 50 + 100])
    (folder / "old.csv").write_bytes(formats.listed(PEOPLE[110:140]))
    (folder / "two.csv").write_bytes(formats.listed([*PEOPLE[:60], *PEOPLE[480:]]))
    (folder / "notes.txt").write_text("nothing of anybody", "utf-8")
    (folder / "cut.zip").write_bytes(formats.zipped({"x.csv": formats.listed(PEOPLE[300:320])})[:-9])
    at_once, records = traced(folder, prints)
    monkeypatch.setattr(module, "MOST_SETS", 4)
    in_lots, again = traced(folder, prints)
    assert in_lots.leaks == at_once.leaks
    assert {leak.path for leak in in_lots.leaks} == {"old.csv", "two.csv"}
    assert sorted(again, key=str) == sorted(records, key=str)
    assert in_lots.troubles == at_once.troubles
    assert [trouble.path for trouble in in_lots.troubles] == ["cut.zip"]
    assert (in_lots.read, in_lots.files) == (at_once.read, at_once.files) == (3, 4)
    assert sorted(in_lots.looked) == sorted(at_once.looked) == [f"co_{at}" for at in range(1, 8)]
    assert in_lots.flawed == ()


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """A shell's limit that is soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.real
@pytest.mark.usefixtures("few_descriptors")
def test_more_data_sets_than_a_shell_lets_a_process_hold_open(folder: Path, prints: Path) -> None:
    for at in range(150):
        exported(prints, f"co_{at + 2}", PEOPLE[at : at + 20])
    (folder / "x.csv").write_bytes(formats.listed(PEOPLE[:20]))
    report, _ = traced(folder, prints)
    assert report.flawed == ()
    assert len(report.looked) == 151
    assert [leak.rows for leak in report.leaks] == [20]
    assert report.leaks[0].origins[0].about.id == "co_2"
    assert report.troubles == []
