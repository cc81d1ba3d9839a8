"""XML by expat, streaming: no document type, so no entity of anybody's; depth and text are bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final
from xml.parsers import expat

from authd.service.evidence.trace.reading.found import Unreadable, Why

_DEEPEST: Final = 256
_LONGEST: Final = 1 << 16


class Handler:
    """What a reader does with the elements it knows. Names are without their namespace's prefix."""

    wanted: frozenset[str] = frozenset()
    """Elements whose text is collected."""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""

    def end(self, name: str, text: str) -> None:
        """An element ends; `text` is what stood directly in it, if it is wanted."""


def parse(stream: Iterable[bytes], handler: Handler) -> None:
    """Read a stream. Raises `Unreadable`."""
    run = _Run(handler)
    try:
        for piece in stream:
            run.parser.Parse(piece, False)
        run.parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # an encoding that nobody knows is a LookupError
        raise Unreadable(Why.DAMAGED, f"XML: {error}") from None


class _Run:
    def __init__(self, handler: Handler) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = _refuse
        self.parser.EntityDeclHandler = _refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._handler, self._deep = handler, 0
        self._text: list[str] | None = None
        self._length = 0

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._deep += 1
        if self._deep > _DEEPEST:
            raise Unreadable(Why.TOO_DEEP, "XML")
        name = name.rpartition(":")[2]
        if name in self._handler.wanted:
            self._text, self._length = [], 0
            self.parser.CharacterDataHandler = self._said
        self._handler.start(name, attributes)

    def _said(self, data: str) -> None:
        if self._text is not None and self._length < _LONGEST:
            self._text.append(data)
            self._length += len(data)

    def _end(self, name: str) -> None:
        self._deep -= 1
        text, self._text = "".join(self._text or ())[:_LONGEST], None
        self.parser.CharacterDataHandler = None
        self._handler.end(name.rpartition(":")[2], text)


_Refusal = Callable[..., None]


def _refuse(*declared: object) -> None:
    raise Unreadable(Why.ENTITIES, f"declares {str(declared[0])[:40]}")
