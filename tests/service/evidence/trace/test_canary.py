from __future__ import annotations

from pathlib import Path

from authd.service.evidence.trace import About, Printer, Prints, PrintsMaker, canaries, canary_count
from tests.service.evidence.trace.test_make import COLUMNS, KEY, rows


def test_canaries_look_like_their_neighbours_and_are_nobody() -> None:
    lines = rows(500)
    made = canaries(KEY, "exp_1", COLUMNS, lines, 8)
    assert len(made) == 8
    for row in made:
        assert row not in lines
        assert row[0] not in {line[0] for line in lines}
        assert len(row[0]) == 10
        assert [row[3:5]] == [line[3:5] for line in lines if line[3:5] == row[3:5]][:1]
        for column in (1, 2, 5):
            assert row[column] in {line[column] for line in lines}


def test_they_are_made_again_for_the_same_export_and_are_others_for_another() -> None:
    lines = rows(500)
    made = canaries(KEY, "exp_1", COLUMNS, lines, 8)
    assert canaries(KEY, "exp_1", COLUMNS, lines, 8) == made
    assert not [row for row in canaries(KEY, "exp_2", COLUMNS, lines, 8) if row in made]
    assert not [row for row in canaries(bytes(32), "exp_1", COLUMNS, lines, 8) if row in made]


def test_they_are_known_again(tmp_path: Path) -> None:
    lines = rows(300)
    maker = PrintsMaker(KEY, COLUMNS, number="番号")
    for line in lines:
        maker.add(line)
    made = canaries(KEY, "exp_1", COLUMNS, lines, 3)
    for line in made:
        maker.add(line, canary=True)
    with Prints(maker.write(tmp_path, About(id="exp_1", kind="export")).path) as prints:
        printer = Printer(KEY)
        assert {prints.row(printer.row(line)) for line in made} == prints.canaries
        assert {prints.row(printer.row(line)) for line in lines}.isdisjoint(prints.canaries)


def test_an_export_without_room_for_others_gets_none() -> None:
    assert canaries(KEY, "exp_1", ("性別",), [["男"], ["女"], ["男"]], 4) == []
    assert canaries(KEY, "exp_1", COLUMNS, [], 4) == []


def test_how_many() -> None:
    assert [canary_count(rows) for rows in (1, 1_000, 680_000)] == [2, 5, 64]
