"""Files as people's programs write them, small: lists, Excel, Word, PDF, zip."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape

Row = Sequence[str]
_WHEN = (2015, 12, 14, 9, 0, 0)
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def listed(rows: Iterable[Row], encoding: str = "cp932", mark: str = ",", end: str = "\r\n") -> bytes:
    """Return a list; cells with the mark in them are quoted."""
    lines = (mark.join(_quoted(cell, mark) for cell in row) for row in rows)
    return (end.join(lines) + end).encode(encoding, "replace")


def _quoted(cell: str, mark: str) -> str:
    if mark not in cell and '"' not in cell:
        return cell
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'


def zipped(members: Mapping[str, bytes], level: int = 1) -> bytes:
    """Return a zip archive; the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, body in members.items():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), body, zipfile.ZIP_DEFLATED, level)
    return out.getvalue()


def workbook(rows: Iterable[Row], *, numbers: bool = False) -> bytes:
    """Return an Excel file. numbers: cells of digits are numbers, which lose their leading zeros."""
    strings: dict[str, int] = {}
    lines: list[str] = []
    for at, row in enumerate(rows, 1):
        cells = "".join(_cell(cell, strings, numbers=numbers) for cell in row)
        lines.append(f'<row r="{at}">{cells}</row>')
    shared = "".join(f"<si><t>{escape(text)}</t></si>" for text in strings)
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{_TYPES}"/>'.encode(),
            "xl/workbook.xml": _sheet("workbook", '<sheets><sheet name="1" sheetId="1"/></sheets>'),
            "xl/worksheets/sheet1.xml": _sheet("worksheet", f"<sheetData>{''.join(lines)}</sheetData>"),
            "xl/sharedStrings.xml": _sheet("sst", shared),
        }
    )


def _sheet(name: str, inner: str) -> bytes:
    return f'<{name} xmlns="{_MAIN}">{inner}</{name}>'.encode()


def _cell(text: str, strings: dict[str, int], *, numbers: bool) -> str:
    if numbers and text.isdigit():
        return f"<c><v>{int(text)}</v></c>"
    return f'<c t="s"><v>{strings.setdefault(text, len(strings))}</v></c>'


def document(rows: Iterable[Row] = (), lines: Iterable[str] = ()) -> bytes:
    """Return a Word file: paragraphs, then a table."""
    said = "".join(f"<w:p><w:r><w:t>{escape(line)}</w:t></w:r></w:p>" for line in lines)
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    table = "".join(f"<w:tr>{''.join(cell.format(escape(each)) for each in row)}</w:tr>" for row in rows)
    body = f"{said}<w:tbl>{table}</w:tbl>" if table else said
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{_TYPES}"/>'.encode(),
            "word/document.xml": f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'.encode(),
        }
    )


def printed(lines: Sequence[str], on_page: int = 40) -> bytes:
    """Return a PDF of text, in a Japanese font that every reader brings along (not embedded)."""
    pages = [lines[at : at + on_page] for at in range(0, len(lines), on_page)] or [[]]
    kids = " ".join(f"{5 + 2 * at} 0 R" for at in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>".encode(),
        b"<</Type/Font/Subtype/Type0/BaseFont/KozMinPro/Encoding/UniJIS-UTF16-H/DescendantFonts[4 0 R]>>",
        b"<</Type/Font/Subtype/CIDFontType0/BaseFont/KozMinPro"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Japan1)/Supplement 6>>>>",
    ]
    for at, page in enumerate(pages):
        text = "".join(f"<{line.encode('utf-16-be').hex()}> Tj T*\n" for line in page)
        body = zlib.compress(f"BT /F1 10 Tf 14 TL 40 800 Td\n{text}ET".encode())
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>"
            b"/Contents %d 0 R>>" % (6 + 2 * at),
            f"<</Length {len(body)}/Filter/FlateDecode>>stream\n".encode() + body + b"\nendstream",
        ]
    return _file(objects)


def _file(objects: Sequence[bytes]) -> bytes:
    out, places = bytearray(b"%PDF-1.5\n"), list[int]()
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    out += f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}".encode()
    begin = out.rindex(b"xref\n0")
    out += f"trailer<</Size {len(places) + 1}/Root 1 0 R>>\nstartxref\n{begin}\n%%EOF\n".encode()
    return bytes(out)
