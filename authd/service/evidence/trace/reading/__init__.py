"""Reading found files: what lies in them as rows of cells and lines of text, whatever hostile hands made of them.

Nothing is unpacked anywhere, nothing is written, no length is believed: what a file gives is counted as it comes, and
what goes beyond a bound is named and left. Every fault of a file is `Unreadable`, and nothing else.
"""

from authd.service.evidence.trace.reading.found import Budget, Cell, Sink, Unreadable, Why
from authd.service.evidence.trace.reading.kinds import Reading, read

__all__ = ["Budget", "Cell", "Reading", "Sink", "Unreadable", "Why", "read"]
