"""Linked systems: which version of the registry each one holds, and who is silent.

A system says that it is there every second, with the version it holds; a version that is news is a ledger row before it
is believed. One that has not been heard for `SILENT_AFTER` is silent, and covers nothing until it is heard again.
"""

from __future__ import annotations

import asyncio
import hmac
from base64 import b32encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from authd.core.model import SECOND, Entry, Instant, Kind, Value
from authd.service.bus.house import Error, Refused
from authd.service.config import ApplicationConfig
from authd.service.evidence.ground import Ground
from authd.service.evidence.records import RecordId, derived
from authd.service.evidence.views.bounds import Tokens

SILENT_AFTER: Final = 4 * SECOND
LOOK_S: Final = 0.5
NEWS_RATE, NEWS_BURST = 20.0, 200
"""Acknowledgements of another version, a second and at once: each is a ledger row."""
MATCH_RATE, MATCH_BURST = 50.0, 200
_BYTES: Final = 16


class Marks:
    """What one system knows a record by: a mark of its own, which no other system and no ledger row has.

    It is made of the pseudonym, which only authd can make of a number; so no system needs a key, and what one system
    holds cannot be laid beside what another one holds, or beside the ledger.
    """

    def __init__(self, record_key: bytes) -> None:
        self._record_key = record_key
        self._keys: dict[str, bytes] = {}

    def mark(self, system: str, record: RecordId) -> str:
        """Return `mark_` and 26 characters."""
        key = self._keys.get(system)
        if key is None:
            key = self._keys[system] = derived(self._record_key, f"mark/{system}")
        digest = hmac.digest(key, record.encode(), "sha256")[:_BYTES]
        return "mark_" + b32encode(digest).decode().lower().rstrip("=")


@dataclass(slots=True)
class _Link:
    version: int = 0
    heard: Instant | None = None
    told: bool = False
    """Its silence stands in the ledger."""
    news: Tokens | None = None
    matches: Tokens | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far one system has come."""

    system: str
    name_ja: str
    name_en: str
    linked: bool
    version: int
    """What it holds; 0: nothing that it ever told."""
    wanted: int
    """The registry's own version."""
    silent: bool
    silent_s: int | None
    """Seconds since it was heard; None: not since the daemon began."""
    covered: bool


class Links:
    """The systems with `linked = true`. `wanted`: the registry's version now."""

    def __init__(self, ground: Ground, wanted: Callable[[], int]) -> None:
        self._ground = ground
        self._wanted = wanted
        self._begun = ground.clock.now()
        self._links = {each.name: _Link() for each in ground.config.applications.values() if each.linked}

    async def begin(self) -> None:
        """Read from the ledger what each one held last. Silent until it is heard. Raises `LedgerDown`."""
        self._begun = self._ground.clock.now()
        for row in await self._ground.ledger.entries(f"kind:{Kind.FLAG_HELD}"):
            link = self._links.get(str(row.entry.data.get("system", "")))
            version = row.entry.data.get("version")
            if link is not None and isinstance(version, int):
                link.version = version

    async def watch(self) -> None:
        """Write it down when a system falls silent."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._ground.clock.now()
            for system, link in self._links.items():
                since = self._begun if link.heard is None else link.heard  # one that has never come had the time to
                if not link.told and now - since > SILENT_AFTER:
                    link.told = True
                    self._ground.ledger.write(self._entry(system, link.version, silent=True))

    def check(self, system: str) -> None:
        """Raise `Refused` unless the system is a linked one."""
        if system not in self._links:
            raise Refused(
                Error.NOT_PERMITTED,
                f"not a linked system: set linked = true in [application.{system}] of authd.toml",
            )

    def matching(self, system: str) -> None:
        """The system asks for marks. Raises `Refused` where it may not, or not so fast."""
        self.check(system)
        link = self._links[system]
        link.matches = self._take(link.matches, MATCH_RATE, MATCH_BURST)

    async def held(self, system: str, version: int) -> None:
        """The system says that it is there, and which version it holds: durable if it is news. `LedgerDown`, `Refused`.

        A lower one than before is believed too: it was restored from a copy, and has to catch up.
        """
        self.check(system)
        if version > self._wanted():
            raise Refused(Error.REFUSED, f"there is no version {version}: it is another registry's; follow it from 0")
        link = self._links[system]
        if version != link.version or link.told:
            link.news = self._take(link.news, NEWS_RATE, NEWS_BURST)
            await self._ground.ledger.append(self._entry(system, version, silent=False))
        link.version, link.heard, link.told = version, self._ground.clock.now(), False

    def covered(self, system: str) -> bool:
        """Whether the system holds every protection there is, and is not silent. One that is not linked holds none."""
        link = self._links.get(system)
        return link is None or not (self._silent(link) or link.version != self._wanted())

    def coverage(self) -> Sequence[Coverage]:
        """Return every application, linked or not."""
        return [self._coverage(each.name, each.name_ja, each.name_en) for each in self._applications()]

    def _take(self, tokens: Tokens | None, rate: float, burst: int) -> Tokens:
        now = self._ground.clock.now()
        left = tokens or Tokens(rate, burst, now)
        if not left.take(now):
            raise Refused(Error.BUSY, "too often: say it again in a second")
        return left

    def _applications(self) -> Iterable[ApplicationConfig]:
        return self._ground.config.applications.values()

    def _coverage(self, system: str, name_ja: str, name_en: str) -> Coverage:
        link = self._links.get(system)
        if link is None:
            return Coverage(system, name_ja, name_en, False, 0, self._wanted(), False, None, False)
        now, silent = self._ground.clock.now(), self._silent(link)
        ago = None if link.heard is None else (now - link.heard) // SECOND
        covered = self.covered(system)
        return Coverage(system, name_ja, name_en, True, link.version, self._wanted(), silent, ago, covered)

    def _silent(self, link: _Link) -> bool:
        """One that was never heard is silent from the first moment."""
        return link.heard is None or self._ground.clock.now() - link.heard > SILENT_AFTER

    def _entry(self, system: str, version: int, *, silent: bool) -> Entry:
        data: dict[str, Value] = {"system": system, "version": version, "silent": silent}
        return Entry(Kind.FLAG_HELD, at=self._ground.clock.now(), data=data)
