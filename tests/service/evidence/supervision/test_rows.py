from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.service.evidence.supervision.cells import BadCell, day, weekdays
from authd.service.evidence.supervision.rows import LONGEST_LINE, MOST_ROWS, Fault, Parsed, parse
from authd.service.evidence.supervision.terms import Term

SECTIONS = {"市民課": "resident", "税務課": "tax", "resident": "resident", "tax": "tax"}
HEADER = "職員番号,氏名,ふりがな,所属,発令日,勤務開始,勤務終了,勤務日,監督者,上司"
SATO = "1003,佐藤花子,さとうはなこ,市民課,2027-04-01,8:30,17:15,月-金,,1001"


def read(*rows: str, header: str = HEADER, encoding: str = "utf-8") -> Parsed:
    return parse("\r\n".join([header, *rows, ""]).encode(encoding), SECTIONS.get)


def faults(*rows: str) -> list[tuple[int, int, str]]:
    return [(each.line, each.column, each.why) for each in read(*rows).faults]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_row_is_read_in_each_encoding(encoding: str) -> None:
    parsed = read(SATO, encoding=encoding)
    assert parsed.faults == []
    assert parsed.rows == [
        (2, Term("1003", "佐藤花子", "resident", date(2027, 4, 1), "さとうはなこ", None, 510, 1035, (1, 2, 3, 4, 5),
                 supervisor=False, reports_to="1001")),
    ]  # fmt: skip


def test_headers_may_be_english_in_any_case_and_order() -> None:
    parsed = read("tax,1005,2027/4/1,鈴木一郎", header="Section,Staff_Number,FROM,Name")
    assert [term.section for term in parsed.terms] == ["tax"]
    assert parsed.faults == []


@pytest.mark.parametrize(
    ("row", "column", "why"),
    [
        ("=cmd|' /C calc'!A0,名,,市民課,2027-04-01", 1, "formula"),
        ("1003,＝1+1,,市民課,2027-04-01", 2, "formula"),
        ("1003,@SUM(A1),,市民課,2027-04-01", 2, "formula"),
        ("1003,,,市民課,2027-04-01", 2, "needed"),
        (",佐藤,,市民課,2027-04-01", 1, "needed"),
        ("10 03,佐藤,,市民課,2027-04-01", 1, "number"),
        ("1003,佐藤,,宇宙課,2027-04-01", 4, "section"),
        ("1003,佐藤,,市民課,2027-02-29", 5, "no_such_day"),
        ("1003,佐藤,,市民課,2027-13-01", 5, "no_such_day"),
        ("1003,佐藤,,市民課,来週", 5, "date"),
        ("1003,佐藤,,市民課,0027-04-01", 5, "year"),
        ("1003,佐藤,,市民課,2027-04-01,25:00,17:00", 6, "time"),
        ("1003,佐藤,,市民課,2027-04-01,8:30", 6, "half_a_shift"),
        ("1003,佐藤,,市民課,2027-04-01,8:30,8:30", 7, "no_shift"),
        ("1003,佐藤,,市民課,2027-04-01,8:30,17:15,毎日", 8, "days"),
        ("1003,佐藤,,市民課,2027-04-01,,,,たぶん", 9, "flag"),
        ("1003,佐藤,,市民課,2027-04-01,,,,,1003", 10, "own_supervisor"),
        ("1003,佐藤,,市民課,2027-04-01,,,,,1001,余り", 11, "cell_too_many"),
        ('1003,"佐藤,,市民課,2027-04-01', 0, "quote"),
        ("1003,佐\0藤,,市民課,2027-04-01", 2, "nul"),
        ("1003,佐\x1b藤,,市民課,2027-04-01", 2, "control"),
        ("1003,佐\u202e藤,,市民課,2027-04-01", 2, "control"),
        ("1003," + "長" * 400 + ",,市民課,2027-04-01", 2, "name"),
    ],
)
def test_a_bad_cell_is_named_with_line_and_column_and_the_other_rows_stay(row: str, column: int, why: str) -> None:
    parsed = read(SATO, row, "1004,高橋,,税務課,2027-04-01")
    assert [(each.line, each.column, each.why) for each in parsed.faults] == [(3, column, why)]
    assert [term.staff_number for term in parsed.terms] == ["1003", "1004"]


