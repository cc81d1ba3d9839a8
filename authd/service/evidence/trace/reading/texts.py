"""Text: in which encoding, with which delimiter; lists become rows, everything else lines."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from authd.service.evidence.trace.reading.found import Sink, Unreadable, Why

HEAD: Final = 1 << 16
LONGEST_LINE: Final = 1 << 16
_MOST_QUOTED: Final = 20
_LOOK: Final = 50
_MOSTLY: Final = 0.8
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_NOT_EUC: Final = re.compile(rb"[\x80-\x8d\x90-\xa0]")
_BREAK: Final = re.compile(r"\r\n?|\n|\x0b|\x0c|\x85|\u2028|\u2029")
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_QUOTED: Final = re.compile(r'"[^"]*"?')
_TAG: Final = re.compile(r"<[^<>]{0,1000}>")
_STRAY: Final = re.compile(rb"\x1b(?!\$[@B]|\([BJ])")
"""ESC that begins no escape sequence of ISO-2022-JP (RFC 1468). CPython's codec waits for 16 bytes after such a one,
can keep 8, and raises `UnicodeError` whatever its errors are to be."""


def encoding(head: bytes) -> str:
    """Return the encoding of a text by its first `HEAD` bytes. Raises `Unreadable` if it is not text."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if b"\0" in head:
        return _wide(head)
    if len(_CONTROL.findall(head)) > len(head) // 50:
        raise Unreadable(Why.UNKNOWN, "not text")
    if b"\x1b$" in head:
        return "iso2022_jp"
    order = ["utf-8", "cp932"] if _NOT_EUC.search(head) else ["utf-8", "euc_jp", "cp932"]
    return next((name for name in order if _decodes(head, name)), "cp932" if _wrong(head, "cp932") < 0.02 else "")


def _wide(head: bytes) -> str:
    """UTF-16 without a mark: the zeros are all on one side."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > 8 * even and odd > len(head) // 50:
        return "utf-16-le"
    if even > 8 * odd and even > len(head) // 50:
        return "utf-16-be"
    raise Unreadable(Why.UNKNOWN, "not text")


def _decodes(head: bytes, name: str) -> bool:
    try:
        codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _wrong(head: bytes, name: str) -> float:
    said = head.decode(name, "replace")
    return said.count("\ufffd") / max(1, len(said))


def read_text(stream: Iterable[bytes], sink: Sink) -> None:
    """Read a text. stream: its pieces, the first one at least `HEAD` bytes or all of it."""
    source = iter(stream)
    head = next(source, b"")
    name = encoding(head[:HEAD])
    if not name:
        raise Unreadable(Why.UNKNOWN, "not text")
    found = lines(chain([head], source), name)
    first = list(islice(found, _LOOK))
    mark = delimiter(first)
    every = chain(first, found)
    if mark is None:
        for line in every:
            sink.line(_TAG.sub("\t", line) if "<" in line else line)
        return
    for row in table(every, mark):
        sink.row(row)


def lines(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """Yield the lines of a text, cut where one is too long."""
    rest = ""
    for text in _decoded(stream, name):
        whole = _BREAK.split(rest + text)
        rest = whole.pop()
        yield from whole
        while len(rest) > LONGEST_LINE:
            yield rest[:LONGEST_LINE]
            rest = rest[LONGEST_LINE:]
    if rest:
        yield rest


def _decoded(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """Yield the text of each piece."""
    decoder = codecs.getincrementaldecoder(name)("replace")
    for piece in _designated(stream) if name == "iso2022_jp" else stream:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _designated(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces without stray ESCs; an escape sequence that a piece's end cuts goes with the next one."""
    held = b""
    for piece in stream:
        whole = held + piece
        begun = whole.find(b"\x1b", max(0, len(whole) - 2))
        cut = begun if begun >= 0 else len(whole)
        held = whole[cut:]
        yield _STRAY.sub(b"", whole[:cut])
    yield _STRAY.sub(b"", held)


def delimiter(first: list[str]) -> str | None:
    """Return what stands between the cells, if these lines are a list's."""
    written = [line for line in first if line.strip()]
    if len(written) < 2 or any(line.lstrip().startswith("<") or "('" in line for line in written[:2]):
        return None
    bare = [_QUOTED.sub("", line) for line in written]
    best: tuple[int, str] | None = None
    for mark in ",\t;|":
        usual, often = Counter(line.count(mark) for line in bare).most_common(1)[0]
        if usual and often >= _MOSTLY * len(bare) and (best is None or usual > best[0]):
            best = usual, mark
    return None if best is None else best[1]


def table(source: Iterable[str], mark: str) -> Iterator[list[str]]:
    """Yield the rows of a list; a quote that is never closed costs a few lines, not the file."""
    found = iter(source)
    for line in found:
        if '"' not in line:
            if line:
                yield line.split(mark)
            continue
        whole, more = line, 0
        while whole.count('"') % 2 and more < _MOST_QUOTED and len(whole) < LONGEST_LINE:
            whole, more = f"{whole}\n{next(found, '')}", more + 1
        yield from _quoted(whole, mark)


def _quoted(whole: str, mark: str) -> Iterator[list[str]]:
    try:
        yield from list(csv.reader([whole], delimiter=mark))
    except csv.Error:
        for line in whole.split("\n"):
            yield line.replace('"', "").split(mark)
