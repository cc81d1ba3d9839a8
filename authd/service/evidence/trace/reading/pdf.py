"""PDF text, by pypdf: page after page; pictures of text are not read."""

from __future__ import annotations

import io
import logging
from typing import Final

import pypdf

from authd.service.evidence.trace.reading.found import Budget, Sink, Unreadable, Why

LARGEST: Final = 32 << 20
_MOST_PAGES: Final = 5_000
_MOST_INFLATED: Final = 16 << 20
_BOUNDS: Final = pypdf.Configuration(
    array_based_stream_maximum_output_length=_MOST_INFLATED,
    lzw_maximum_output_length=_MOST_INFLATED,
    run_length_maximum_output_length=_MOST_INFLATED,
    zlib_maximum_output_length=_MOST_INFLATED,
)

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it thinks of a hostile file is nobody's news


def read_pdf(raw: bytes, sink: Sink, budget: Budget) -> None:
    """Read a document's text. Raises `Unreadable`."""
    try:
        with pypdf.apply_configuration(_BOUNDS):
            _read(raw, sink, budget)
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # a parser of a hostile format: whatever it raises is the fault of the file
        raise Unreadable(Why.DAMAGED, f"PDF: {type(error).__name__}") from None


def _read(raw: bytes, sink: Sink, budget: Budget) -> None:
    document = pypdf.PdfReader(io.BytesIO(raw), strict=False)
    if document.is_encrypted:
        raise Unreadable(Why.ENCRYPTED, "PDF")
    for number, page in enumerate(document.pages):
        if number >= _MOST_PAGES:
            raise Unreadable(Why.TOO_MANY, f"more than {_MOST_PAGES} pages")
        said = page.extract_text()
        budget.give(len(said))
        for line in said.splitlines():
            sink.line(line)
