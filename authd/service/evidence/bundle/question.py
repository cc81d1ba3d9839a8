"""What is asked of the ledger, and under which case."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from authd.service.evidence.bundle import verify_evidence as face


class Ask(StrEnum):
    """What kind of answer is wanted."""

    EVENTS = "events"
    """Everything at a seat, by a person, or about a record."""
    CLEAR = "clear"
    """That a person did not: of this record, at this seat, in this interval."""
    RESIDENT = "resident"
    """Who opened my record."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about an interval. Times are wall-clock ms, both ends belong to it."""

    ask: Ask
    since_ms: int
    until_ms: int
    seat: str = ""
    subject: str = ""
    record: str = ""
    """A pseudonym (`rec_...`), never a record's number."""
    case: str = ""
    """The city's or the court's number."""
    made: str = ""
    """Date, in the city's words: the bundle is the same for the same date."""
    offset_min: int = 540
    """Time zone of what is printed, minutes east of UTC."""

    @property
    def needed_since_ms(self) -> int:
        """From when on rows are needed to answer: sessions may have begun before the interval."""
        return face.needs_from(self.json())

    def json(self) -> dict[str, object]:
        """Return the question as the bundle says it."""
        named = (("seat", self.seat), ("subject", self.subject), ("record", self.record))
        asked: dict[str, object] = {name: value for name, value in named if value}
        return {**asked, "from": self.since_ms, "to": self.until_ms}
