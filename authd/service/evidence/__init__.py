"""Evidence: which person opened which record, what was protected, what was carried out, and who looked at it since.

Eight parts, each a package or module of this one, each with its verbs in `authd.service.bus`. Every one of them writes
the ledger first and keeps nothing that the ledger could not tell again.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Self

from authd.service.evidence.carryout import Carryouts
from authd.service.evidence.covers import Covers
from authd.service.evidence.credentials import Credentials
from authd.service.evidence.flags import Flags
from authd.service.evidence.ground import Ground, Part
from authd.service.evidence.procedures import Procedures
from authd.service.evidence.supervision import Supervision
from authd.service.evidence.unattributed import Unattributed
from authd.service.evidence.views import Views

__all__ = ["Evidence", "Ground"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The eight parts, made once a daemon."""

    views: Views
    flags: Flags
    carryouts: Carryouts
    procedures: Procedures
    supervision: Supervision
    covers: Covers
    unattributed: Unattributed
    credentials: Credentials

    @classmethod
    def on(cls, ground: Ground) -> Self:
        """Make every part. Nothing is read before `begin`."""
        views, procedures = Views(ground), Procedures(ground)
        flags = Flags(ground, views, procedures)
        carryouts = Carryouts(ground, flags.covered)
        views.on_view.append(carryouts.viewed)
        rest = (Supervision(ground), Covers(ground), Unattributed(ground), Credentials(ground))
        return cls(views, flags, carryouts, procedures, *rest)

    async def begin(self) -> None:
        """Read from the ledger what each part must know before a door opens. Raises `LedgerDown`."""
        for part in self._parts():
            await part.begin()

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """What runs for as long as the daemon."""
        return [job for part in self._parts() for job in part.jobs()]

    def state(self) -> Mapping[str, object]:
        """What `authd status` shows of them."""
        return {type(part).__name__.lower(): part.state() for part in self._parts()}

    def _parts(self) -> tuple[Part, ...]:
        evidence = (self.views, self.flags, self.carryouts, self.procedures, self.supervision)
        return (*evidence, self.covers, self.unattributed, self.credentials)
