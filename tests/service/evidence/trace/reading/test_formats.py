"""Every format gives the same rows, whatever the file is called."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authd.service.evidence.trace.reading.texts import lines
from authd_simulators.leak import formats
from tests.service.evidence.trace.reading.conftest import Heard

ROWS = [
    ["番号", "氏名", "生年月日", "住所"],
    ["0012345678", "山田 花子", "1980-03-02", "堺市堺区南瓦町3-1, 201"],
    ["0087654321", "髙橋 健一", "1955-12-24", '"奥" の家'],
]


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "euc_jp"])
@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_lists_in_every_encoding(heard: Heard, encoding: str, mark: str) -> None:
    rows = [[cell.replace('"', "").replace("髙", "高") for cell in row] for row in ROWS]
    assert heard.read(formats.listed(rows, encoding, mark)).rows == rows
    assert heard.troubles == []


BITS = st.sampled_from([b"\x1b", b"$", b"(", b"B", b"J", b"@", b"&", b"I", b"\n", b"x", b"9b", b",", b"\x94"])


@given(bits=st.lists(BITS, max_size=40), size=st.integers(1, 20))
@example(bits=["番号,氏名\n1,高(B$B\n2,山田 花子".encode("iso2022_jp")], size=1)
@example(bits=[b"\x1b(", b"x" * 10, b"\x1b$", b"x" * 10], size=100)
def test_iso_2022_jp_in_pieces_of_any_size(bits: list[bytes], size: int) -> None:
    """Wherever a piece ends, within a letter or an escape sequence, good or broken: the text is the same."""
    raw = b"".join(bits)
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert list(lines(pieces, "iso2022_jp")) == list(lines([raw], "iso2022_jp"))


def test_iso_2022_jp_in_single_bytes() -> None:
    written = "番号,氏名\n1,高(B$B\n2,山田 花子"
    assert list(lines((bytes([byte]) for byte in written.encode("iso2022_jp")), "iso2022_jp")) == written.splitlines()


@pytest.mark.parametrize("began", [b"$", b"(", b"&@", b"$$", b"(" + b"x" * 10 + b"\x1b$", b"$(D", b"(\x1b"])
@pytest.mark.parametrize("length", range(20))
def test_an_escape_sequence_that_does_not_end(heard: Heard, began: bytes, length: int) -> None:
    """Python's codec raised "pending buffer overflow", whatever its errors are to be."""
    broken = b"\x1b" + began + b"x" * length
    names = ["番号", "氏名"]
    assert heard.read(formats.listed([names], "iso2022_jp") + b"1,2\n3," + broken).rows[0] == names
    assert "".join(lines([b"ab\n", broken, b"\n" + b"cd" * 20], "iso2022_jp")).endswith("cdcd")


def test_quotes_in_a_list(heard: Heard) -> None:
    content = '番号,氏名\r\n1,"山田, 花子"\r\n2,"a ""b"""\r\n3,"two\nlines"\r\n'.encode("cp932")
    assert heard.read(content).rows == [["番号", "氏名"], ["1", "山田, 花子"], ["2", 'a "b"'], ["3", "two\nlines"]]


def test_a_quote_that_is_never_closed_costs_a_few_lines(heard: Heard) -> None:
    content = "\n".join(['1,"山田', *(f"{number},x" for number in range(2, 100))]).encode()
    assert ["99", "x"] in heard.read(content).rows


def test_running_text_is_lines(heard: Heard) -> None:
    heard.read("山田 花子様の件\r\n生年月日 昭和55年3月2日\n".encode("cp932"))
    assert heard.lines == ["山田 花子様の件", "生年月日 昭和55年3月2日"]


def test_a_page_is_lines_without_its_tags(heard: Heard) -> None:
    heard.read("<!doctype html>\n<td>山田 花子</td>".encode())
    assert [line.split() for line in heard.lines][-1] == ["山田", "花子"]


@pytest.mark.parametrize(("writer", "kind"), [(formats.workbook, "xlsx"), (formats.document, "docx")])
def test_office_files(heard: Heard, writer: Callable[[list[list[str]]], bytes], kind: str) -> None:
    heard.read(writer(ROWS))
    assert heard.parts == [("file", kind)]
    assert heard.rows == ROWS


def test_a_documents_paragraphs(heard: Heard) -> None:
    assert heard.read(formats.document(ROWS, lines=["拝啓", "山田 花子 様"])).lines == ["拝啓", "山田 花子 様"]
    assert heard.rows == ROWS


def test_a_sheet_of_another_program(heard: Heard) -> None:
    """Inline strings, shared ones with how they are read aloud, a date that is a number, a number with an exponent."""
    sheet = """<worksheet xmlns="m"><sheetData><row><c t="inlineStr"><is><t>山田</t></is></c><c t="s"><v>0</v></c>
      <c s="1"><v>29282</v></c><c><v>7.22222333E8</v></c><c t="str"><f>A1</f><v>式</v></c><c/></row>
      </sheetData></worksheet>"""
    general, day = b'<xf numFmtId="0"/>', b'<xf numFmtId="14"/>'
    members = {
        "[Content_Types].xml": b"<Types/>",
        "xl/workbook.xml": b"<workbook/>",
        "xl/styles.xml": b"<s><cellStyleXfs>%b</cellStyleXfs><cellXfs>%b%b</cellXfs></s>" % (day, general, day),
        "xl/sharedStrings.xml": "<sst><si><r><t>花</t></r><r><t>子</t></r><rPh><t>ハナコ</t></rPh></si></sst>".encode(),
        "xl/worksheets/sheet7.xml": sheet.encode(),
    }
    assert heard.read(formats.zipped(members)).rows == [["山田", "花子", "1980-03-02", "722222333", "式"]]


def test_a_pdf_by_its_text(heard: Heard) -> None:
    heard.read(formats.printed([" ".join(row) for row in ROWS]))
    assert [line.split() for line in heard.lines] == [" ".join(row).split() for row in ROWS]


def test_archives_in_each_other(heard: Heard) -> None:
    inner = formats.zipped({"a.xlsx": formats.workbook(ROWS), "b.csv": formats.listed(ROWS, "utf-8")})
    heard.read(formats.zipped({"内/inner.zip": inner}))
    assert heard.parts == [("file!内/inner.zip!a.xlsx", "xlsx"), ("file!内/inner.zip!b.csv", "text")]
    assert heard.rows == ROWS + ROWS


def test_names_of_japanese_windows(heard: Heard) -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("XXXX.txt", "x\n")
    heard.read(out.getvalue().replace(b"XXXX.txt", "名簿".encode("cp932") + b".txt"))
    assert heard.parts == [("file!名簿.txt", "text")]


def test_gzip(heard: Heard) -> None:
    assert heard.read(gzip.compress(formats.listed(ROWS, "utf-8"))).rows == ROWS


def test_an_empty_file_is_read(heard: Heard) -> None:
    assert heard.read(b"").troubles == []
