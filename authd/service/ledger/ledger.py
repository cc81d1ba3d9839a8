"""The ledger as the daemon sees it: `ports.Ledger` on an asyncio loop, in front of the writer thread.

`append` waits for durability, `write` does not; both go through one queue, so that their order is the order of the
calls. Followers are woken at each commit and served from memory when they are close behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import apsw

from authd.core.model import INTERNAL_KINDS, SECOND, Entry, Instant, Kind
from authd.core.ports import LedgerDown
from authd.core.tlog import Signer
from authd.service.ledger.file import LedgerFile
from authd.service.ledger.inbox import Inbox, Item
from authd.service.ledger.presence import Stay, presence
from authd.service.ledger.proofs import Complete, Growth, Inclusion, prove, prove_complete, prove_growth
from authd.service.ledger.query import ALWAYS, Anchor, Reader
from authd.service.ledger.record import Placed, Recorded
from authd.service.ledger.reserve import Reserve
from authd.service.ledger.sealing import Sealing
from authd.service.ledger.segment import Connect
from authd.service.ledger.spans import SPAN
from authd.service.ledger.trouble import Trouble, trouble_of
from authd.service.ledger.writer import Writer
from authd.service.sqlite import check_version, connect

APPEND_LIMIT = 2 * SECOND
"""An append that takes longer has failed; its row may yet become durable."""
WATCH_S = 0.1
RESERVE_SIZE = 8 << 20
SEAL_EVERY_S = 10.0
RECENT = 4_096
"""Newest rows kept in memory for followers."""
RECALLED = 1_024
"""Of them, those that are read when the ledger is opened."""

_T = TypeVar("_T")
_log = logging.getLogger("authd.ledger")

OnHealth = Callable[[bool, str], None]
"""`on_health(healthy, reason)`: `reason` is a `Trouble`, empty when healthy. Called on the loop."""


class Clock(Protocol):
    """As much of `ports.Clock` as a ledger needs."""

    @property
    def boot(self) -> str:
        """The kernel's boot id."""
        ...

    def now(self) -> Instant:
        """CLOCK_BOOTTIME."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the ledger has durably come: last number, and leaves in the tree."""

    seq: int
    size: int


