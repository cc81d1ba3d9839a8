"""Rosters and the lines of a door's feed: `authd.service.evidence.supervision.rows`, `authd.cli.review`."""

from __future__ import annotations

from collections.abc import Iterator

from authd.cli.review import sighting
from authd.service.evidence.supervision.rows import parse

SECTIONS = {"市民課": "resident", "税務課": "tax"}
HEADER = "職員番号,氏名,ふりがな,所属,発令日,退職日,勤務開始,勤務終了,勤務日,監督者,上司"
ROW = "1003,佐藤花子,さとうはなこ,市民課,令和9年4月1日,2028/3/31,8:30,17時15分,月-金,○,1001"
ENGLISH = "staff_number,name,section,from\n1003,Sato,税務課,20270401\n"


def one(data: bytes) -> None:
    """Read a file, and a line; every line of the file is a row or has a fault, and nothing is both."""
    parsed = parse(data, SECTIONS.get)
    lines = data.count(b"\n") + 1
    bad = {fault.line for fault in parsed.faults}
    assert all(0 < fault.line <= lines for fault in parsed.faults)
    assert bad.isdisjoint(line for line, _ in parsed.rows)
    assert len({(term.staff_number, term.since) for term in parsed.terms}) == len(parsed.rows)
    sighting(data, "door")


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant: there is none, a fault is an answer."""
    return False


def seeds() -> Iterator[bytes]:
    """Yield files in both encodings, and a line of a feed."""
    for encoding in ("utf-8", "utf-8-sig", "cp932"):
        yield f"{HEADER}\r\n{ROW}\r\n1004,{ROW[5:]}\r\n".encode(encoding)
    yield ENGLISH.encode()
    yield f"{HEADER}\n".encode() + ROW.encode("cp932")
    yield "2027-04-01T12:05:00+09:00,1003,裏口,out\n".encode()
