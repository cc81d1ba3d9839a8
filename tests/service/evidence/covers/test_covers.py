"""The watch over the desktops' agents, over a real seat machine and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from authd.core import seat as machine
from authd.core.model import MILLISECOND, SECOND, Entry, Instant, Kind, Nonce, ReaderId, SeatId, SeatState, SessionId
from authd.service.evidence import Ground
from authd.service.evidence.covers import Cover, Covers, Loss
from tests.core.playbook import AOKI, PERMIT, Playbook, candidate, capture, opened, quietly, touch

ONE, TWO = SeatId("counter-1"), SeatId("counter-2")
OPENING: tuple[machine.Event, ...] = tuple(
    event
    for nonce in (Nonce("n1"), Nonce("n2"))
    for event in (
        machine.Armed(nonce),
        machine.Captured(nonce),
        machine.Verdict(nonce, candidate(AOKI, nonce), PERMIT, SessionId("s1")),
    )
)
"""All that opens a seat, under the nonce that was armed and under the next one."""


@dataclass
class Clock:
    at: Instant = Instant(2_000 * SECOND)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> Instant:
        return self.at

    async def sleep_until(self, instant: Instant | None, woken: asyncio.Event) -> None:
        self.looked.set()
        while not woken.is_set() and (instant is None or self.at < instant):
            self.moved.clear()
            await self.moved.wait()

    async def leap(self, ms: int) -> None:
        self.at = Instant(self.at + ms * MILLISECOND)
        self.looked.clear()
        self.moved.set()
        for _ in range(5):
            await asyncio.sleep(0)


class Pipeline:
    """Steps the machine; what it would write and show is kept."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.ready = asyncio.Event()
        self.seats = {ONE: machine.Seat(ONE, opened().seat.epoch)}
        self.rows: list[Entry] = []
        self.effects: list[machine.Effect] = []

    def sit(self) -> None:
        self.take(opened())

    def take(self, book: Playbook) -> None:
        """The seat is as it is at this point of the script."""
        self.clock.at = max(self.clock.at, book.now)
        self.seats[ONE] = book.seat._replace(id=ONE, watch=machine.Watch(self.clock.at))

    def feed(self, seat: SeatId, event: machine.Event) -> None:
        self.seats[seat], effects = machine.step(self.seats[seat], event, self.clock.now())
        self.effects += effects
        self.rows += [each.entry for each in effects if isinstance(each, machine.Write | machine.Append)]

    def write(self, entry: Entry) -> None:
        self.rows.append(entry)


@dataclass
class World:
    clock: Clock
    pipeline: Pipeline
    covers: Covers

    @property
    def kinds(self) -> list[str]:
        return [row.kind.value for row in self.pipeline.rows]

    @property
    def owner(self) -> str | None:
        owner = self.pipeline.seats[ONE].owner
        return owner.subject if owner else None

    def left(self) -> bool:
        return self.pipeline.seats[ONE].left


def world(on_cover_failure: str = "end-session") -> World:
    clock = Clock()
    pipeline = Pipeline(clock)
    seats: Mapping[SeatId, Any] = {
        ONE: SimpleNamespace(id=ONE, desktop=True, on_cover_failure=on_cover_failure),
        TWO: SimpleNamespace(id=TWO, desktop=False, on_cover_failure="end-session"),
    }
    ground = SimpleNamespace(config=SimpleNamespace(seats=seats), clock=clock, pipeline=pipeline)
    return World(clock, pipeline, Covers(cast("Ground", ground)))


async def running(host: World, group: asyncio.TaskGroup) -> asyncio.Task[None]:
    (job,) = host.covers.jobs()
    task = group.create_task(job)
    host.pipeline.ready.set()
    await host.clock.looked.wait()
    return task


async def test_a_desktop_that_nobody_attends_is_closed_from_the_start() -> None:
    host = world()
    async with asyncio.TaskGroup() as group:
        task = await running(host, group)
        assert host.left()
        assert host.covers.attend(ONE, Cover.COVERED).state is SeatState.OUT_OF_SERVICE  # it has no reader here
        assert not host.left()
        task.cancel()
    assert host.kinds == []


async def test_the_session_ends_when_its_agent_falls_silent_and_the_row_follows() -> None:
    host = world()
    async with asyncio.TaskGroup() as group:
        task = await running(host, group)
        host.covers.attend(ONE, Cover.COVERED)
        host.pipeline.sit()
        for _ in range(5):
            await host.clock.leap(200)
            assert host.covers.attend(ONE, Cover.OPEN).owner is not None
        await host.clock.leap(699)
        assert host.owner == AOKI
        await host.clock.leap(1)
        assert host.owner is None
        assert host.left()
        task.cancel()
    assert host.kinds == ["session.ended", "cover.lost"]
    ended, lost = host.pipeline.rows
    assert ended.reason == "fault"
    assert (lost.session, lost.subject, lost.data["why"]) == (ended.session, AOKI, "silent")


