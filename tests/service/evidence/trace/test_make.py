from __future__ import annotations

import json
import random
import stat
from pathlib import Path

import pytest

from authd.service.evidence.records import Pseudonyms
from authd.service.evidence.trace import About, BadPrints, Printer, Prints, PrintsMaker
from authd.service.evidence.trace.columns import LOOK
from authd.service.evidence.trace.form import head

KEY = bytes(range(32))
COLUMNS = ("番号", "氏名", "生年月日", "郵便番号", "住所", "性別")
ABOUT = About(id="exp_1", kind="export", title="有権者")


def rows(count: int, seed: int = 1) -> list[list[str]]:
    dice = random.Random(seed)
    homes = [(f"590-{number % 50:04}", f"堺市堺区{number % 50}町{number}-1") for number in range(count)]
    return [
        [
            str(dice.randrange(10**9, 10**10)),
            f"姓{dice.randrange(200)} 名{dice.randrange(200)}",
            f"{dice.randrange(1930, 2005)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}",
            *dice.choice(homes[: count // 2 + 1]),
            dice.choice("男女"),
        ]
        for _ in range(count)
    ]


def made(folder: Path, lines: list[list[str]]) -> Path:
    maker = PrintsMaker(KEY, COLUMNS, number="番号")
    for line in lines:
        maker.add(line)
    return maker.write(folder, ABOUT).path


@pytest.mark.parametrize("count", [0, 1, 50, LOOK - 1, LOOK, LOOK + 900])
def test_every_row_and_every_value_is_found_again(tmp_path: Path, count: int) -> None:
    lines, printer = rows(count), Printer(KEY)
    with Prints(made(tmp_path, lines)) as prints:
        assert prints.rows == count
        for number in range(0, count, max(1, count // 50)):
            line = lines[number]
            assert prints.row(printer.row(reversed(line))) == number
            for column, cell in enumerate(line):
                place = prints.value(printer.field(cell))
                assert place >= 0
                assert prints.often(place) == sum(other.count(cell) for other in lines)
                held = prints.holders(place)
                assert not held or number * len(COLUMNS) + column in held
                assert prints.checks(number)[column] == printer.field(cell) >> 48
            assert prints.record(number) == Pseudonyms(KEY).record(line[0])
        assert prints.value(printer.field("nobody")) == -1
        assert prints.row(printer.row(["nobody"])) is None


def test_common_values_lead_to_no_row(tmp_path: Path) -> None:
    with Prints(made(tmp_path, rows(LOOK + 1))) as prints:
        place = prints.value(Printer(KEY).field("女"))
        assert prints.often(place) > LOOK // 3
        assert len(prints.holders(place)) == 0


def test_what_follows_from_a_column_and_what_its_numbers_are_worth(tmp_path: Path) -> None:
    with Prints(made(tmp_path, rows(LOOK + 500))) as prints:
        numbers, names, born, post, place, sex = prints.about.follows
        assert (numbers, names, born, post, place, sex) == ((), (5,), (), (4,), (3,), (1,))
        number, *others = prints.about.density
        assert number is not None
        assert number < 1e-4
        assert others == [None] * 5


def test_columns_without_telling_names_are_told_by_their_values(tmp_path: Path) -> None:
    maker = PrintsMaker(KEY, tuple("abcdef"))
    for line in rows(LOOK + 500):
        maker.add(line)
    with Prints(maker.write(tmp_path, ABOUT).path) as prints:
        follows = prints.about.follows
        assert 3 in follows[4]
        assert 4 not in follows[3]
        assert 1 not in follows[4]


def test_numbers_one_after_the_other_are_dense(tmp_path: Path) -> None:
    maker = PrintsMaker(KEY, ("番号",))
    for number in range(LOOK):
        maker.add([str(10_000_000_000 + number)])
    with Prints(maker.write(tmp_path, ABOUT).path) as prints:
        (density,) = prints.about.density
        assert density == pytest.approx(1.0)


def test_nobody_reads_a_name_in_the_file_and_nobody_else_reads_the_file(tmp_path: Path) -> None:
    lines = rows(200)
    path = made(tmp_path, lines)
    raw = path.read_bytes()
    assert not any(cell.encode() in raw for line in lines for cell in line if len(cell) > 3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_another_key_finds_nothing(tmp_path: Path) -> None:
    lines = rows(50)
    with Prints(made(tmp_path, lines)) as prints:
        other = Printer(bytes(32))
        assert all(prints.value(other.field(cell)) < 0 for line in lines for cell in line)


def test_a_changed_or_cut_file_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, rows(100))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(BadPrints, match="cut off"):
        Prints(path)
    path.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    with Prints(path) as prints, pytest.raises(BadPrints, match="was changed"):
        prints.verify()
    path.write_bytes(whole)
    with Prints(path) as prints:
        assert prints.verify() == whole[-32:].hex()
    path.write_bytes(b"")
    with pytest.raises(BadPrints, match="empty"):
        Prints(path)


@pytest.mark.parametrize(
    "lie",
    [{"rows": 10**9}, {"bits": 40}, {"values": 10**9}, {"columns": ()}, {"canaries": (7,)}, {"follows": ((9,),)}],
)
def test_a_beginning_that_lies_is_refused(tmp_path: Path, lie: dict[str, object]) -> None:
    about = {"id": "x", "kind": "export", "columns": ("a",), "rows": 1, "follows": ((),), "density": (None,), **lie}
    path = tmp_path / "x.prints"
    path.write_bytes(head(About(**about)) + bytes(4_096))  # type: ignore[arg-type]  # lies have their own types
    with pytest.raises(BadPrints):
        Prints(path)


def test_a_row_with_too_many_cells_and_a_column_that_is_not_there_are_refused() -> None:
    with pytest.raises(BadPrints, match="7 cells"):
        PrintsMaker(KEY, COLUMNS).add(["x"] * 7)
    with pytest.raises(BadPrints, match="there are: 番号, 氏名"):
        PrintsMaker(KEY, COLUMNS, number="number")


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    maker = PrintsMaker(KEY, ("a", "b"))
    maker.add(["1", "2"])
    maker.add(["3", "4"], canary=True)
    written = maker.write(tmp_path, ABOUT)
    with Prints(written.path) as prints:
        assert (prints.about.title, prints.about.kind, set(prints.canaries)) == ("有権者", "export", {1})
        assert prints.record(0) is None
        assert prints.verify() == written.digest
    assert json.loads(written.path.read_bytes()[20:].partition(b"\0")[0].partition(b"}")[0] + b"}")["id"] == "exp_1"
