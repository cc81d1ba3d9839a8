"""Which found rows count, and which files are found: chance must never be enough."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from authd.service.evidence.trace import About, Printer, Prints, PrintsMaker, canaries
from authd.service.evidence.trace.match import Filter, Matcher
from authd.service.evidence.trace.reading import Budget
from authd.service.evidence.trace.report import ranked
from authd.service.evidence.trace.tally import SURE, Outcome, Tally, significance
from authd_simulators.leak.residents import COLUMNS, residents
from tests.service.evidence.trace.test_make import KEY

PEOPLE = list(residents(9_000, 1))
STRANGERS = list(residents(3_000, 2))
PRINTER = Printer(KEY)
PART = slice(2_000, 2_600)


class Ground:
    """A register, an export of a part of it with canaries, and one of other columns."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.canaries = canaries(KEY, "part", COLUMNS, PEOPLE[PART], 3)
        self.sets = [
            stack.enter_context(Prints(self._made(folder, "register", COLUMNS, PEOPLE))),
            stack.enter_context(Prints(self._made(folder, "part", COLUMNS, PEOPLE[PART], self.canaries))),
            stack.enter_context(Prints(self._made(folder, "letters", COLUMNS[1:7:5], [row[1:7:5] for row in PEOPLE]))),
        ]
        self.matchers = [Matcher(each) for each in self.sets]
        self.known = Filter(self.sets)

    def _made(
        self,
        folder: Path,
        name: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        strange: Sequence[Sequence[str]] = (),
    ) -> Path:
        maker = PrintsMaker(KEY, columns)
        for row in rows:
            maker.add(row)
        for row in strange:
            maker.add(row, canary=True)
        return maker.write(folder, About(id=name, kind="export")).path

    def tally(self) -> Tally:
        return Tally(0, PRINTER, self.matchers, self.known, Budget(1))

    def rows(self, rows: Sequence[Sequence[str]]) -> Outcome:
        tally = self.tally()
        for row in rows:
            tally.row(row)
        return tally.outcome()

    def lines(self, lines: Sequence[str]) -> Outcome:
        tally = self.tally()
        for line in lines:
            tally.line(line)
        return tally.outcome()

    def named(self, outcome: Outcome) -> list[str]:
        """The data sets that are sure, the likeliest first."""
        sure = [hit for hit in outcome.hits if hit.significance >= SURE]
        return [self.sets[hit.data_set].about.id for hit in ranked(sure, self.sets)] if sure else []


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ExitStack() as stack:
        yield Ground(tmp_path_factory.mktemp("prints"), stack)


def test_one_in_a_hundred_rows_of_an_export_names_it(ground: Ground) -> None:
    for seed in range(20):
        rows = random.Random(seed).sample(PEOPLE[PART], 6)
        assert ground.named(ground.rows(rows))[0] == "part"


def test_columns_in_another_order_and_some_of_them(ground: Ground) -> None:
    rows = random.Random(1).sample(PEOPLE[PART], 60)
    assert ground.named(ground.rows([row[::-1] for row in rows]))[0] == "part"
    outcome = ground.rows([(row[6], row[3], row[1]) for row in rows])
    assert ground.named(outcome)[0] == "part"
    assert next(hit for hit in outcome.hits if hit.data_set == 1).rows == 60


def test_typed_again(ground: Ground) -> None:
    lines = [f"{row[1].replace(' ', '　')}様({row[3].replace('-', '/')}生) 〒{row[5]} {row[6]}" for row in PEOPLE[PART]]
    outcome = ground.lines(lines)
    assert ground.named(outcome)[0] == "part"
    assert next(hit for hit in outcome.hits if hit.data_set == 1).rows > 590


def test_one_value_a_line(ground: Ground) -> None:
    lines = [cell for row in PEOPLE[2_000:2_040] for cell in (row[1], row[3], row[6], "以上")]
    outcome = ground.lines(lines)
    assert ground.named(outcome)[0] == "part"


def test_numbers_alone(ground: Ground) -> None:
    assert ground.named(ground.rows([row[:1] for row in PEOPLE[2_000:2_030]]))[0] == "part"


def test_a_file_of_the_register_is_not_an_exports(ground: Ground) -> None:
    assert ground.named(ground.rows(PEOPLE[:3_000]))[0] == "register"


def test_a_canary_names_its_export_and_is_nobody(ground: Ground) -> None:
    outcome = ground.rows([*PEOPLE[2_000:2_010], ground.canaries[0]])
    hit = next(hit for hit in outcome.hits if hit.data_set == 1)
    assert len(hit.canaries) == 1
    assert ground.named(outcome)[0] == "part"


def test_strangers_with_the_same_names_and_streets_are_not_found(ground: Ground) -> None:
    """The same names, towns, days and telephone exchanges, in the very columns: 3,000 of them, and in pieces."""
    assert ground.named(ground.rows(STRANGERS)) == []
    for begin in range(0, 3_000, 300):
        part = STRANGERS[begin : begin + 300]
        assert ground.named(ground.rows(part)) == []
        assert ground.named(ground.rows([row[1:4] for row in part])) == []
        assert ground.named(ground.lines([f"{row[1]} {row[3]} {row[7]}" for row in part])) == []


def test_two_prints_that_begin_alike_are_two_values(ground: Ground) -> None:
    """A row's number is known by 16 bits; in a list of 30,000 strangers some value of another row begins with them."""
    numbers = {_begin(row[0]): row for row in PEOPLE}
    alike = [(numbers[check], day) for day in {row[3]: 0 for row in PEOPLE} if (check := _begin(day)) in numbers]
    assert len(alike) > 100
    for (_, name, kana, *_), day in alike:
        match = ground.matchers[0].match([PRINTER.field(name), PRINTER.field(kana), PRINTER.field(day)])
        assert match is None or (PEOPLE[match.row][1], PEOPLE[match.row][3]) == (name, day)


def _begin(cell: str) -> int:
    return PRINTER.field(cell) >> 48


def test_common_values_say_nothing(ground: Ground) -> None:
    rows = [(row[4], row[5], row[8]) for row in PEOPLE]
    assert ground.named(ground.rows(rows)) == []
    assert ground.named(ground.rows([["男", ""], ["", ""], ["女", "男"]] * 1_000)) == []


def test_places_alone_say_nothing(ground: Ground) -> None:
    """Anybody may have a list of the town's addresses, with their postal codes and telephone numbers."""
    assert ground.named(ground.rows([(row[5], row[6], row[7]) for row in PEOPLE])) == []
    assert ground.named(ground.rows([(row[5], row[6], row[7]) for row in PEOPLE[PART]])) == []


def test_one_resident_again_and_again_is_one_resident(ground: Ground) -> None:
    person = PEOPLE[2_000]
    outcome = ground.rows([person[1:5]] * 500)
    assert all(hit.rows <= 1 for hit in outcome.hits)


def test_significance() -> None:
    assert significance([0, 0, 0], 100) == 0
    assert significance([90, 10, 0], 100) < 1  # of 100 rows ten look so by chance
    assert significance([0, 100, 0], 100) > 50
    assert significance([0] * 9 + [2], 1) > SURE
