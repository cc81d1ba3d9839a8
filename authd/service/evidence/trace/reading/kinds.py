"""What a file is, by its first bytes and never by its name, and who reads it."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import IO, Final

from authd.service.evidence.trace.reading import archives, office, pdf, texts
from authd.service.evidence.trace.reading.found import PIECE, Budget, Sink, Unreadable, Why, pieces

_OLE: Final = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED_OFFICE: Final = "EncryptedPackage".encode("utf-16-le")
_FOREIGN: Final = {
    b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"MSCF": "cab",
    b"\x89PNG": "picture", b"\xff\xd8\xff": "picture", b"GIF8": "picture", b"II*\0": "picture", b"MM\0*": "picture",
    b"BM": "picture", b"RIFF": "sound or film", b"ID3": "sound", b"OggS": "sound", b"MZ": "program",
    b"\x7fELF": "program", b"SQLite format 3\0": "database", b"\0\x01\0\0Standard": "database", b"ITSF": "help",
}  # fmt: skip
_LZH: Final = (b"-lh", b"-lz")


def read(file: IO[bytes], name: str, size: int, sink: Sink, budget: Budget) -> None:
    """Read a file with everything in it. Whatever cannot be read is told to the sink, by part."""
    Reading(sink, budget).file(file, name, size, 0)


class Reading:
    """One file's reading."""

    def __init__(self, sink: Sink, budget: Budget) -> None:
        self._sink, self._budget = sink, budget

    def file(self, file: IO[bytes], path: str, size: int, deep: int) -> None:
        """Read something that can be read from any place."""
        self._guarded(path, lambda: self._file(file, path, size, deep))

    def _guarded(self, path: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Unreadable as error:
            self._sink.trouble(path, error.why, error.detail)
            if error.why in {Why.BOMB, Why.TOO_LONG} and "!" in path:
                raise  # of the whole file, not of this part
        except RecursionError:
            self._sink.trouble(path, Why.TOO_DEEP, "")

    def _file(self, file: IO[bytes], path: str, size: int, deep: int) -> None:
        head = file.read(8)
        file.seek(0)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            self._zip(file, path, size, deep)
        elif head.startswith(b"%PDF"):
            self._pdf(file, path, size)
        elif head.startswith(b"\x1f\x8b"):
            self._gzip(file, path)
        else:
            self._stream(pieces(file, None), path)

    def _pdf(self, file: IO[bytes], path: str, size: int) -> None:
        if size > pdf.LARGEST:
            raise Unreadable(Why.TOO_LARGE, f"a PDF of {size >> 20} MiB")
        self._sink.part(path, "pdf")
        pdf.read_pdf(file.read(pdf.LARGEST), self._sink, self._budget)

    def _gzip(self, file: IO[bytes], path: str) -> None:
        def unpacked() -> Iterator[bytes]:
            try:
                yield from pieces(gzip.GzipFile(fileobj=file), self._budget)  # type: ignore[arg-type]  # it reads
            except (OSError, EOFError, zlib.error) as error:
                raise Unreadable(Why.DAMAGED, f"gzip: {error}") from None

        self._stream(unpacked(), path)

    def _stream(self, source: Iterator[bytes], path: str) -> None:
        """Read what can be read from its beginning only."""
        head = next(source, b"")
        while len(head) < texts.HEAD and (more := next(source, b"")):
            head += more
        if not head:
            self._sink.part(path, "empty")
            return
        _foreign(head)
        self._sink.part(path, "text")
        texts.read_text(chain([head], source), self._sink)

    def _zip(self, file: IO[bytes], path: str, size: int, deep: int) -> None:
        if deep >= self._budget.most_deep:
            raise Unreadable(Why.TOO_DEEP, f"{deep} archives in each other")
        with archives.open_zip(file, size, self._budget) as archive:
            infos = archive.infolist()
            names = {info.filename: info for info in infos}
            if "[Content_Types].xml" in names and self._office(archive, names, path):
                return
            for info in infos:
                if not info.filename.endswith("/"):  # `is_dir` has no answer for an empty name
                    self._budget.begin_part()
                    self._member(archive, info, path, deep)

    def _office(self, archive: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo], path: str) -> bool:
        """Read a workbook or a document; return whether it is one."""
        reader = office.read_sheets if "xl/workbook.xml" in names else office.read_document
        if reader is office.read_document and "word/document.xml" not in names:
            return False

        def member(name: str) -> Iterator[bytes]:
            archives.refuse(names[name], name)
            return archives.member(archive, names[name], self._budget)

        self._sink.part(path, "xlsx" if reader is office.read_sheets else "docx")
        reader(list(names), member, self._sink)
        return True

    def _member(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, deep: int) -> None:
        name = archives.named(info)
        inner = f"{path}!{name}"

        def work() -> None:
            archives.refuse(info, name)
            source = archives.member(archive, info, self._budget)
            head = next(source, b"")
            if head.startswith((b"PK\x03\x04", b"%PDF")):
                self._held(archive, info, inner, deep)
            else:
                self._stream(chain([head], source), inner)

        self._guarded(inner, work)

    def _held(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, deep: int) -> None:
        """Read a member that must be read from its end: it is kept in memory meanwhile."""
        raw = archives.whole(archive, info, self._budget)
        self._budget.held += len(raw)
        try:
            self._file(io.BytesIO(raw), path, len(raw), deep + 1)
        finally:
            self._budget.held -= len(raw)


def _foreign(head: bytes) -> None:
    if head.startswith(_OLE):
        encrypted = _ENCRYPTED_OFFICE in head[:PIECE]
        raise Unreadable(Why.ENCRYPTED if encrypted else Why.OLD_OFFICE, "office")
    for mark, name in _FOREIGN.items():
        if head.startswith(mark):
            raise Unreadable(Why.UNKNOWN if name in {"picture", "sound", "program"} else Why.NO_READER, name)
    if head[2:5] in _LZH and head[6:7] == b"-":
        raise Unreadable(Why.NO_READER, "lzh")
