"""The one thread that writes: takes what waits, makes it durable together, and heals by itself when the disk fails.

While there is trouble every waiting append fails at once; entries that nobody waits for stay in the queue, in order,
and are written as soon as anything can be (on a full disk: into the released reserve). A commit that failed may yet
be found durable when the file is opened again; then its rows count, and are never written twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import apsw

from authd.core.model import MINUTE, SECOND, Entry, Instant, Kind
from authd.core.ports import LedgerDown
from authd.service.ledger.file import LedgerFile
from authd.service.ledger.inbox import Inbox, Item
from authd.service.ledger.record import Recorded, Unstorable, storable, stripped
from authd.service.ledger.reserve import Reserve
from authd.service.ledger.segment import month_of
from authd.service.ledger.trouble import LedgerDamaged, Trouble, trouble_of

BATCH = 512
"""Most entries in one transaction."""
SIGN_AFTER = 1 * SECOND
"""A row is covered by a signed checkpoint at the latest after this time."""
RETRY_S = 0.5
"""Between two attempts to heal, seconds."""
PROBE_LIMIT = 1 * SECOND
"""A disk that takes longer for one small commit is still slow."""
_ERRORS = (apsw.Error, OSError, LedgerDown)


class Listener(Protocol):
    """Who is told, on the writer's thread."""

    def committed(self, items: Sequence[Item], rows: Sequence[Recorded], size: int) -> None:
        """Rows are durable; `items[i]` became `rows[i]`. `size`: of the tree."""
        ...

    def signed(self, item: Item, note: str) -> None:
        """The checkpoint that was wished for."""
        ...

    def failed(self, items: Sequence[Item], trouble: Trouble) -> None:
        """These were not made durable as far as is known."""
        ...

    def health(self, trouble: Trouble | None, detail: str) -> None:
        """Trouble began, changed or (None) ended."""
        ...


