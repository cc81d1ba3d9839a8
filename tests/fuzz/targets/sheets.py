"""The XML inside of workbooks and documents, without the archive around it, which would hide it from a fuzzer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from authd.service.evidence.trace.reading import Cell, Unreadable, Why
from authd.service.evidence.trace.reading.office import read_document, read_sheets


class Sink:
    def part(self, path: str, kind: str) -> None:
        pass

    def field(self, text: str) -> int:
        return len(text)

    def row(self, cells: Sequence[Cell]) -> None:
        pass

    def line(self, text: str) -> None:
        pass

    def trouble(self, path: str, why: Why, detail: str) -> None:
        pass


def one(data: bytes) -> None:
    parts = data.split(b"\0")
    names = ["xl/sharedStrings.xml", "xl/styles.xml", "xl/workbook.xml", "xl/worksheets/a.xml", "word/document.xml"]
    whole = dict(zip(names, parts, strict=False))

    def member(name: str) -> Iterator[bytes]:
        yield whole[name]

    read_sheets(list(whole), member, Sink())
    read_document(list(whole), member, Sink())


def declared(error: Exception) -> bool:
    return isinstance(error, Unreadable)


def seeds() -> Iterator[bytes]:
    strings = "<sst><si><t>山田</t><rPh><t>ヤマダ</t></rPh></si></sst>".encode()
    formats = b'<numFmts><numFmt numFmtId="164" formatCode="yyyy/mm"/></numFmts>'
    styles = b'<s>%b<cellXfs><xf numFmtId="164"/></cellXfs></s>' % formats
    sheet = b'<w><row><c t="s"><v>0</v></c><c s="0"><v>29282</v></c><c t="inlineStr"><is><t>x</t></is></c></row></w>'
    table = b"<w:tbl><w:tr><w:tc><w:p><w:t>y</w:t></w:p></w:tc></w:tr></w:tbl>"
    document = b"<w:d xmlns:w='w'><w:p><w:t>x</w:t></w:p>%b</w:d>" % table
    yield b"\0".join((strings, styles, b"<w><workbookPr date1904='1'/></w>", sheet, document))
