"""The vein reader: whatever the source of its frames, a finger comes down, is looked at, and becomes a probe.

A capture is wiped as soon as it was looked at, in `finally`, whatever happens: no frame outlives the statement that
uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from authd.driver import Ask, Capture, Event, Feedback, Hint, Op, Probe, State, StateChange
from authd_drivers.vein.engine.extract import Extraction, extract
from authd_drivers.vein.engine.profile import SensorProfile
from authd_drivers.vein.source import FingerGone, Frame, Source

MAX_WAITING = 32
Say = Callable[[Event], Awaitable[None]]


class VeinReader:
    """Implements `authd.driver.Reader` for any `Source` whose frames have the profile's size."""

    def __init__(self, source: Source, profile: SensorProfile) -> None:
        self._source, self._profile = source, profile

    async def open(self) -> None:
        """Claim the device. Raises `DriverError`."""
        await self._source.open()

    async def close(self) -> None:
        """Release the device."""
        await self._source.close()

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        """Carry out one operation. The finger is followed however slowly the events are taken."""
        del ask
        events: asyncio.Queue[Event | Exception | None] = asyncio.Queue(MAX_WAITING)
        # Awaited below in every case; a TaskGroup may not stand around a `yield`.
        work = asyncio.get_running_loop().create_task(self._work(op, events))
        try:
            while (event := await events.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            work.cancel()
            await asyncio.wait({work})

    async def _work(self, op: Op, events: asyncio.Queue[Event | Exception | None]) -> None:
        try:
            await self._follow(op, events.put)
            await events.put(None)
        except Exception as error:  # raised again where the events are taken
            await events.put(error)

    async def _follow(self, op: Op, say: Say) -> None:
        """Say how things are, then each touch; end with the first good sample of a capture."""
        if await self._resting():
            await say(StateChange(State.FINGER_DOWN))
            await self._source.lifted()
            await say(StateChange(State.FINGER_UP))
        else:
            await say(StateChange(State.NEED_TOUCH))
        while True:
            frame = await self._source.finger()
            try:
                await say(StateChange(State.FINGER_DOWN))
                if isinstance(op, Capture) and await self._sampled(frame, op.nonce, say):
                    return
            finally:
                frame.wipe()
            await self._source.lifted()
            await say(StateChange(State.FINGER_UP))

    async def _resting(self) -> bool:
        """Whether a finger is on the reader already: it may be somebody who leans on it, so it is no touch."""
        try:
            (await self._source.frame()).wipe()
        except FingerGone:
            return False
        return True

    async def _sampled(self, frame: Frame, nonce: str, say: Say) -> bool:
        """Say the probe of this touch, or what the person can do better."""
        result = await self._best_of(frame)
        if result.template is None:
            await say(Feedback(result.hint or Hint.REMOVE_AND_RETRY))
            return False
        await say(Probe(result.template, result.quality, nonce))
        return True

    async def _best_of(self, frame: Frame) -> Extraction:
        """Try the first frames of a touch until one is good enough: the finger may still be settling."""
        result = self._looked_at(frame)
        for _ in range(self._profile.tries - 1):
            if result.template is not None:
                break
            try:
                result = self._looked_at(await self._source.frame())
            except FingerGone:
                break
        return result

    def _looked_at(self, frame: Frame) -> Extraction:
        try:
            return extract(frame.pixels, self._profile)
        finally:
            frame.wipe()
