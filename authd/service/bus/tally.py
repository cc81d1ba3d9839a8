"""What came to the doors and was not carried out: counted, so that somebody may look (I12)."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Tally:
    """Counters since the start; each only grows."""

    requests: int = 0
    unauthenticated: int = 0
    """Connections refused for their key or uid, before they could say anything."""
    malformed: int = 0
    oversized: int = 0
    unauthorised: int = 0
    """Well-formed requests that the peer's role, seats or key did not allow."""
    busy: int = 0
    """Requests and connections above their bounds."""
    slow: int = 0
    """Peers cut because they did not read."""
    faults: int = 0
    """Requests that ended in a bug or a dead part of the daemon."""

    def snapshot(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)
