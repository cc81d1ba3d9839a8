"""A conversation with one peer, the same over every transport: bounded, and authorised at every message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from authd.core.ports import LedgerDown, PortError
from authd.service.bus import requests, wire
from authd.service.bus.house import Error, Peer, Refused
from authd.service.bus.outbox import Hung, Outbox, Slow, Wire
from authd.service.bus.stream import Bucket, Stream
from authd.service.bus.table import VERBS
from authd.service.bus.verbs import Desk, Fields, Verb, authorise

log = logging.getLogger("authd.bus")

Work = Callable[[], Awaitable[bytes]]
MOST_UNFINISHED: Final = 16
"""Streams and slow requests of one connection."""
FAREWELL_S: Final = 10.0
"""How long the last words to a slow peer may take."""


class Conversation:
    """One connection's requests and streams. `peer` is asked at every message who holds its key now."""

    def __init__(
        self,
        desk: Desk,
        connection: Wire,
        peer: Callable[[], Peer | None],
        group: asyncio.TaskGroup,
        closed: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._peer = peer
        self._group = group
        self._closed = closed
        self._outbox = Outbox(connection, desk.clock.now)
        self._bucket = Bucket(desk.clock.now())
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._over = False
        """Nothing more is heard."""
        self._ended = False
        self._pump = group.create_task(self._send())

    def hear(self, frame: bytes) -> None:
        """Carry out one request. Never waits and never raises: a bug costs this peer its connection, nobody else's."""
        self._desk.tally.requests += 1
        try:
            self._hear(frame)
        except Exception:
            self._desk.tally.faults += 1
            log.exception("a request could not be handled")
            self.close()

    def hurried(self) -> bool:
        """Whether the peer has sent more than its rate: a transport that can, reads no more for a while."""
        return self._bucket.empty(self._desk.clock.now())

    @property
    def unfinished(self) -> int:
        """How many streams and slow requests are under way."""
        return len(self._tasks)

    def close(self) -> None:
        """End everything; safe to call twice."""
        if not self._ended:
            self._over = self._ended = True
            self._cancel_all()
            self._closed()

    def cut(self) -> None:
        """End everything with a word to each stream, for a peer that does not read."""
        if self._over:
            return
        self._over = True
        self._desk.tally.slow += 1
        numbers: list[int | None] = [*self._tasks] or [None]
        self._cancel_all()
        self._outbox.replace([wire.refusal(number, Error.SLOW, "cut: it was not read") for number in numbers])
        self._group.create_task(self._say_farewell())

    def _hear(self, frame: bytes) -> None:
        if self._over or not self._bucket.take(self._desk.clock.now()):
            self._desk.tally.busy += 1
            self._say(wire.refusal(None, Error.BUSY, "too many requests a second"))
            return
        try:
            call = requests.decode(frame)
        except requests.Malformed as error:
            self._count_malformed(frame)
            self._say(wire.refusal(error.id, error.error, error.detail))
            return
        try:
            self._carry_out(call)
        except Exception as error:
            self._refuse(call.id, error)

    def _carry_out(self, call: wire.Call) -> None:
        verb = VERBS[type(call)]
        peer = self._authorise(call, verb)
        if isinstance(call, wire.Cancel):
            self._cancel(call)
        elif verb.instant is not None:
            self._say(wire.answer(call.id, verb.instant(self._desk, peer, call)))
        elif call.id in self._tasks or len(self._tasks) >= MOST_UNFINISHED:
            self._desk.tally.busy += 1
            raise Refused(Error.BUSY, "too many unfinished requests, or this id is one of them")
        elif verb.waiting is not None:
            self._start(call.id, partial(self._wait, call.id, partial(verb.waiting, self._desk, peer, call)))
        elif verb.stream is not None:
            self._start(call.id, partial(self._stream, call, verb))

    def _authorise(self, call: wire.Call, verb: Verb) -> Peer:
        try:
            return authorise(self._peer(), call, verb)
        except Refused:
            self._desk.tally.unauthorised += 1
            raise

    def _cancel(self, call: wire.Cancel) -> None:
        task = self._tasks.pop(call.stream, None)
        if task is None:
            raise Refused(Error.NOT_FOUND, "no such stream")
        task.cancel()
        self._say(wire.answer(call.id, {}))

    def _start(self, number: int, work: Work) -> None:
        task = self._group.create_task(self._guard(number, work))
        self._tasks[number] = task
        task.add_done_callback(lambda done: self._forget(number, done))

    async def _guard(self, number: int, work: Work) -> None:
        """Say the last word on a request; its number is free again before the peer can read that.

        work: called here, so that nothing of it exists where the peer has gone before its turn comes.
        """
        try:
            last_word = await work()
        except Exception as error:
            self._forget(number, asyncio.current_task())
            self._refuse(number, error)
        else:
            self._forget(number, asyncio.current_task())
            self._say(last_word)

    def _forget(self, number: int, task: asyncio.Task[Any] | None) -> None:
        if self._tasks.get(number) is task:
            del self._tasks[number]

    def _break(self, number: int, error: Exception) -> None:
        """End a stream from beside it."""
        task = self._tasks.pop(number, None)
        if task is not None:
            task.cancel()
            self._refuse(number, error)

    async def _wait(self, number: int, answer: Callable[[], Awaitable[Fields]]) -> bytes:
        return wire.answer(number, await answer())

    async def _stream(self, call: wire.Call, verb: Verb) -> bytes:
        assert verb.stream is not None
        stream = Stream(call.id, self._outbox, lambda: self._authorise(call, verb), self._group, self._break)
        await verb.stream(self._desk, stream, call)
        return wire.item(call.id, {"end": True})

    def _refuse(self, number: int, error: Exception) -> None:
        """Answer with the error; a bug is answered too, and does not reach any other conversation."""
        match error:
            case Slow():
                self.cut()
            case Hung():
                self.close()
            case Refused():
                self._say(wire.refusal(number, error.error, error.detail))
            case LedgerDown():
                self._say(wire.refusal(number, Error.LEDGER_DOWN))
            case PortError():
                self._say(wire.refusal(number, Error.BUSY))
            case _:
                self._desk.tally.faults += 1
                log.error("a request failed", exc_info=error)
                self._say(wire.refusal(number, Error.FAULT))

    def _say(self, frame: bytes) -> None:
        if self._over:
            return
        try:
            self._outbox.put(frame)
        except Slow:
            self.cut()
        except Hung:
            self.close()

    def _count_malformed(self, frame: bytes) -> None:
        if len(frame) > wire.LONGEST:
            self._desk.tally.oversized += 1
        else:
            self._desk.tally.malformed += 1

    def _cancel_all(self) -> None:
        for task in (*self._tasks.values(), self._pump):
            task.cancel()

    async def _send(self) -> None:
        try:
            await self._outbox.pump()
        except Slow:
            self.cut()
        except Hung:
            self.close()

    async def _say_farewell(self) -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._outbox.drained()
        except (TimeoutError, Hung):
            log.info("a peer that did not read was dropped")
        finally:
            self.close()
