"""The driver's end of the cable."""

from __future__ import annotations

import asyncio
from collections import deque

from authd.driver import DriverError, Fault
from authd_simulators.cable.wire import (
    MAX_ANSWER,
    Answer,
    Ask,
    CableError,
    Say,
    Want,
    frame_length,
    pack_ask,
    parse_answer,
)

SILENCE_S = 1.0
"""A device says something every 0.2 s while it is asked; this long without a word, it hangs."""
MAX_WAITING = 16
_HEAD = 4
_FAULTS = {Say.BUSY: Fault.BUSY, Say.SUSPENDED: Fault.SUSPENDED}


class Plug(asyncio.BufferedProtocol):
    """One connection to a device. A question that is cancelled is taken back.

    Bytes arrive in one fixed buffer, which is wiped behind what was read: a picture leaves no second copy.
    """

    def __init__(self) -> None:
        self._buffer = bytearray(_HEAD + MAX_ANSWER)
        self._filled = 0
        self._answers: deque[Answer] = deque()
        self._arrived = asyncio.Event()
        self.trouble: DriverError | None = None
        """What ended this connection."""
        self._transport: asyncio.Transport | None = None
        self._number = 0

    @classmethod
    async def connect(cls, path: str) -> Plug:
        """Plug into the device at a cable's path and wait until it is ready. Raises `DriverError`."""
        try:
            _, plug = await asyncio.get_running_loop().create_unix_connection(cls, path)
        except OSError as error:
            raise DriverError(Fault.REMOVED, error.strerror or "no cable") from None
        try:
            while (await plug._next()).say is not Say.READY:
                pass
        except BaseException:
            plug.close()
            raise
        return plug

    async def ask(self, want: Want, body: bytes = b"") -> Answer:
        """Ask and wait for the answer, as long as the device goes on giving signs of life. Raises `DriverError`."""
        self.begin(want, body)
        return await self.answer()

    def begin(self, want: Want, body: bytes = b"") -> None:
        """Ask; what was still to come of the question before is wiped. Raises `DriverError`."""
        if self.trouble is not None or self._transport is None:
            raise self.trouble or DriverError(Fault.REMOVED)
        self._drop()
        self._number = self._number % 0xFFFF_FFFF + 1
        self._transport.write(pack_ask(Ask(want, self._number, body)))

    async def answer(self) -> Answer:
        """Return the next answer to what was asked last. Raises `DriverError`."""
        try:
            while (answer := await self._next()).say is Say.BEAT:
                pass
        except asyncio.CancelledError:
            self._forget()
            raise
        return answer

    def _forget(self) -> None:
        """Take the question back; an answer that is under way is wiped when it comes."""
        self._number = self._number % 0xFFFF_FFFF + 1
        self._drop()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack_ask(Ask(Want.NOTHING, self._number)))

    @property
    def waiting(self) -> int:
        """How many answers nobody has read yet."""
        return len(self._answers)

    def close(self) -> None:
        """Pull the plug and wipe. Safe to call twice."""
        self._fail(DriverError(Fault.REMOVED, "closed"))
        if self._transport is not None:
            self._transport.abort()

    async def _next(self) -> Answer:
        """Return the next answer to the present question, or a beat."""
        while True:
            if self._answers:
                return self._answers.popleft()
            if self.trouble is not None:
                raise self.trouble
            self._arrived.clear()
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self._arrived.wait()
            except TimeoutError:
                raise DriverError(Fault.TIMEOUT, "the device is silent") from None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        del sizehint
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take out every whole frame; after the first trouble nothing is read any more."""
        self._filled += nbytes
        if self.trouble is not None:
            self._fail(self.trouble)
            return
        try:
            while self._take_one():
                pass
        except CableError as error:
            self._fail(DriverError(Fault.PROTOCOL, str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember that the device is gone."""
        self._fail(DriverError(Fault.REMOVED, "the cable was pulled"))

    def _take_one(self) -> bool:
        if self._filled < _HEAD:
            return False
        end = _HEAD + frame_length(self._buffer[:_HEAD], MAX_ANSWER)
        if self._filled < end:
            return False
        view = memoryview(self._buffer)  # moved in place: a slice of the buffer itself is a copy that nobody wipes
        answer = parse_answer(view[_HEAD:end])
        rest = self._filled - end
        view[:rest] = view[end : self._filled]
        self._buffer[rest : self._filled] = bytes(self._filled - rest)
        self._filled = rest
        self._hear(answer)
        return True

    def _hear(self, answer: Answer) -> None:
        """Queue an answer, or take a word about the device itself as the end of this connection."""
        if answer.say in _FAULTS:
            self._fail(DriverError(_FAULTS[answer.say]))
            return
        if answer.number not in (0, self._number):
            answer.body[:] = bytes(len(answer.body))
            return
        if len(self._answers) >= MAX_WAITING:
            raise CableError("answers that nobody asked for")
        if answer.say is not Say.BEAT or not self._answers:
            self._answers.append(answer)
        self._arrived.set()

    def _drop(self) -> None:
        """Wipe what nobody has read."""
        for answer in self._answers:
            answer.body[:] = bytes(len(answer.body))
        self._answers.clear()

    def _fail(self, trouble: DriverError) -> None:
        """Keep the first trouble, wipe, and wake whoever waits."""
        if self.trouble is None:
            self.trouble = trouble
        self._drop()
        self._buffer[:] = bytes(len(self._buffer))
        self._filled = 0
        self._arrived.set()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
