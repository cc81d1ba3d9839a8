"""The vein reader: whatever the source of its frames, a finger comes down, is looked at, and becomes a probe.

One touch is a burst: its first frame, and where the source has lamps a few more under each of them, in an order that
nobody can know before. They are taken while the first is being looked at. Every frame of it is wiped in `finally`,
whatever happens.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from authd.driver import (
    Ask,
    Capture,
    DriverError,
    Event,
    Fault,
    Feedback,
    Hint,
    Op,
    Probe,
    Progress,
    State,
    StateChange,
)
from authd_drivers.vein.engine.extract import Extraction, extract
from authd_drivers.vein.engine.pad import LAMP_CUES, brightness, judge, measure, pulse
from authd_drivers.vein.engine.profile import SensorProfile
from authd_drivers.vein.engine.retake import Takes
from authd_drivers.vein.source import FingerGone, Frame, Lamps, Light, Source

MAX_WAITING = 32
BURST = (Light.OFF, Light.SIDE, Light.ON)
"""What a touch is looked at besides its first frame, in any order."""
PULSE_STEP_S = 0.04
PROGRESS_FRAMES = 10
Say = Callable[[Event], Awaitable[None]]


class VeinReader:
    """Implements `authd.driver.Reader` for any `Source` whose frames have the profile's size."""

    def __init__(
        self, source: Source, profile: SensorProfile, pulse_seconds: float = 0.0, dice: random.Random | None = None
    ) -> None:
        """`pulse_seconds`: how long a finger is followed for its pulse before a sample is given; 0: not at all.

        dice: draws the order of the lamps; the system's own unless a bench wants its figures again.
        """
        self._source, self._profile, self._pulse_seconds = source, profile, pulse_seconds
        self._dice = dice or random.SystemRandom()
        cues = {row.cue for row in profile.pad}
        self._lamps = source if isinstance(source, Lamps) and cues & LAMP_CUES else None
        self._takes = Takes() if "retake" in cues else None

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
        frames = [frame]
        try:
            result = await self._best_of(frames, say)
        finally:
            for each in frames:
                each.wipe()
        if result.template is None:
            await say(Feedback(result.hint or Hint.REMOVE_AND_RETRY))
            return False
        await say(Probe(result.template, result.quality, nonce, result.pad))
        return True

    async def _best_of(self, frames: list[Frame], say: Say) -> Extraction:
        """Try the first frames of a touch until one is good enough: the finger may still be settling.

        Frames are added to `frames`, which the caller wipes.
        """
        lights = self._dice.sample(BURST, len(BURST)) if self._lamps is not None else []
        if self._lamps is not None:
            self._lamps.light(lights)
        result, best = extract(frames[0].pixels, self._profile), frames[0]
        try:
            for light in lights:
                await self._further(frames, light)
            spare = [frame for frame in frames[1:] if frame.light is Light.ON]
            for _ in range(self._profile.tries - 1):
                if result.template is not None:
                    break
                best = spare.pop() if spare else await self._further(frames, Light.ON)
                result = extract(best.pixels, self._profile)
            if result.template is None:
                return result
            others = [frame for frame in frames if frame is not best] if lights else []
            return replace(result, pad=await self._living(result.template, best, others, say))
        except FingerGone:
            return result if result.template is None else Extraction(None, result.quality, Hint.TOO_FAST)

    async def _further(self, frames: list[Frame], light: Light) -> Frame:
        """Take another frame of this touch, which must be under the lamp that was asked for."""
        frame = await self._source.frame()
        frames.append(frame)
        if frame.light is not light:
            raise DriverError(Fault.PROTOCOL, "a frame under another lamp")
        return frame

    async def _living(self, template: bytes, best: Frame, others: Sequence[Frame], say: Say) -> float | None:
        """Return the score of a touch against false fingers, None where this sensor's profile has no limits for it."""
        if not self._profile.pad:
            return None
        cues = measure(best.pixels, [(frame.light, frame.pixels) for frame in others], self._profile)
        if self._takes is not None:
            cues |= self._retaken(self._takes, template, best, others)
        if self._pulse_seconds:
            cues["pulse"] = await self._pulse(say)
        return self._judged(cues)

    def _judged(self, cues: Mapping[str, float]) -> float | None:
        return judge(cues, self._profile.pad)

    def _retaken(self, takes: Takes, template: bytes, best: Frame, others: Sequence[Frame]) -> dict[str, float]:
        """Compare with the frames of earlier touches, and remember those of this one."""
        likest = takes.likest(template, best.pixels)
        takes.keep(template, [best.pixels, *(frame.pixels for frame in others if frame.light is Light.ON)])
        return {} if likest is None else {"retake": likest}

    async def _pulse(self, say: Say) -> float:
        """Follow the finger's brightness. Raises `FingerGone`."""
        levels, seconds = list[float](), list[float]()
        begun = now = time.clock_gettime(time.CLOCK_BOOTTIME)
        while now - begun < self._pulse_seconds:
            frame = await self._source.frame()
            try:
                levels.append(brightness(frame.pixels, self._profile))
            finally:
                frame.wipe()
            seconds.append(now - begun)
            if len(levels) % PROGRESS_FRAMES == 0:
                await say(Progress(min(1.0, seconds[-1] / self._pulse_seconds)))
            await asyncio.sleep(max(0.0, begun + len(levels) * PULSE_STEP_S - time.clock_gettime(time.CLOCK_BOOTTIME)))
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
        return pulse(levels, seconds)
