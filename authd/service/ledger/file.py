"""The segment that is being written: rows in, durable rows out. Synchronous, used by one thread."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import apsw

from authd.core.model import Entry, Instant, Kind, Value
from authd.core.tlog import Signer, leaf_hash
from authd.service.ledger.head import Head, publish, sign_head
from authd.service.ledger.inbox import CAPACITY
from authd.service.ledger.migrate import migrate
from authd.service.ledger.narrow import placed
from authd.service.ledger.placing import Placing
from authd.service.ledger.record import Recorded, encode
from authd.service.ledger.segment import (
    AT_ONCE,
    Connect,
    create,
    month_in,
    month_of,
    put_checkpoint,
    put_rows,
    segment_number,
    segments,
)
from authd.service.ledger.survey import Survey, rows_after, survey
from authd.service.ledger.trouble import LedgerFormat
from authd.service.sqlite import Database

MILESTONE = 1_024
"""Rows between signed checkpoints that are kept for ever; those in between make room for the next."""
PUBLISH_MANY = 4 * MILESTONE
"""Signed rows that the file beside the segments may lag behind, at most; and never longer than `writer.SIGN_AFTER`."""
PLACE_FEW, PLACE_MANY = 256, 32_768
"""Rows that are brought into the narrow index with every checkpoint; rows that are, at the latest. In between there is
too much to do: then larger blocks are cheaper."""
GAP_MARGIN = 5 * (PUBLISH_MANY + MILESTONE + CAPACITY)
"""Numbers passed over after a loss, above any that a lost row which the file did not vouch for can have had."""

Pending = tuple[Entry, int]
"""An entry, and its wall-clock time in ms."""


class LedgerFile:
    """The last segment of one folder, open for writing; `head` is what is durable."""

    def __init__(self, folder: Path, signer: Signer, boot: str, connect: Connect) -> None:
        self.folder = folder
        self.head = Head.new()
        self.signed = 0
        """Tree size of the newest signed checkpoint."""
        self._signer, self._boot, self._connect = signer, boot, connect
        self.note = ""
        """The newest signed checkpoint."""
        self._unpublished = False
        self._published = 0
        """Tree size that the file beside the segments vouches for."""
        self._first = 0
        self._placing = Placing(folder)
        self._db: Database | None = None
        self._path = folder
        self._lock = -1

    @property
    def db(self) -> Database:
        """The open segment. Raises apsw.ConnectionClosedError while there is none."""
        if self._db is None:
            raise apsw.ConnectionClosedError("the ledger is closed")
        return self._db

    def open(self, now: Instant, wall_ms: int) -> None:
        """Look, then open for writing; a loss becomes a `ledger.gap` row before anything else. Raises `LedgerDown`."""
        self._hold()
        found = survey(self.folder, self._signer, self._connect)
        self.head, self.signed = found.head, found.signed
        if found.last is None:
            self._begin(1, month_of(wall_ms))
        else:
            migrate(self.folder, self._connect)
            self._attach(found.last)
        if found.lost or found.unvouched:
            self._gap(found, now, wall_ms)
        else:  # the segments may know a newer checkpoint than a file that a crash left behind
            self._unpublished = True
            self.publish()

    def reopen(self) -> list[Recorded]:
        """Open the last segment anew after a failure, and return its rows behind `head`: their fate was unknown."""
        self._detach()
        self._attach(segments(self.folder)[-1])
        return self.beyond()

    def beyond(self) -> list[Recorded]:
        """Return the rows that are stored behind `head`."""
        return list(rows_after(self.db, self.head.seq, self.folder))

    def adopt(self, rows: Sequence[Recorded]) -> None:
        """Go on behind rows that turned out to be durable."""
        self._placing.add(rows, self.head.take_all(rows))

    @property
    def unsigned(self) -> int:
        """Durable rows that no stored checkpoint covers yet."""
        return self.head.tree.size - self.signed

    def encode(self, pending: Sequence[Pending]) -> list[Recorded]:
        """Give entries their numbers and bytes; nothing is stored."""
        boot, first = self._boot, self.head.seq + 1
        return [
            Recorded(seq, wall, entry, encode(seq, wall, boot, entry), boot)
            for seq, (entry, wall) in enumerate(pending, first)
        ]

    def commit(self, rows: Sequence[Recorded], *, sign: bool = False) -> None:
        """Store rows, durably, in one transaction, with a signed checkpoint where one is due. All or nothing."""
        head = self.head.copy()
        leaves = head.take_all(rows)
        sign = sign or head.tree.size - self.signed >= MILESTONE
        note = sign_head(head, self._signer) if sign else ""
        place = self._place_now(rows, sign)
        with self.db.transaction() if sign or place or len(rows) not in AT_ONCE else nullcontext():
            if place:
                self._placing.write(self.db)
            put_rows(self.db, rows)
            if sign:
                self._sign(head, note)
        self.head = head
        if place:
            self._placing.written()
        self._placing.add(rows, leaves)
        if sign:
            self.signed, self.note, self._unpublished = head.tree.size, note, True

    def publish(self) -> None:
        """Put the newest signed checkpoint, whose rows are durable, into the file beside the segments."""
        if self._unpublished:
            publish(self.folder, self.note)
            self._unpublished, self._published = False, self.signed

    @property
    def lagging(self) -> bool:
        """Whether the file beside the segments must be published without waiting any longer."""
        return self.signed - self._published >= PUBLISH_MANY

    def pulse(self) -> None:
        """Make one meaningless change durable, to see whether the disk can."""
        self.db.execute("UPDATE meta SET value = value + 1 WHERE name = 'pulse'")

    @property
    def settled(self) -> bool:
        """Whether every row is signed and in the narrow index, and the checkpoint file is up to date."""
        return not (self.unsigned or len(self._placing) or self._unpublished)

    def settle(self) -> None:
        """Sign, index and publish what is not yet."""
        if self.unsigned or len(self._placing):
            self.commit([], sign=True)
        self.publish()

    @property
    def month(self) -> str:
        """The month the open segment is of."""
        return month_in(self._path)

    def roll(self, month: str) -> None:
        """Go on in a new segment, of this month, unless the open one has no rows yet."""
        if self._has_rows():
            self.settle()
            number = segment_number(self._path) + 1
            self._detach()
            self._begin(number, month)

    def close(self) -> None:
        """Sign what is not signed yet, and close."""
        try:
            if self._db is not None:
                self.settle()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close without a word; safe to call at any time."""
        try:
            self._detach()
        finally:
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def _hold(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held = f"{self.folder} is held by another process: see authd status; authd stop ends it"
            raise LedgerFormat(held) from error

    def _begin(self, number: int, month: str, *, vouch: bool = True) -> None:
        note = sign_head(self.head, self._signer)
        if vouch:
            publish(self.folder, note)
        path = create(self.folder, number, month, self.head, self._placing.edge, note, self._connect)
        self.signed, self.note = self.head.tree.size, note
        self._attach(path)

    def _attach(self, path: Path) -> None:
        db = self._db = self._connect(path, False)
        self._path = path
        self.note = str(db.value("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1"))
        self._first = int(db.value("SELECT min(size) FROM checkpoint"))
        rows = list(rows_after(db, placed(db), self.folder))
        self._placing = Placing.load(self.folder, db)
        self._placing.add(rows, [leaf_hash(row.bytes) for row in rows])

    def _detach(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _gap(self, found: Survey, now: Instant, wall_ms: int) -> None:
        """Until the gap's row is durable the checkpoint file stays, so that a crash on the way forgets nothing."""
        size, last = self.head.tree.size, self.head.seq
        data: dict[str, Value] = {"lost": found.lost, "size": size, "last": last, "vouched": found.vouched}
        self.commit([], sign=True)
        number = segment_number(self._path) + 1
        self._detach()
        self.head.seq += found.lost + GAP_MARGIN
        self._begin(number, month_of(wall_ms), vouch=False)
        self.commit(self.encode([(Entry(Kind.LEDGER_GAP, at=now, data=data), wall_ms)]), sign=True)
        self.publish()

    def _has_rows(self) -> bool:
        return self.db.value("SELECT 1 FROM entry LIMIT 1") is not None

    def _place_now(self, rows: Sequence[Recorded], sign: bool) -> bool:
        """Index now what is durable: when there is nothing else to do, when it costs little, or when it is much."""
        waiting = len(self._placing)
        return waiting > 0 and (not rows or waiting >= PLACE_MANY or (sign and waiting <= PLACE_FEW))

    def _sign(self, head: Head, note: str) -> None:
        size = head.tree.size
        if self._first < self.signed < size and self.signed // MILESTONE == size // MILESTONE:
            self.db.execute("DELETE FROM checkpoint WHERE size = ?", (self.signed,))
        put_checkpoint(self.db, head, note)
