"""Found files of any kind: whatever stands in them becomes rows and lines, or a trouble with a name."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from authd.service.evidence.trace.match import Filter
from authd.service.evidence.trace.prints import Printer
from authd.service.evidence.trace.reading import Budget, Cell, read
from authd.service.evidence.trace.tally import Tally, together
from authd_simulators.leak import formats

ROWS: Sequence[Sequence[str]] = (("番号", "氏名"), ("0012", "山田 花子"))


class Sink(Tally):
    """Compares with nothing, and takes the print of everything."""

    def row(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            if isinstance(cell, str):
                self.field(cell)
        super().row(cells)

    def line(self, text: str) -> None:
        for words in together(text.split()[:8]):
            self.field(words)
        super().line(text)


def one(data: bytes) -> None:
    budget = Budget(len(data), most_given=1 << 20, most_parts=50)
    sink = Sink(0, Printer(bytes(32)), [], Filter([]), budget)
    read(io.BytesIO(data), "found", len(data), sink, budget)
    sink.outcome()


def declared(error: Exception) -> bool:
    return False  # whatever is wrong with a file is told, and nothing raised


def seeds() -> Iterator[bytes]:
    yield formats.listed(ROWS)
    yield formats.listed(ROWS, "utf-16", "\t")
    yield '1,"山田\n花子",昭和55年3月2日\n2,x,y\n'.encode()
    yield "山田 花子 様 S55.3.2 堺市3丁目2番1号 072-222-3333\n".encode("cp932")
    yield formats.listed(ROWS, "iso2022_jp") + b"1,\x1b$\x1b&@(\n"
    yield formats.workbook(ROWS, numbers=True)
    yield formats.document(ROWS, lines=["拝啓"])
    yield formats.printed(["山田 花子"])
    yield formats.zipped({"a.zip": formats.zipped({"b.csv": formats.listed(ROWS)})})
