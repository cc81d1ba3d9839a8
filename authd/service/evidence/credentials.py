"""Passwords of old systems that authd keeps: which version of each is the last one, as the ledger tells it.

The vault lies with the brokers; no password comes here. What comes is the version and digest of what was sealed, so
that an older file which somebody put back is found, and that it can be asked since when nobody has known a password.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from authd.core.model import Entry, Grade, Kind, Value
from authd.service.bus.house import Error, Refused
from authd.service.evidence.ground import Ground, Part
from authd.service.evidence.views.bounds import Tokens
from authd.service.ledger import Recorded

MOST: Final = 100_000
REMEMBERED_MS: Final = 400 * 86_400_000
"""Who does not rotate once in so long begins anew."""
ROWS_A_SECOND, ROWS_AT_ONCE = 20.0, 2_000


class What(StrEnum):
    """What happened to it."""

    SEALED = "sealed"
    """It was handed over by somebody who knew it."""
    ROTATED = "rotated"
    """It was replaced by one that nobody has seen, and the old one was seen to open nothing."""


@dataclass(frozen=True, slots=True)
class Noted:
    """One row. `by`: the account of the operating system that did it."""

    what: What
    system: str
    account: str
    version: int
    digest: str
    by: str = ""


class Credentials(Part):
    """What the ledger knows of the vaults of this host's brokers."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._last: OrderedDict[tuple[str, str], tuple[int, int, Noted]] = OrderedDict()
        self._tokens: dict[str, Tokens] = {}
        self._writing = asyncio.Lock()

    async def begin(self) -> None:
        """Read the last row of each."""
        since = self.ground.clock.wall_ms() - REMEMBERED_MS
        kinds = (Kind.CREDENTIAL_SEALED, Kind.CREDENTIAL_ROTATED)
        rows = [row for kind in kinds for row in await self.ground.ledger.entries(f"kind:{kind}", since)]
        for row in sorted(rows, key=lambda row: row.seq):
            if (noted := _noted(row)) is not None:
                self._keep(row.seq, row.wall_ms, noted)

    def all(self) -> Sequence[tuple[int, int, Noted]]:
        """Return row, wall clock (ms) and what it says of each, by name."""
        return [self._last[name] for name in sorted(self._last)]

    async def note(self, noted: Noted) -> int:
        """Record it; return the row's number, the same one for the same again.

        Raises `LedgerDown`, and `Refused` for a version that is not newer than the last one.
        """
        async with self._writing:
            seq, _, last = self._last.get((noted.system, noted.account), (0, 0, None))
            if last is not None and (last.what, last.version, last.digest) == (
                noted.what,
                noted.version,
                noted.digest,
            ):
                return seq
            if last is not None and noted.version <= last.version:
                raise Refused(Error.REFUSED, "an older version than the last one: the vault was put back; see its copy")
            return await self._write(noted)

    async def _write(self, noted: Noted) -> int:
        now = self.ground.clock.now()
        if not self._tokens.setdefault(noted.system, Tokens(ROWS_A_SECOND, ROWS_AT_ONCE, now)).take(now):
            raise Refused(Error.BUSY, "too many at once: say this again")
        kind = Kind.CREDENTIAL_SEALED if noted.what is What.SEALED else Kind.CREDENTIAL_ROTATED
        data: dict[str, Value] = {name: value for name, value in asdict(noted).items() if name != "what"}
        seq = await self.ground.ledger.append(Entry(kind, at=now, grade=Grade.STATEMENT, data=data))
        self._keep(seq, self.ground.clock.wall_ms(), noted)
        return seq

    def state(self) -> Mapping[str, object]:
        """How many there are, and how many somebody may still know."""
        known = sum(noted.what is What.SEALED for _, _, noted in self._last.values())
        return {"sealed": len(self._last), "known_to_somebody": known}

    def _keep(self, seq: int, wall_ms: int, noted: Noted) -> None:
        self._last[noted.system, noted.account] = (seq, wall_ms, noted)
        self._last.move_to_end((noted.system, noted.account))
        while len(self._last) > MOST:
            self._last.popitem(last=False)


def _noted(row: Recorded) -> Noted | None:
    data = row.entry.data
    what = What.SEALED if row.entry.kind is Kind.CREDENTIAL_SEALED else What.ROTATED
    words = {name: str(data.get(name, "")) for name in ("system", "account", "digest", "by")}
    version = data.get("version")
    return Noted(what, version=version, **words) if isinstance(version, int) and words["account"] else None
