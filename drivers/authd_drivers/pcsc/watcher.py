"""Which cards are in which readers, as pcscd says it, for as long as a driver lives; survives pcscd's death.

    watcher = Watcher(service(), prefix="ACS")          # any driver of cards may use it
    watcher.start()                                     # inside the event loop
    while True:
        watcher.serving, watcher.readers, watcher.stays  # how things are
        await watcher.change()                           # until they are otherwise
    await watcher.close()

A stay is one card in one reader from its insertion to its removal; its name is never given twice by this process. All
stays end at once when pcscd dies, when it says nothing for `SILENT_S` (stopped, stuck), and when a reader goes. A
thread asks pcscd and looks for it again every `AGAIN_S` while it is gone; another asks the readers where pcscd is slow
(looks.py). pyscard's own monitor is not used: its thread ends unseen with pcscd, and with it every lock on removal.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from authd_drivers.pcsc.api import CHANGED, PNP, TIMEOUT, UNAWARE, Context, Seen, Service, Trouble, matching
from authd_drivers.pcsc.looks import Looks

TURN_MS = 250
"""How long one question to pcscd waits: the thread's pulse."""
SILENT_S = 1.0
AGAIN_S = 0.1
SETTLE_S = 1.0
"""A reader that has just come (with pcscd, often) finds the card that lay in it as if somebody had put it in."""
_NAMES = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Stay:
    """One card in one reader."""

    reader: str
    insertion: str
    atr: bytes
    began: int | None
    """Nanoseconds of CLOCK_BOOTTIME; None: it lay there when reader, pcscd or watch came up: nobody's act."""


class Watcher:
    """Follows all readers whose names begin with `prefix`. Used from one event loop.

    looks: whether removals are of such interest that the readers are asked beside pcscd.
    """

    def __init__(self, service: Service, prefix: str = "", *, looks: bool = True) -> None:
        self._service, self._prefix, self._looks = service, prefix, looks
        self.serving = False
        """Whether pcscd answers."""
        self.trouble: Trouble | None = None
        """Why pcscd did not answer last; only a word for the log."""
        self.seen: dict[str, Seen] = {}
        """How each reader is, by name."""
        self._stays: dict[str, Stay] = {}
        self._came: dict[str, int] = {}
        self._left: dict[str, int] = {}
        """Readers whose card went before pcscd noticed, with pcscd's count when it was put in."""
        self._changed = asyncio.Event()
        self._end = threading.Event()
        self._pulse = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guard: asyncio.TimerHandle | None = None

    @property
    def stays(self) -> tuple[Stay, ...]:
        """The cards that are in now."""
        return tuple(self._stays.values())

    @property
    def readers(self) -> tuple[str, ...]:
        """Names of the readers that are there."""
        return tuple(self.seen)

    @property
    def settled(self) -> bool:
        """Whether there are readers, and what is put into any of them from now on was put in by somebody."""
        return bool(self.seen) and all(self._settled(reader, _now()) for reader in self.seen)

    def start(self) -> None:
        """Begin; nothing is known before the first `change`."""
        self._loop = asyncio.get_running_loop()
        self._pulse = _now()
        self._watch_the_pulse()
        threading.Thread(target=self._work, name="pcsc-watch", daemon=True).start()
        if self._looks:
            looks = Looks(self._service, self._end, lambda: self.seen, partial(self._post, self._look))
            threading.Thread(target=looks.work, name="pcsc-looks", daemon=True).start()

    async def change(self) -> None:
        """Wait for the next change after the last call; one or many."""
        await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        """Have `change` return although nothing changed."""
        self._changed.set()

    async def close(self) -> None:
        """End; the thread goes within `TURN_MS`, or with the process if pcscd holds it."""
        self._end.set()
        if self._guard is not None:
            self._guard.cancel()
        self._lose()

    # In the event loop.

    def _take(self, seen: dict[str, Seen]) -> None:
        """Take how all readers are."""
        if self._end.is_set():
            return
        before, at = self.seen, _now()
        self._came = {reader: self._came.get(reader, at) for reader in seen}
        for reader, now in seen.items():
            stay, last = self._stays.get(reader), before.get(reader)
            if stay is not None and (not now.present or last is None or now.count != last.count):
                del self._stays[reader]
                stay = None
            if not now.present or self._left.get(reader) != now.count:
                self._left.pop(reader, None)
            if now.present and stay is None and reader not in self._left:
                began = at if self._settled(reader, at) else None
                self._stays[reader] = Stay(reader, f"{next(_NAMES)}", now.atr, began)
        for gone in (self._stays, self._left):
            for reader in gone.keys() - seen.keys():
                del gone[reader]
        if (before, self.serving) != (seen, True):
            self.seen, self.serving = seen, True
            self._changed.set()

    def _look(self, reader: str, count: int, there: bool) -> None:
        """Take what was seen of a card before pcscd noticed; one that is back was put in by nobody that we know of."""
        seen = self.seen.get(reader)
        if self._end.is_set() or seen is None or not seen.present or seen.count != count:
            return  # pcscd has noticed
        if there and self._left.pop(reader, None) is not None:
            self._stays[reader] = Stay(reader, f"{next(_NAMES)}", seen.atr, None)
            self._changed.set()
        elif not there and self._stays.pop(reader, None) is not None:
            self._left[reader] = count
            self._changed.set()

    def _lose(self) -> None:
        """Pcscd is gone, or silent: nobody knows what is in the readers, so nothing is."""
        if self.serving:
            self.serving, self.seen = False, {}
            for known in (self._stays, self._came, self._left):
                known.clear()
            self._changed.set()

    def _settled(self, reader: str, at: int) -> bool:
        return at - self._came[reader] > SETTLE_S * 1e9

    def _watch_the_pulse(self) -> None:
        assert self._loop is not None
        if _now() - self._pulse > SILENT_S * 1e9:
            self._lose()
        self._guard = self._loop.call_later(TURN_MS / 1000, self._watch_the_pulse)

    # In the threads.

    def _work(self) -> None:
        while not self._end.is_set():
            try:
                context = self._service()
                try:
                    self._follow(context)
                finally:
                    self._tell(self._lose)
                    context.release()
            except Trouble as trouble:
                self.trouble = trouble
            self._pulse = _now()
            self._end.wait(AGAIN_S)

    def _follow(self, context: Context) -> None:
        """Ask again and again; raises `Trouble` when pcscd is gone."""
        known: dict[str, Seen] = {PNP: Seen(UNAWARE)}
        while not self._end.is_set():
            # The list is asked for at each turn: not every version says by PNP what came while nobody waited.
            names = [PNP, *matching(context.readers(), self._prefix)]
            known = {name: known.get(name, Seen(UNAWARE)) for name in names}
            try:
                said = context.changes({name: each.flags for name, each in known.items()}, TURN_MS)
                known = {name: Seen(each.flags & ~CHANGED, each.atr) for name, each in said.items() if name in known}
            except Trouble as trouble:
                if trouble.code != TIMEOUT:
                    raise
            self._tell(self._take, {name: each for name, each in known.items() if name != PNP})

    def _tell(self, heard: Callable[..., None], *what: object) -> None:
        self._pulse = _now()
        self._post(heard, *what)

    def _post(self, heard: Callable[..., None], *what: object) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(heard, *what)
        except RuntimeError:  # the loop is closed, and nobody is left to be told
            self._end.set()


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
