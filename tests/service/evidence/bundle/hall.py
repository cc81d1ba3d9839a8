"""A city hall with two seats and two members of staff, one of whom opened a record; and whoever forges a bundle."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from authd.core.model import EndReason, Entry, Epoch, Grade, Instant, Kind, SeatId, SessionId, SubjectId, Value
from authd.core.tlog import write_key
from authd.service.evidence.bundle import Ask, Bundle, Question, build
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.evidence.bundle.build import VERIFIER, Head
from authd.service.ledger import Ledger, Reader, published
from tests.service.ledgers import BEGIN, SIGNER, HandClock, opened

MINUTE = 60_000
HOUR = 60 * MINUTE
SATO, ITO = SubjectId("sub_sato"), SubjectId("sub_ito")
ONE, TWO = SeatId("counter-1"), SeatId("counter-2")
HERS, OTHERS = "rec_hers", "rec_others"
NAMES: face.Names = {
    "people": {SATO: "佐藤 花子 (市民課)", ITO: "伊藤 次郎 (税務課)"},
    "seats": {ONE: "窓口1"},
    "systems": {"resident": "住民記録"},
}
KEY = write_key(SIGNER.name, SIGNER.public_key)
OWN = VERIFIER.read_bytes()


class DayClock(HandClock):
    """The wall clock and the rows' times are set by hand; how long the disk takes is not."""

    def now(self) -> Instant:
        return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


@dataclass
class Hall:
    """Writes what happens at the seats, in the ledger of a folder."""

    ledger: Ledger
    clock: HandClock
    sessions: int = 0
    open: dict[SeatId, Entry] = field(default_factory=dict[SeatId, Entry])

    async def sits(self, seat: SeatId, subject: SubjectId) -> None:
        self.sessions += 1
        session = SessionId(f"ses_{self.sessions}")
        data: dict[str, Value] = {"factor": "vein", "reader": "vein-1", "score": 0.9}
        self.open[seat] = self._entry(Kind.SESSION_STARTED, seat, subject, session, data)
        await self.ledger.append(self.open[seat])
        self.clock.step(1)

    async def opens(self, seat: SeatId, record: str, **data: Value) -> None:
        sitting = self.open[seat]
        said: dict[str, Value] = {"record": record, "system": "resident", "screen": "address", "purpose": "転出届"}
        assert sitting.subject is not None
        await self.ledger.append(
            self._entry(Kind.VIEW_OPENED, seat, sitting.subject, sitting.session, {**said, **data})
        )
        self.clock.step(1)

    async def leaves(self, seat: SeatId) -> None:
        sitting = self.open.pop(seat)
        await self.ledger.append(
            replace(sitting, kind=Kind.SESSION_ENDED, at=Instant(self.clock.at), reason=EndReason.LOCK, data={})
        )
        self.clock.step(1)

    async def quiet(self, minutes: float) -> None:
        self.clock.step(minutes * 60)
        await self.ledger.append(
            Entry(Kind.READER_AVAILABLE, TWO, at=Instant(self.clock.at), data={"reader": "vein-2"})
        )

    def _entry(
        self, kind: Kind, seat: SeatId, subject: SubjectId, session: SessionId | None, data: Mapping[str, Value]
    ) -> Entry:
        return Entry(kind, seat, Epoch(1), subject, session, Instant(self.clock.at), None, Grade.MATCHED, data)


async def a_day(folder: Path) -> None:
    """Sato opens her record at 10:00 and another at 10:01; Ito sits at the other seat. A quiet day before and after."""
    async with opened(folder, clock := DayClock()) as ledger:
        hall = Hall(ledger, clock)
        await hall.quiet(1)
        await hall.quiet(10 * 60 - 1)
        await hall.sits(ONE, SATO)
        await hall.sits(TWO, ITO)
        await hall.opens(ONE, HERS)
        clock.step(60)
        await hall.opens(ONE, OTHERS)
        await hall.opens(TWO, OTHERS)
        await hall.leaves(ONE)
        await hall.leaves(TWO)
        await hall.quiet(60)
        await hall.quiet(24 * 60)


def asked(
    ask: Ask = Ask.EVENTS,
    *,
    since: int = 9 * HOUR,
    until: int = 11 * HOUR,
    seat: str = "",
    subject: str = "",
    record: str = "",
) -> Question:
    """Ask about the day, from 9 to 11 unless it is said otherwise."""
    return Question(ask, BEGIN + since, BEGIN + until, seat, subject, record, "2025-17", "2025-12-01")


def head_of(folder: Path, *anchors: str) -> Head:
    note = published(folder)
    assert note is not None
    return Head(note, SIGNER.name, SIGNER.public_key, anchors=anchors)


def bundle_of(folder: Path, question: Question, *anchors: str, whole: bool = True) -> Bundle:
    reader = Reader(folder)
    try:
        return build(reader, question, head_of(folder, *anchors), NAMES, whole=whole)
    finally:
        reader.close()


def judged(data: bytes, trust: face.Trust | None = None) -> face.Verdict:
    return face.verify(data, trust or face.Trust(face.read_key(KEY)), OWN)


def members_of(data: bytes) -> dict[str, bytes]:
    faults: list[face.Fault] = []
    members = face.unpack(data, faults)
    assert not faults
    return members


def forged(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """What somebody makes of a bundle who knows all of its rules: manifest, hashes and printed pages are made anew."""
    members = members_of(data)
    change(members)
    members.pop("manifest.json")
    faults: list[face.Fault] = []
    try:
        found = face.read_found({"manifest.json": b"", **members}, face.Trust(), faults, [])
        members |= {f"answer.{language}.html": face.page(found, language) for language in face.LANGUAGES}
    except face.Broken:
        pass
    listed = list(members.items())
    return face.pack([("manifest.json", face.manifest_of(listed)), *listed])


def told(verdict: face.Verdict) -> set[str]:
    """Ids of what is wrong."""
    return {fault.what for fault in verdict.faults}
