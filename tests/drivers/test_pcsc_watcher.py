"""The watcher of cards: each stay once, through pcscd's death, silence and return."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from authd_drivers.pcsc import looks
from authd_drivers.pcsc import watcher as module
from authd_drivers.pcsc.api import PRESENT, Seen
from authd_drivers.pcsc.watcher import Stay, Watcher
from authd_simulators.cards import make
from tests.drivers.pcsc import READER, FakePcsc

CARD = make("blank")


@asynccontextmanager
async def watching(pcsc: FakePcsc, prefix: str = "") -> AsyncGenerator[Watcher, None]:
    watcher = Watcher(pcsc.service, prefix)
    watcher.start()
    try:
        await until(watcher, lambda: watcher.serving or not pcsc.alive)
        yield watcher
    finally:
        await watcher.close()


async def until(watcher: Watcher, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await watcher.change()


async def stay(watcher: Watcher) -> Stay:
    await until(watcher, lambda: len(watcher.stays) == 1)
    return watcher.stays[0]


async def test_each_stay_has_a_name_of_its_own() -> None:
    pcsc = FakePcsc()
    names = list[str]()
    async with watching(pcsc) as watcher:
        for _ in range(3):
            pcsc.insert(CARD)
            names.append((await stay(watcher)).insertion)
            pcsc.remove()
            await until(watcher, lambda: not watcher.stays)
    assert len(set(names)) == 3


async def test_a_card_that_went_and_came_unseen_is_another_stay() -> None:
    pcsc = FakePcsc()
    async with watching(pcsc) as watcher:
        pcsc.insert(CARD)
        first = await stay(watcher)
        pcsc.remove()
        pcsc.insert(CARD)
        await until(watcher, lambda: bool(watcher.stays) and watcher.stays[0] != first)


async def test_who_lay_there_before_did_not_begin() -> None:
    pcsc = FakePcsc()
    pcsc.insert(CARD)
    async with watching(pcsc) as watcher:
        assert (await stay(watcher)).began is None


async def test_what_a_new_reader_finds_was_not_put_in_until_it_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    pcsc = FakePcsc()
    async with watching(pcsc) as watcher:
        assert not watcher.settled
        pcsc.insert(CARD)
        assert (await stay(watcher)).began is None
        pcsc.remove()
        await until(watcher, lambda: not watcher.stays)
        monkeypatch.setattr(module, "SETTLE_S", 0.0)
        assert watcher.settled
        pcsc.insert(CARD)
        assert (await stay(watcher)).began is not None


async def test_pcscds_death_ends_every_stay_and_its_return_begins_others() -> None:
    pcsc = FakePcsc()
    pcsc.insert(CARD)
    async with watching(pcsc) as watcher:
        first = await stay(watcher)
        pcsc.die()
        await until(watcher, lambda: not watcher.serving)
        assert (watcher.stays, watcher.readers) == ((), ())
        pcsc.live()
        assert (await stay(watcher)).insertion != first.insertion


async def test_pcscds_silence_ends_every_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_MS", 20)
    monkeypatch.setattr(module, "SILENT_S", 0.1)
    pcsc = FakePcsc()
    pcsc.insert(CARD)
    async with watching(pcsc) as watcher:
        first = await stay(watcher)
        pcsc.frozen.clear()
        try:
            await until(watcher, lambda: not watcher.serving)
            assert watcher.stays == ()
        finally:
            pcsc.frozen.set()
        assert (await stay(watcher)).insertion != first.insertion


async def test_it_waits_for_a_pcscd_that_is_not_there() -> None:
    pcsc = FakePcsc()
    pcsc.die()
    async with watching(pcsc) as watcher:
        assert not watcher.serving
        pcsc.live()
        await until(watcher, lambda: watcher.serving)


async def test_readers_come_and_go() -> None:
    pcsc = FakePcsc("Left 0", "Right 0")
    async with watching(pcsc, "Right") as watcher:
        assert watcher.readers == ("Right 0",)
        pcsc.plug("Right 1")
        await until(watcher, lambda: watcher.readers == ("Right 0", "Right 1"))
        pcsc.insert(CARD, "Right 1")
        await stay(watcher)
        pcsc.unplug("Right 1")
        await until(watcher, lambda: not watcher.stays and watcher.readers == ("Right 0",))


async def test_closing_ends_it_and_twice_is_once() -> None:
    pcsc = FakePcsc()
    pcsc.insert(CARD)
    async with watching(pcsc) as watcher:
        await stay(watcher)
        await watcher.close()
        assert watcher.stays == ()
        pcsc.remove()
        pcsc.insert(CARD, READER)
        await asyncio.to_thread(pcsc.caught_up)
        assert watcher.stays == ()


@asynccontextmanager
async def looking(pcsc: FakePcsc, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[Watcher, Stay], None]:
    """Watch a card that was put in, in a reader whose driver is asked and has said that it is there."""
    monkeypatch.setattr(looks, "LOOK_S", 0.005)
    async with watching(pcsc) as watcher:
        pcsc.insert(CARD)
        first = await stay(watcher)
        await asyncio.to_thread(pcsc.says, True)
        yield watcher, first


async def test_a_card_that_the_reader_misses_is_gone_before_pcscd_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    pcsc = FakePcsc()
    async with looking(pcsc, monkeypatch) as (watcher, _):
        await asyncio.to_thread(pcsc.says, False)
        await until(watcher, lambda: not watcher.stays)
        assert watcher.seen[READER].present
        pcsc.touched()  # pcscd says it once more, and is not believed
        await asyncio.to_thread(pcsc.says, False)
        assert watcher.stays == ()


async def test_what_is_back_before_pcscd_knows_was_put_in_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    pcsc = FakePcsc()
    monkeypatch.setattr(module, "SETTLE_S", 0.0)
    async with looking(pcsc, monkeypatch) as (watcher, first):
        await asyncio.to_thread(pcsc.says, False)
        await until(watcher, lambda: not watcher.stays)
        await asyncio.to_thread(pcsc.says, True)
        second = await stay(watcher)
        assert second.insertion != first.insertion
        assert second.began is None


async def test_what_pcscd_sees_put_in_after_that_was_put_in_by_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    pcsc = FakePcsc()
    monkeypatch.setattr(module, "SETTLE_S", 0.0)
    async with looking(pcsc, monkeypatch) as (watcher, _):
        await asyncio.to_thread(pcsc.says, False)
        await until(watcher, lambda: not watcher.stays)
        pcsc.remove()
        await asyncio.to_thread(pcsc.caught_up)
        pcsc.answers[READER] = [True]
        pcsc.insert(CARD)
        assert (await stay(watcher)).began is not None


@pytest.mark.parametrize("says", [(None,), (False, True), (False, None, True)], ids=["nothing", "stumbles", "cannot"])
async def test_a_reader_that_stumbles_ends_nothing(
    says: tuple[bool | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pcsc = FakePcsc()
    async with looking(pcsc, monkeypatch) as (watcher, first):
        await asyncio.to_thread(pcsc.says, *says)
        assert watcher.stays == (first,)


async def test_a_reader_that_never_said_in_says_nothing_by_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOK_S", 0.005)
    pcsc = FakePcsc()
    async with watching(pcsc) as watcher:
        pcsc.insert(CARD)
        first = await stay(watcher)
        await asyncio.to_thread(pcsc.says, False)
        assert watcher.stays == (first,)


async def test_a_card_that_goes_as_it_comes_is_missed_by_a_reader_that_knew_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pcsc = FakePcsc()
    async with looking(pcsc, monkeypatch) as (watcher, _):
        pcsc.answers[READER] = [False]
        pcsc.remove()
        await until(watcher, lambda: not watcher.stays)
        pcsc.insert(CARD)
        await until(watcher, lambda: watcher.seen[READER].present)
        await until(watcher, lambda: not watcher.stays)
        assert watcher.seen[READER].present


async def test_a_reader_that_tells_pcscd_itself_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LOOK_S", 0.005)
    pcsc = FakePcsc("Left 0", "Right 0")
    pcsc.waking["Left 0"] = True
    async with watching(pcsc) as watcher:
        for reader in ("Left 0", "Right 0"):
            pcsc.insert(CARD, reader)
        await until(watcher, lambda: len(watcher.stays) == 2)
        await asyncio.to_thread(pcsc.says, True, reader="Right 0")
    assert set(pcsc.asked) == {"Right 0"}


async def test_looks_begin_anew_after_pcscd_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pcsc = FakePcsc()
    async with looking(pcsc, monkeypatch) as (watcher, _):
        pcsc.die()
        await until(watcher, lambda: not watcher.serving)
        pcsc.live()
        await stay(watcher)
        await asyncio.to_thread(pcsc.says, True)
        await asyncio.to_thread(pcsc.says, False)
        await until(watcher, lambda: not watcher.stays)


class Waits(threading.Event):
    """An end that comes after so many waits, which take no time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.waited = most, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waited.append(timeout)
        return len(self.waited) > self.most


def test_looks_leave_pcscd_its_rest() -> None:
    """Else it would never put a card to sleep whose PIN somebody left open."""
    pcsc, end, moved = FakePcsc(), Waits(2 * looks.ROUND), list[object]()
    pcsc.answers[READER] = [True]

    def tell(reader: str, count: int, there: bool) -> None:
        moved.append((reader, count, there))

    looks.Looks(pcsc.service, end, lambda: {READER: Seen(PRESENT)}, tell).work()
    turn = [looks.LOOK_S] * (looks.ROUND - 1) + [looks.REST_S]
    assert end.waited[1 : 1 + 2 * looks.ROUND] == turn + turn
    assert moved == []
