"""The book is what the ledger's rows say, in whatever order and however often they are heard."""

from __future__ import annotations

import itertools

from authd.core.model import Entry, Kind, SubjectId, Value
from authd.service.evidence.flags.book import Book, Change, Flag
from authd.service.evidence.records import RecordId
from authd.service.ledger import Recorded

RECORD, OTHER = RecordId("rec_a"), RecordId("rec_b")


def row(seq: int, kind: Kind, request: str, **more: Value) -> Recorded:
    data: dict[str, Value] = {"request": request, "record": RECORD, "until": f"2027-01-{seq:02}", "case": "", "of": 0}
    return Recorded(seq, 1_000 * seq, Entry(kind, subject=SubjectId("sub_a"), data=data | more), b"")


ROWS = (
    row(1, Kind.FLAG_REQUESTED, "req_1", change="set", also=OTHER),
    row(2, Kind.FLAG_SET, "req_1", change="set", also=OTHER),
    row(3, Kind.FLAG_REQUESTED, "req_2", change="release", of=2),
    row(4, Kind.FLAG_RENEWED, "req_3", change="renew"),
    row(5, Kind.FLAG_RELEASED, "req_4", change="release", of=2, also=OTHER),
    row(6, Kind.FLAG_DROPPED, "req_2", why="overtaken"),
    row(7, Kind.FLAG_REQUESTED, "req_5", change="renew"),
)


def heard(rows: tuple[Recorded, ...]) -> tuple[int, dict[RecordId, Flag], list[str]]:
    book = Book()
    for each in (*rows, rows[0]):
        book.hear(each)
    return book.version, dict(book.flags), [wish.request for wish in book.waiting]


def test_every_order_makes_the_same_book() -> None:
    wanted = heard(ROWS)
    assert wanted[0] == 5
    assert {record: flag.protected for record, flag in wanted[1].items()} == {RECORD: True, OTHER: False}
    assert wanted[2] == ["req_5"]
    for order in itertools.permutations(ROWS):
        assert heard(order) == wanted


def test_what_has_changed_comes_in_the_order_of_the_changes() -> None:
    book = Book()
    for number in range(1, 6):
        book.hear(row(number, Kind.FLAG_SET, f"req_{number}", record=f"rec_{number}"))
    book.hear(row(6, Kind.FLAG_RELEASED, "req_6", record="rec_2", of=2))
    assert [flag.version for flag in book.after(0)] == [1, 3, 4, 5, 6]
    assert [flag.record for flag in book.after(4)] == ["rec_5", "rec_2"]
    assert book.after(6) == []


def test_rows_of_other_kinds_are_none_of_it() -> None:
    book = Book()
    book.hear(row(1, Kind.FLAG_HELD, "req_1"))
    assert (book.version, book.flags, book.waiting) == (0, {}, [])


def test_a_wish_is_read_back_as_it_was_written() -> None:
    book = Book()
    book.hear(ROWS[0])
    (wish,) = book.waiting
    assert (wish.change, wish.records, wish.until, wish.at) == (Change.SET, (RECORD, OTHER), "2027-01-01", 1)
