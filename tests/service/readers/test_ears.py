from __future__ import annotations

import asyncio

from authd.core.model import Fault, ReaderId
from authd.core.ports import FingerDown, FingerUp, Heard, ReaderDown, Sensed
from authd.service.readers.ears import MAX_HEARD, Ears

DOWN = ReaderDown(ReaderId("r"), Fault.REMOVED)


async def heard(ears: Ears, count: int) -> list[Heard]:
    listener = ears.listen()
    async with asyncio.timeout(60):
        words = [await anext(listener) for _ in range(count)]
    await listener.aclose()
    return words


async def test_words_come_in_order_and_later_ones_are_waited_for() -> None:
    ears = Ears()
    ears.say(FingerDown())
    ears.say(FingerUp())
    assert await heard(ears, 2) == [FingerDown(), FingerUp()]
    asyncio.get_running_loop().call_soon(ears.say, DOWN)
    assert await heard(ears, 1) == [DOWN]


async def test_when_nobody_listens_what_matters_stays() -> None:
    ears = Ears()
    ears.say(DOWN)
    for _ in range(MAX_HEARD + 10):
        ears.say(FingerDown())
    ears.say(Sensed(present=False))
    words = await heard(ears, MAX_HEARD)
    assert (words[0], words[-1], len(words)) == (DOWN, Sensed(present=False), MAX_HEARD)
    assert ears.dropped == {"FingerDown": 12}


async def test_a_flood_of_what_matters_is_bounded_and_counted() -> None:
    ears = Ears()
    for _ in range(MAX_HEARD + 5):
        ears.say(Sensed(present=True))
    assert len(await heard(ears, MAX_HEARD)) == MAX_HEARD
    assert ears.dropped == {"Sensed": 5}