def test_every_fault_of_every_line_is_told() -> None:
    assert faults("=1,,,宇宙課,2027-02-30", "1004,高橋,,税務課,x") == [
        (2, 1, "formula"), (2, 2, "needed"), (2, 4, "section"), (2, 5, "no_such_day"), (3, 5, "date"),
    ]  # fmt: skip


def test_a_line_of_ten_megabytes_is_one_fault_and_hides_nothing() -> None:
    parsed = read(SATO, "9" * 10_000_000, "1004,高橋,,税務課,2027-04-01")
    assert parsed.faults == [Fault(3, 0, "too_long", str(LONGEST_LINE))]
    assert len(parsed.rows) == 2


@pytest.mark.parametrize(("whole", "stray"), [("utf-8", "cp932"), ("cp932", "utf-8")])
def test_a_line_in_the_other_encoding_is_named(whole: str, stray: str) -> None:
    rows = [HEADER.encode(whole), SATO.encode(whole), "1004,高橋次郎,,税務課,2027-04-01".encode(stray)]
    parsed = parse(b"\n".join([*rows, "1005,田中,,税務課,2027-04-01".encode(whole)]), SECTIONS.get)
    assert [(each.line, each.why) for each in parsed.faults] == [(3, "other_encoding")]
    assert [term.staff_number for term in parsed.terms] == ["1003", "1005"]


def test_bytes_that_are_neither_are_named() -> None:
    parsed = parse(f"{HEADER}\n{SATO}\n1004,".encode() + b"\xff\xff" + ",,税務課,2027-04-01".encode(), SECTIONS.get)
    assert [(each.line, each.column, each.why) for each in parsed.faults] == [(3, 2, "undecodable")]


def test_utf_16_is_told_what_to_do() -> None:
    assert [each.why for each in parse(HEADER.encode("utf-16"), SECTIONS.get).faults] == ["wide"]


def test_one_number_is_one_person_and_one_day_is_one_term() -> None:
    assert faults(SATO, "1003,別人,,税務課,2027-05-01", SATO, "1003,佐藤花子,,税務課,2028-04-01") == [
        (3, 1, "number_twice"), (4, 5, "day_twice"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("職員番号,氏名,所属", [(1, 0, "column_missing")]),
        ("職員番号,氏名,所属,発令日,血液型", [(1, 5, "column_unknown")]),
        ("職員番号,氏名,所属,発令日,name", [(1, 5, "column_twice")]),
    ],
)
def test_a_header_that_cannot_be_used_is_told_before_any_row(header: str, why: list[tuple[int, int, str]]) -> None:
    parsed = read(SATO, header=header)
    assert [(each.line, each.column, each.why) for each in parsed.faults] == why
    assert parsed.rows == []


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_told(raw: bytes) -> None:
    assert [each.why for each in parse(raw, SECTIONS.get).faults] == ["empty"]


def test_a_thousand_rows_are_a_thousand_rows() -> None:
    parsed = read(*(f"{1000 + n},職員{n},,市民課,2027-04-01" for n in range(1_000)), encoding="cp932")
    assert (len(parsed.rows), parsed.faults) == (1_000, [])


def test_too_many_rows_are_bounded() -> None:
    parsed = read(*(f"{n},職員{n},,市民課,2027-04-01" for n in range(MOST_ROWS + 2)))
    assert [each.why for each in parsed.faults] == ["too_many_rows"]


@pytest.mark.parametrize(
    "text", ["2027-04-01", "2027/4/1", "20270401", "2027年4月1日", "令和9年4月1日", "R9.4.1", "２０２７/４/１"]
)
def test_a_day_is_written_in_many_ways(text: str) -> None:
    assert day(text) == date(2027, 4, 1)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("月-金", (1, 2, 3, 4, 5)),
        ("月～土", (1, 2, 3, 4, 5, 6)),
        ("mon wed fri", (1, 3, 5)),
        ("土日", (6, 7)),
        ("Fri-Mon", (1, 5, 6, 7)),
        ("月曜・水曜", (1, 3)),
    ],
)
def test_weekdays_are_written_in_many_ways(text: str, days: tuple[int, ...]) -> None:
    assert weekdays(text) == days


@given(st.binary(max_size=400))
def test_no_bytes_raise(raw: bytes) -> None:
    parse(raw, SECTIONS.get)
    parse(HEADER.encode() + b"\n" + raw, SECTIONS.get)


@given(st.text(max_size=30))
def test_no_cell_raises_anything_else(text: str) -> None:
    for reader in (day, weekdays):
        try:
            reader(text)
        except BadCell:
            continue