async def test_the_agent_that_comes_back_opens_the_seat_for_the_next_touch() -> None:
    host = world()
    async with asyncio.TaskGroup() as group:
        task = await running(host, group)
        host.covers.attend(ONE, Cover.COVERED)
        host.pipeline.feed(ONE, machine.ReaderUp(ReaderId("vein-1")))
        await host.clock.leap(700)
        assert host.left()
        host.covers.attend(ONE, Cover.COVERED)
        assert not host.left()
        await host.clock.leap(699)
        assert not host.left()
        await host.clock.leap(1)
        assert host.left()
        task.cancel()


async def test_a_cover_that_fails_ends_the_session_that_is_open() -> None:
    host = world()
    host.pipeline.sit()
    host.covers.attend(ONE, Cover.OPEN)
    assert host.owner == AOKI
    host.covers.attend(ONE, Cover.FAILED, Loss.REFUSED)
    assert host.owner is None
    assert host.left()  # nobody else sits down either
    assert host.kinds == ["session.ended", "cover.lost"]
    assert host.pipeline.rows[1].subject == AOKI


@pytest.mark.parametrize("under_way", ["nothing", "captured", "granting"])
def test_no_grant_opens_while_the_cover_fails(under_way: str) -> None:
    host = world()
    lines = {"nothing": (), "captured": (capture(),), "granting": (touch(AOKI),)}
    host.pipeline.take(Playbook() >> quietly(*lines[under_way]))
    host.covers.attend(ONE, Cover.FAILED, Loss.REFUSED)
    for event in (*OPENING, machine.Recorded("s1")):
        host.pipeline.feed(ONE, event)
        host.covers.attend(ONE, Cover.FAILED)
        assert host.left()
        assert (host.owner, host.pipeline.seats[ONE].pending) == (None, None)
    assert "grant" not in host.kinds
    assert ("void" in host.kinds) == (under_way == "granting")


@pytest.mark.parametrize("cover", [Cover.OPEN, Cover.COVERED])
def test_the_seat_opens_again_with_the_word_that_the_cover_holds(cover: Cover) -> None:
    host = world()
    host.pipeline.take(Playbook())
    host.covers.attend(ONE, Cover.FAILED, Loss.REFUSED)
    host.covers.attend(ONE, cover)
    assert not host.left()
    assert any(isinstance(each, machine.Arm) for each in host.pipeline.effects)


async def test_an_agent_that_comes_back_with_a_failed_cover_opens_nothing() -> None:
    host = world()
    async with asyncio.TaskGroup() as group:
        task = await running(host, group)
        host.covers.attend(ONE, Cover.FAILED, Loss.REFUSED)
        assert host.left()
        host.covers.attend(ONE, Cover.COVERED)
        await host.clock.leap(700)
        host.covers.attend(ONE, Cover.FAILED)
        assert host.left()
        task.cancel()


async def test_where_it_is_only_recorded_the_session_goes_on() -> None:
    host = world("record")
    host.pipeline.sit()
    async with asyncio.TaskGroup() as group:
        task = await running(host, group)
        assert not host.left()
        host.covers.attend(ONE, Cover.FAILED, Loss.REFUSED)
        await host.clock.leap(1_500)
        assert host.owner == AOKI
        task.cancel()
    assert host.kinds == ["cover.lost", "cover.lost"]


async def test_a_flood_of_losses_is_counted_in_few_rows() -> None:
    host = world()
    for _ in range(100):
        host.covers.attend(ONE, Cover.COVERED, Loss.DIED)
        host.clock.at = Instant(host.clock.at + 20 * MILLISECOND)
    rows = [row for row in host.pipeline.rows if row.kind is Kind.COVER_LOST]
    assert [row.data["unwritten"] for row in rows] == [0, 49]


def test_which_seats_have_a_desktop() -> None:
    host = world()
    assert host.covers.known(ONE)
    assert not host.covers.known(TWO)
    assert host.covers.state() == {ONE: {"attended": False, "cover": "open"}}
    none = replace(host, covers=Covers(cast("Ground", SimpleNamespace(config=SimpleNamespace(seats={})))))
    assert none.covers.jobs() == ()


@pytest.mark.parametrize("cover", list(Cover))
async def test_what_the_agent_says_opens_nothing(cover: Cover) -> None:
    host = world()
    assert host.covers.attend(ONE, cover, Loss.HUNG).owner is None
    assert host.kinds == ["cover.lost"]
