"""What every group of questions is made of: one answer, all items of a stream, or a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from authd.client.channel import Caller, Frames, raise_error, stream
from authd.client.questions import Questions
from authd.client.values import Frame, decode

TOUCH_WAIT = 60.0
"""Seconds a person has to touch, at most; the seat's own limit is shorter."""

T = TypeVar("T")


class Asking:
    """Base of a group of questions; `Client` has them all."""

    _caller: Caller
    _timeout: float
    _questions: Questions

    async def _ask(self, answer: type[T], verb: str, limit: float | None = None, **fields: object) -> T:
        raw, _ = await self._questions.ask(verb, limit or self._timeout, fields, connect=self._timeout)
        return read(raw, answer)

    async def _collect(self, item: type[T], verb: str, fields: dict[str, object]) -> list[T]:
        async with self._stream(verb, fields) as frames:
            return [decode(frame.item, item) async for frame, _ in frames]

    @asynccontextmanager
    async def _stream(self, verb: str, fields: Mapping[str, object]) -> AsyncGenerator[Frames, None]:
        async with self._caller.connected() as channel, aclosing(stream(channel, verb, fields)) as frames:
            yield frames


def read(raw: bytes, answer: type[T]) -> T:
    """Return the answer. Raises `DoorError` where it is a refusal."""
    raise_error(decode(raw, Frame))
    return decode(raw, answer)