class Writer(threading.Thread):
    """Owns the open segment from `start()` to `stop()`."""

    def __init__(
        self,
        file: LedgerFile,
        inbox: Inbox,
        reserve: Reserve,
        listener: Listener,
        now: Callable[[], Instant],
        wall: Callable[[], int],
    ) -> None:
        super().__init__(name="ledger-writer", daemon=True)
        self._file, self._inbox, self._reserve = file, inbox, reserve
        self._listener, self._now, self._wall = listener, now, wall
        self.busy_since: Instant | None = None
        """Since when the disk has been at one transaction; read by the loop's thread."""
        self._trouble: Trouble | None = None
        self._unsure: tuple[list[Item], list[Recorded]] = ([], [])
        self._wishes: list[Item] = []
        self._signed_at = now()
        self._rolled_at = Instant(now() - MINUTE)
        self._stopping = threading.Event()
        self._doubted = False
        self._admitted = 0

    def doubt(self) -> None:
        """Say that the disk was too slow: nothing is well until a probe was quick. Called from any thread."""
        self._doubted = True
        self._inbox.wake()

    def stop(self) -> None:
        """Write what waits, sign, close, and end the thread."""
        self._stopping.set()
        self._inbox.wake()

    def run(self) -> None:
        """Until stopped."""
        self._hold_reserve()
        while not (self._stopping.is_set() and (self._trouble is not None or not len(self._inbox))):
            if self._trouble is not None or self._doubted:
                self._heal()
            else:
                self._turn()
        try:
            self._file.close()
        except _ERRORS as error:
            self._report(trouble_of(error), str(error))
        self._listener.failed(self._inbox.take(len(self._inbox)), Trouble.CLOSED)

    def _turn(self) -> None:
        self._inbox.wait(None if self._file.settled else SIGN_AFTER / SECOND)
        items = self._inbox.take(BATCH)
        try:
            self._write(items)
            self._admit()
        except _ERRORS as error:
            self._fail(error)

    def _write(self, items: list[Item]) -> None:
        """Make the items durable in order; sign when asked, when it is time, or when there is nothing else to do."""
        self.busy_since = self._now()
        self._wishes = [item for item in items if item.note is not None]
        live = [item for item in items if (item.waiter is None or not item.waiter.done()) and item.entry is not None]
        due = self.busy_since - self._signed_at > SIGN_AFTER and not self._file.settled
        if live:
            self._store(live, sign=due or bool(self._wishes))
        elif due or self._wishes:
            self._file.settle()
        if due or self._wishes or self._file.lagging:
            self._file.publish()
        if due or self._wishes:
            self._signed_at = self._now()
        for item in self._wishes:
            self._listener.signed(item, self._file.note)
        self._wishes = []
        self.busy_since = None

    def _store(self, live: list[Item], *, sign: bool) -> None:
        self._unsure = (live, [])
        month = month_of(live[0].wall_ms)
        if month != self._file.month and self._now() - self._rolled_at >= MINUTE:
            self._file.roll(month)
            self._rolled_at = self._now()
        rows = self._encode(live)
        self._unsure = (live, rows)
        self._file.commit(rows, sign=sign)
        self._unsure = ([], [])
        self._listener.committed(live, rows, self._file.head.tree.size)

    def _encode(self, live: list[Item]) -> list[Recorded]:
        """Number the entries; what cannot be stored loses its data, and says so, rather than hold up the rest."""
        pending = [(item.entry, item.wall_ms) for item in live if item.entry is not None]
        try:
            return self._file.encode(pending)
        except Unstorable:
            bare = [(entry if storable(entry) else stripped(entry), wall) for entry, wall in pending]
            return self._file.encode(bare)

    def _fail(self, error: BaseException) -> None:
        """Nothing of the batch is known to be durable: whoever waits is told so, the rest is tried again."""
        self.busy_since = None
        trouble = trouble_of(error)
        if trouble is Trouble.FULL and self._trouble is not Trouble.FULL:
            self._release_reserve()
        self._listener.failed([item for item in self._unsure[0] if item.waiter is not None] + self._wishes, trouble)
        self._wishes = []
        self._report(trouble, str(error))

    def _heal(self) -> None:
        """Once more from the top: what became of the last batch, then what waits, then a probe, then the reserve."""
        self._doubted = False
        try:
            again = self._trouble not in (None, Trouble.FULL, Trouble.SLOW)
            self._settle_fate(self._file.reopen() if again else self._file.beyond())
            self._flush()
            began = self._now()
            self._file.pulse()
            self._reserve.take()
            slow = self._now() - began > PROBE_LIMIT
        except _ERRORS as error:
            self._fail(error)
            self._stopping.wait(RETRY_S)
        else:
            self._report(Trouble.SLOW if slow else None, "a small commit took too long" if slow else "")

    def _settle_fate(self, found: list[Recorded]) -> None:
        """`found`: rows behind the last one known to be durable. They are the last batch, or there is none."""
        items, rows = self._unsure
        if found and [row.bytes for row in found] != [row.bytes for row in rows]:
            raise LedgerDamaged("somebody else wrote to the ledger", self._file.folder)
        self._unsure = ([], [])
        if found:
            self._file.adopt(found)
            self._listener.committed(items, rows, self._file.head.tree.size)
        else:
            self._inbox.put_back([item for item in items if item.waiter is None])

    def _flush(self) -> None:
        """Write what nobody waits for; whoever waits is sent away."""
        while len(self._inbox):
            items = self._inbox.take(BATCH)
            waiting = [item for item in items if item.waiter is not None or item.note is not None]
            self._listener.failed(waiting, self._trouble or Trouble.SLOW)
            self._write([item for item in items if item.waiter is None and item.note is None])
        self._admit()

    def _admit(self) -> None:
        """Once all that had room is written: say how many entries had none."""
        lost = self._inbox.dropped - self._admitted
        if lost and not len(self._inbox):
            gap = Entry(Kind.LEDGER_GAP, at=self._now(), data={"dropped": lost})
            self._write([Item(gap, self._wall(), self._now())])
            self._admitted += lost

    def _report(self, trouble: Trouble | None, detail: str) -> None:
        """Tell of trouble when it begins or changes, of its end always (the loop may have seen slowness itself)."""
        if trouble is None or trouble is not self._trouble:
            self._trouble = trouble
            self._listener.health(trouble, detail)

    def _hold_reserve(self) -> None:
        try:
            self._reserve.take()
        except OSError as error:
            self._fail(error)

    def _release_reserve(self) -> None:
        try:
            self._reserve.release()
        except OSError:
            return
