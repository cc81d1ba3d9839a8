"""Builds the ledgers of a city for the benches: rows, tree, checkpoints and narrow index as a daemon makes them.

    python -m tests.bench.evidence_ledgers --folder DIR --rows 20000000               one segment of a month
    python -m tests.bench.evidence_ledgers --folder DIR --rows 50000000 --months 10   over segments

What is left out is durability: rows are written in large transactions without waiting for the disk. `DIR` becomes a
state folder (`ledger/`, `keys/`): `authd who` and `authd views` answer from it with `--ledger DIR/ledger`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from authd.core.model import EndReason, Entry, Epoch, Grade, Instant, Kind, SeatId, SessionId, SubjectId, Value
from authd.service.evidence.records import Pseudonyms, RecordId
from authd.service.ledger import KeySigner, seal_file
from authd.service.ledger.file import LedgerFile
from authd.service.ledger.segment import month_of
from authd.service.ledger.spans import SPAN
from authd.service.sqlite import Database, connect
from tests.bench.report import Report

SIGNER = KeySigner("authd/city", bytes(range(32)))
RECORD_KEY = bytes(range(1, 33))
BOOT = "00000000-0000-4000-8000-000000000000"
DAY_MS, WORK_MS = 86_400_000, 9 * 3_600_000
"""Every month of a built ledger has 28 days of work, from 00:00 to 09:00 UTC: 9:00 to 18:00 in Japan."""
CHUNK = 4_096
PURPOSES = ("certificate", "move", "tax", "pension", "inquiry")
SYSTEMS = ("resident", "tax", "welfare", "pension")


@dataclass(frozen=True, slots=True)
class City:
    """How large it is."""

    rows: int
    months: int = 1
    seats: int = 400
    staff: int = 4_000
    records: int = 680_000
    views: int = 20
    """Of a session."""

    @classmethod
    def of(cls, rows: int, months: int = 1) -> City:
        """Return the city in which so many rows a month are made: 20 M with 400 seats and 680,000 residents."""
        part = rows / months / 20_000_000
        return cls(rows, months, max(1, int(400 * part)), max(10, int(4_000 * part)), max(100, int(680_000 * part)))

    def seat(self, number: int) -> SeatId:
        """Return a seat's name."""
        return SeatId(f"counter-{number % self.seats:03d}")

    def subject(self, number: int) -> SubjectId:
        """Return a member of staff."""
        return SubjectId(f"sub_{number % self.staff:032x}")

    def some_record(self, rng: random.Random) -> int:
        """Return a record's number as they come up at work: half of it is about a tenth of the residents."""
        return rng.randrange(self.records if rng.random() < 0.5 else max(1, self.records // 10))

    def wall_ms(self, row: int) -> int:
        """Return when a row was made: working hours only, evenly."""
        days = 28 * self.months
        at = row * days * WORK_MS // self.rows
        day, within = divmod(at, WORK_MS)
        month, of_month = divmod(day, 28)
        return month_begin(month) + of_month * DAY_MS + within


@cache
def month_begin(month: int) -> int:
    """Return when the so-many-th month of a built ledger begins."""
    year, index = divmod(11 + month, 12)
    return int(datetime(2025 + year, index + 1, 1, tzinfo=UTC).timestamp() * 1000)


def names(city: City) -> list[RecordId]:
    """Return every record's pseudonym, by its number."""
    pseudonyms = Pseudonyms(RECORD_KEY)
    return [pseudonyms.record(str(number)) for number in range(city.records)]


def entries(city: City, records: Sequence[RecordId], seed: int = 5) -> Iterator[Entry]:
    """Yield what happens: every seat in turn, each with sessions of a grant, a start, views and an end.

    Every evening whoever still sits there logs out, and in the morning somebody else begins.
    """
    rng, today = random.Random(seed), city.rows // (28 * city.months)
    while True:
        sittings = [_sitting(city, seat, records, rng) for seat in range(city.seats)]
        last = [next(sitting) for sitting in sittings]
        yield from last
        for number in range(today - 2 * city.seats):
            seat = number % city.seats
            last[seat] = next(sittings[seat])
            yield last[seat]
        for entry in last:
            yield replace(entry, kind=Kind.SESSION_ENDED, reason=EndReason.LOGOUT, data={})


def _sitting(city: City, number: int, records: Sequence[RecordId], rng: random.Random) -> Iterator[Entry]:
    seat, at, epoch = city.seat(number), Instant(1_000_000_000_000), Epoch(1)
    touch: dict[str, Value] = {
        "reader": "vein-1",
        "factor": "vein",
        "reference": "tpl_5eb63bbbe01eeed093cb22bb8f5acdc3@1",
        "score": 0.93,
    }
    left = rng.randrange(city.views)  # the first one of a day: not every seat at the same point
    while True:
        subject = city.subject(rng.randrange(city.staff))
        session = SessionId(f"ses_{rng.getrandbits(128):032x}")
        yield Entry(Kind.GRANT, seat, epoch, subject, session, at, grade=Grade.MATCHED)
        yield Entry(Kind.SESSION_STARTED, seat, epoch, subject, session, at, grade=Grade.MATCHED, data=touch)
        for _ in range(left):
            data: dict[str, Value] = {
                "record": records[city.some_record(rng)],
                "system": SYSTEMS[number % 4],
                "screen": "juminhyo",
                "purpose": PURPOSES[number % 5],
                "call": "",
                "nonce": f"{rng.getrandbits(128):032x}",
                "factor": "vein",
                "reader": "vein-1",
                "acted": month_begin(0),
            }
            yield Entry(Kind.VIEW_OPENED, seat, epoch, subject, session, at, grade=Grade.MATCHED, data=data)
        yield Entry(Kind.SESSION_ENDED, seat, epoch, subject, session, at, EndReason.LOCK, Grade.MATCHED)
        left = city.views


def build(state: Path, city: City, report: Report | None = None) -> Path:
    """Make `state/ledger`, unless it was made for the same city before; returns its folder."""
    folder, mark = state / "ledger", state / "city.json"
    wanted = json.dumps(asdict(city))
    if mark.exists() and mark.read_text() == wanted:
        return folder
    (state / "keys").mkdir(mode=0o700, parents=True)
    for name, key in (("ledger.key", bytes(range(32))), ("record.key", RECORD_KEY)):
        (state / "keys" / name).write_bytes(key)
        (state / "keys" / name).chmod(0o600)
    began = time.perf_counter()
    _write(folder, city)
    if report is not None:
        report.figure("evidence.built_rows_per_s", city.rows / (time.perf_counter() - began), "1/s")
    mark.write_text(wanted)
    return folder


def _write(folder: Path, city: City) -> None:
    file = LedgerFile(folder, SIGNER, BOOT, _careless)
    file.open(Instant(0), city.wall_ms(0))
    story, sealed = entries(city, names(city)), 0
    try:
        for start in range(0, city.rows, CHUNK):
            rows = range(start, min(start + CHUNK, city.rows))
            if (month := month_of(city.wall_ms(start))) != file.month:
                file.roll(month)
            file.commit(file.encode([(next(story), city.wall_ms(row)) for row in rows]))
            if file.head.tree.size - sealed >= SPAN:
                sealed = seal_file(file, Instant(0), partial(city.wall_ms, start), whole=True)
        file.settle()
    finally:
        file.close()


def _careless(path: Path, read_only: bool) -> Database:
    """Do not wait for the disk: whoever loses power builds it again."""
    db = connect(path, read_only)
    if not read_only:
        for name, value in (("synchronous", 0), ("cache_size", -1_000_000), ("wal_autocheckpoint", 50_000)):
            db.pragma(name, value)
    return db


def main() -> None:
    """Build one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="becomes a state folder; about 600 bytes a row")
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--months", type=int, default=1, help="as many segments")
    args, report = parser.parse_args(), Report()
    folder = build(args.folder, City.of(args.rows, args.months), report)
    size = sum(path.stat().st_size for path in folder.iterdir())
    report.figure("evidence.bytes_per_row", size / args.rows, "bytes")
    report.exit()


if __name__ == "__main__":
    main()
