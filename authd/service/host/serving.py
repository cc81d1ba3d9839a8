"""The event loop of a child: opens what it serves, carries out operations, sends a beat, ends at the first trouble."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import os
import socket
import traceback
from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from authd.core.model import Fault, Prompt
from authd.driver import (
    Ask,
    Capture,
    Claimed,
    Confirm,
    Delete,
    Denied,
    DriverError,
    Enroll,
    Enrolled,
    Event,
    Identifier,
    NoMatch,
    Op,
    Probe,
    Proof,
    Reader,
    ReaderFactory,
    Verify,
    Watch,
)
from authd.service.host.channel import Channel
from authd.service.host.frames import (
    TO_READER,
    TO_VERIFIER,
    Asked,
    Beat,
    Cancel,
    Close,
    Closed,
    Ended,
    Failed,
    Frame,
    FrameError,
    Opened,
    Start,
    Typed,
    Unasked,
)

BEAT_SECONDS = 0.2
CORE_SILENT_BEATS = 50
"""Beats of its own after which a child that hears nothing from core releases its device."""
CANCEL_SECONDS = 0.5
MAX_QUEUED = 1_000
_LAST = (Probe, NoMatch, Proof, Claimed, Identifier, Denied, Enrolled)
"""After one of these an operation is over."""
E = TypeVar("E", bound=Exception)


class Server(Protocol):
    """What a child serves: a reader, or the gallery."""

    async def open(self) -> None:
        """Be ready for frames, or raise `DriverError`."""
        ...

    async def serve(self, frame: Frame) -> None:
        """Take one frame; the next waits for it."""
        ...

    async def close(self) -> None:
        """Release everything."""
        ...


def run(role: str, sock: socket.socket, start: Start, host_key: bytes) -> int:
    """Serve until the channel closes; 0 if that was in order."""
    return asyncio.run(_Child(role, start, host_key).live(sock))


class _Child:
    def __init__(self, role: str, start: Start, host_key: bytes) -> None:
        self._role, self._start, self._key = role, start, host_key
        self._inbox: asyncio.Queue[Frame] = asyncio.Queue(MAX_QUEUED)
        self._silent = 0
        table = TO_VERIFIER if role == "verifier" else TO_READER
        self._channel = Channel(table, self._take, lambda _error: os._exit(0))  # core is gone, or speaks nonsense

    async def live(self, sock: socket.socket) -> int:
        sock.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: self._channel, sock=sock)
        trouble: DriverError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                server = self._server(group)
                await server.open()
                _settle()
                self._channel.send(Frame(0, Opened()))
                beats = group.create_task(self._beat())
                await self._serve(server)
                beats.cancel()
        except* DriverError as errors:
            trouble = _first(errors)
        except* Exception as errors:
            traceback.print_exc()
            trouble = DriverError(Fault.CRASHED, _where(errors))
        self._channel.send(Frame(0, Closed() if trouble is None else Failed(trouble.fault, trouble.detail[:500])))
        await self._channel.drained()
        return 0 if trouble is None else 1

    def _server(self, group: asyncio.TaskGroup) -> Server:
        if self._role == "verifier":
            from authd.service.host.gallery import Gallery  # and with it cryptography, which a reader has no use for

            return Gallery(self._start, self._key, self._channel)
        factory: ReaderFactory = importlib.import_module(self._start.target).READER
        return ReaderServer(factory(self._start.settings), self._channel, group)

    async def _serve(self, server: Server) -> None:
        while True:
            frame = await self._inbox.get()
            if isinstance(frame.message, Close):
                await server.close()
                return
            await server.serve(frame)

    async def _beat(self) -> None:
        while self._silent < CORE_SILENT_BEATS:
            self._channel.send(Frame(0, Beat()))
            self._silent += 1
            await asyncio.sleep(BEAT_SECONDS)
        os._exit(3)

    def _take(self, frame: Frame) -> None:
        self._silent = 0
        if isinstance(frame.message, Beat):
            return
        try:
            self._inbox.put_nowait(frame)
        except asyncio.QueueFull:
            raise FrameError("too many operations") from None


def _settle() -> None:
    """Give back what importing left behind; what stays will stay, so the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    ctypes.CDLL(None).malloc_trim(0)


def _first(errors: BaseExceptionGroup[E]) -> E:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _where(errors: BaseExceptionGroup[Exception]) -> str:
    """Name the error and its place, without its text: that may hold what was captured."""
    error = _first(errors)
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {last.filename}:{last.lineno}"


class ReaderServer:
    """Runs the operations of one driver: the newest replaces the one in flight."""

    def __init__(self, reader: Reader, channel: Channel, group: asyncio.TaskGroup) -> None:
        self._reader, self._channel, self._group = reader, channel, group
        self._current: asyncio.Task[None] | None = None
        self._prompt = _Prompt(channel)

    async def open(self) -> None:
        """Claim the device."""
        await self._reader.open()

    async def serve(self, frame: Frame) -> None:
        """Start the operation that the frame asks for, once the one in flight has ended; or hand on what was typed."""
        if isinstance(frame.message, Typed):
            self._prompt.typed(frame.op, frame.message.text)
            return
        await self._stop()
        if isinstance(frame.message, Capture | Watch | Verify | Confirm | Enroll | Delete):
            self._current = self._group.create_task(self._carry_out(frame.op, frame.message))
        elif not isinstance(frame.message, Cancel):
            raise DriverError(Fault.PROTOCOL, type(frame.message).__name__)

    async def close(self) -> None:
        """Cancel and release."""
        await self._stop()
        await self._reader.close()

    async def _carry_out(self, op: int, what: Op) -> None:
        events = self._reader.run(what, self._prompt.of(op))
        try:
            async for event in events:
                self._channel.send(Frame(op, event))
                if isinstance(event, _LAST):
                    break
        finally:
            await _close(events)
        self._channel.send(Frame(op, Ended()))

    async def _stop(self) -> None:
        task, self._current = self._current, None
        if task is None:
            return
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=CANCEL_SECONDS)
        if not done:
            raise DriverError(Fault.TIMEOUT, "the driver does not cancel within 500 ms")


class _Prompt:
    """The one question that may be open: an operation asks core, and waits for as long as it lives."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._op = 0
        self._answer: asyncio.Future[str] | None = None

    def of(self, op: int) -> Ask:
        """Return the `ask` of one operation."""

        async def ask(prompt: Prompt) -> str:
            if self._answer is not None:
                raise DriverError(Fault.PROTOCOL, "one question at a time")
            self._op, self._answer = op, asyncio.get_running_loop().create_future()
            try:
                self._channel.send(Frame(op, Asked(prompt.id, prompt.left, prompt.again)))
                return await self._answer
            except asyncio.CancelledError:
                self._channel.send(Frame(op, Unasked()))
                raise
            finally:
                self._answer = None

        return ask

    def typed(self, op: int, text: str) -> None:
        """Answer the question; what belongs to one that is not asked any more goes nowhere."""
        if self._answer is not None and op == self._op and not self._answer.done():
            self._answer.set_result(text)


async def _close(events: AsyncIterator[Event]) -> None:
    """Close the driver's iterator, whether it is a generator or an object of its own."""
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()