class Ledger:
    """One append-only ledger a host. Make it with `Ledger.open`, on the loop that will use it."""

    def __init__(self, folder: Path, file: LedgerFile, clock: Clock, wall: Callable[[], int], reserve: Reserve) -> None:
        self.on_health: OnHealth | None = None
        self.trouble: Trouble | None = None
        """Why appends are refused now; None: healthy."""
        self._folder, self._clock, self._wall = folder, clock, wall
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox()
        self._writer = Writer(file, self._inbox, reserve, self, clock.now, wall)
        self._reader = Reader(folder)
        self._pool = ThreadPoolExecutor(1, "ledger-reader")
        self._sealing, self._sealing_now = Sealing(folder), asyncio.Lock()
        self._sealer = ThreadPoolExecutor(1, "ledger-sealer")
        self._standing = Standing(file.head.seq, file.head.tree.size)
        self._earlier = sorted(file.head.open.values())
        self._recent: deque[Recorded] = deque(maxlen=RECENT)
        self._forgotten = file.head.seq
        self._waiting: deque[Item] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._closed = False

    @classmethod
    async def open(
        cls,
        folder: Path,
        signer: Signer,
        clock: Clock,
        wall: Callable[[], int],
        *,
        on_health: OnHealth | None = None,
        reserve: int = RESERVE_SIZE,
        connect: Connect = connect,
    ) -> Ledger:
        """Open, or begin, the ledger in `folder`. `wall()`: ms since 1970, for people.

        Raises `LedgerDamaged` (says which command to run; nothing was changed), or another `LedgerDown`.
        """
        check_version()
        file = LedgerFile(folder, signer, clock.boot, connect)
        space = Reserve(folder, reserve)
        await asyncio.to_thread(_open, file, space, clock, wall)
        ledger = cls(folder, file, clock, wall, space)
        await ledger._recall()
        ledger.on_health = on_health
        ledger._writer.start()
        return ledger

    async def append(self, entry: Entry) -> int:
        """Return the entry's number once it is durable. Raises `LedgerDown` (after 2 s: its fate is then unknown)."""
        return (await self.place(entry)).seq

    async def place(self, entry: Entry) -> Placed:
        """Return where the entry stands once it is durable: what a receipt says. Raises `LedgerDown` as `append`."""
        if self.trouble is not None:
            raise LedgerDown(self.trouble)
        if self._inbox.full():
            raise LedgerDown(Trouble.BUSY)
        waiter: asyncio.Future[Placed] = self._loop.create_future()
        item = Item(entry, self._wall(), self._clock.now(), waiter)
        self._waiting.append(item)
        self._put(item)
        del item  # whoever waits keeps alive only what it waits for
        return await waiter

    def write(self, entry: Entry) -> None:
        """Queue the entry, in order, without waiting. Never fails."""
        self._put(Item(entry, self._wall(), self._clock.now()))

    async def unfinished(self) -> Sequence[Entry]:
        """Grants without start or void, and sessions without end, as they stood when the ledger was opened."""
        return [row.entry for row in await self._read(self._reader.rows, self._earlier)]

    async def follow(self, after: int, *, internal: bool = True) -> AsyncIterator[Recorded]:
        """Yield every row behind number `after`, in order, for as long as the ledger is open.

        `internal` False leaves out the kinds that are never published (`INTERNAL_KINDS`).
        """
        while not self._closed:
            news = self._news
            rows = self._remembered(after) if after >= self._forgotten else await self._read(self._reader.after, after)
            for row in rows:
                after = row.seq
                if internal or row.entry.kind not in INTERNAL_KINDS:
                    yield row
            if not rows:
                await news.wait()

    async def entries(self, of: str, since_ms: int = ALWAYS[0], until_ms: int = ALWAYS[1]) -> list[Recorded]:
        """Return the rows of `seat:...`, `subject:...`, `record:...` or a rare `kind:...` in an interval of time."""
        return await self._read(self._reader.find, of, since_ms, until_ms)

    async def presence(self, seat: str, since_ms: int, until_ms: int) -> list[Stay]:
        """Return who sat there in the interval, with times, evidence grade and reasons."""
        return await self._read(presence, self._reader, seat, since_ms, until_ms)

    async def prove(self, leaf: int, size: int | None = None) -> Inclusion:
        """Return the audit path of a leaf in the tree of `size` leaves (None: all). Raises `LedgerDown`, ValueError."""
        return await self._read(prove, self._reader, leaf, size or self.size)

    async def prove_growth(self, old: int, size: int | None = None) -> Growth:
        """Return the proof that the tree of `size` leaves (None: all) begins with that of `old`. Raises as `prove`."""
        return await self._read(prove_growth, self._reader, old, size or self.size)

    async def prove_complete(self, place: str, since_ms: int, until_ms: int) -> Complete:
        """Return all that the ledger holds of a record, a subject or both in an interval, with its proof.

        Seals first whatever is not sealed. Raises `LedgerDown`, LookupError in an empty ledger.
        """
        await self.seal()
        return await self._read(prove_complete, self._reader, place, since_ms, until_ms, self.size)

    async def seal(self, *, whole: bool = False) -> int:
        """Bring all rows there are (`whole`: as many as fill spans) into sealed spans; return how many are in any.

        Raises `LedgerDown`.
        """
        async with self._sealing_now:
            size, sealing = self.size, self._sealing
            while await self._seal(sealing.due, size) and not (whole and size - sealing.covered < SPAN):
                data = await self._seal(sealing.prepare, size)
                await self.append(Entry(Kind.LEDGER_SEALED, at=self._clock.now(), data=data))
                sealing.forget()
            return sealing.covered

    async def keep_sealed(self) -> None:
        """Seal every span that is full, for as long as the ledger is open: one of the daemon's jobs."""
        while not self._closed:
            with suppress(LedgerDown):
                await self.seal(whole=True)
            await asyncio.sleep(SEAL_EVERY_S)

    async def newest(self) -> Recorded | None:
        """Return the last durable row; None without any."""
        rows = await self._read(self._reader.rows, [self.head])
        return rows[-1] if rows else None

    async def anchors(self) -> dict[str, Anchor]:
        """Return the newest anchored digest of each template, by template id without version."""
        return await self._read(self._reader.anchors)

    @property
    def head(self) -> int:
        """Number of the last durable row; 0 when there is none."""
        return self._standing.seq

    @property
    def size(self) -> int:
        """Durable rows: leaves in the tree. Below `head` by the numbers that gaps passed over."""
        return self._standing.size

    async def checkpoint(self) -> str:
        """Return a freshly signed checkpoint note that covers everything durable. Raises `LedgerDown`."""
        if self.trouble is not None or self._closed:
            raise LedgerDown(self.trouble or Trouble.CLOSED)
        note: asyncio.Future[str] = self._loop.create_future()
        self._put(Item(None, 0, self._clock.now(), note=note))
        return await note

    async def close(self) -> None:
        """Write what waits, sign and close; gives up on a disk that hangs after 5 s."""
        if not self._closed:
            self._closed = True
            self._news.set()
            self._writer.stop()
            await asyncio.to_thread(self._writer.join, 5)
            self._pool.submit(self._reader.close)
            self._pool.shutdown(wait=False)
            self._sealer.submit(self._sealing.close)
            self._sealer.shutdown(wait=False)
            self.trouble = Trouble.CLOSED
            if self._watch is not None:
                self._watch.cancel()

    def _put(self, item: Item) -> None:
        self._inbox.put(item)
        if self._watch is None:
            self._watch = self._loop.call_later(WATCH_S, self._look)

    async def _read(self, read: Callable[..., _T], *args: object) -> _T:
        return await self._run(self._pool, read, *args)

    async def _seal(self, seal: Callable[[int], _T], size: int) -> _T:
        return await self._run(self._sealer, seal, size)

    async def _run(self, pool: ThreadPoolExecutor, read: Callable[..., _T], *args: object) -> _T:
        try:
            return await self._loop.run_in_executor(pool, read, *args)
        except (apsw.Error, OSError) as error:
            raise LedgerDown(trouble_of(error)) from error

    async def _recall(self) -> None:
        """Remember the last rows of the life before: after a restart all followers come at once and ask for them."""
        with suppress(LedgerDown):
            rows = await self._read(_last_rows, self._folder, self._standing.seq)
            if rows and rows[-1].seq == self._standing.seq:
                self._recent.extend(rows)
                self._forgotten = rows[0].seq - 1

    def _remembered(self, after: int) -> list[Recorded]:
        found: list[Recorded] = []
        for row in reversed(self._recent):
            if row.seq <= after:
                break
            found.append(row)
        return found[::-1]

    def _look(self) -> None:
        """Whoever has waited too long is told so; a disk at one transaction for so long is slow, whoever waits."""
        now, busy = self._clock.now(), self._writer.busy_since
        slow = busy is not None and now - busy > APPEND_LIMIT
        while self._waiting and (self._waiting[0].abandoned() or now - self._waiting[0].since > APPEND_LIMIT):
            item = self._waiting.popleft()
            slow = slow or not item.abandoned()
            self._tell_failed([item], Trouble.SLOW)
        if slow and self.trouble is None:
            self._tell_health(Trouble.SLOW, "the disk takes too long")
            self._writer.doubt()
        again = (self._waiting or len(self._inbox) or busy is not None) and not self._closed
        self._watch = self._loop.call_later(WATCH_S, self._look) if again else None

    # What the writer's thread says, carried over to the loop's.

    def committed(self, items: Sequence[Item], rows: Sequence[Recorded], size: int) -> None:
        """See `writer.Listener`."""
        self._carry(self._tell_committed, items, rows, size)

    def signed(self, item: Item, note: str) -> None:
        """See `writer.Listener`."""
        self._carry(self._tell_signed, item, note)

    def failed(self, items: Sequence[Item], trouble: Trouble) -> None:
        """See `writer.Listener`."""
        if items:
            self._carry(self._tell_failed, items, trouble)

    def health(self, trouble: Trouble | None, detail: str) -> None:
        """See `writer.Listener`."""
        self._carry(self._tell_health, trouble, detail)

    def _carry(self, call: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop has ended before the ledger: nobody is left to tell
            return

    def _tell_committed(self, items: Sequence[Item], rows: Sequence[Recorded], size: int) -> None:
        self._standing = Standing(rows[-1].seq, size)
        self._recent.extend(rows)
        if len(self._recent) == RECENT:
            self._forgotten = self._recent[0].seq - 1
        for leaf, (item, row) in enumerate(zip(items, rows, strict=True), size - len(rows)):
            waiter = item.waiter
            if waiter is not None and not waiter.done():
                waiter.set_result(Placed(row.seq, leaf, size))
        while self._waiting and self._waiting[0].abandoned():
            self._waiting.popleft()
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _tell_signed(self, item: Item, note: str) -> None:
        if item.note is not None and not item.note.done():
            item.note.set_result(note)

    def _tell_failed(self, items: Sequence[Item], trouble: Trouble) -> None:
        for item in items:
            for waiter in (item.waiter, item.note):
                if waiter is not None and not waiter.done():
                    waiter.set_exception(LedgerDown(trouble))

    def _tell_health(self, trouble: Trouble | None, detail: str) -> None:
        was, self.trouble = self.trouble, trouble
        if trouble is was:
            return
        if trouble is None:
            _log.info("the ledger is healthy again")
        else:
            _log.error("the ledger is down: %s (%s)", trouble, detail)
        if self.on_health is not None and not self._closed:
            self.on_health(trouble is None, trouble or "")


def _last_rows(folder: Path, head: int) -> list[Recorded]:
    """Read them by a connection that is closed again: one that stays open keeps the log from being written back."""
    reader = Reader(folder)
    try:
        return reader.after(max(0, head - RECALLED), RECALLED)
    finally:
        reader.close()


def _open(file: LedgerFile, space: Reserve, clock: Clock, wall: Callable[[], int]) -> None:
    """Open; on a full disk once more with the reserve released, for SQLite needs a little space even to look."""
    try:
        try:
            file.open(clock.now(), wall())
        except (apsw.FullError, apsw.IOError, apsw.CantOpenError, OSError):
            space.release()
            file.abandon()
            file.open(clock.now(), wall())
    except (apsw.Error, OSError) as error:
        file.abandon()
        raise LedgerDown(trouble_of(error)) from error
    except LedgerDown:
        file.abandon()
        raise
