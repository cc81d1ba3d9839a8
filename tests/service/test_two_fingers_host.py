"""Two fingers on a whole host: real processes, simulated reader, the settings of a policy, the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from authd import client
from authd.core.model import Entry, Kind
from authd.service.ledger import Reader
from authd.service.pdp import installed
from authd_drivers.vein.engine.profile import PROFILES
from authd_simulators.people import Staff
from authd_simulators.stage import TOUCH_MS, Stage, free_ports, vein

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

SEAT = "counter-1"
INDEX, MIDDLE = "right_index", "left_middle"
PATIENCE_S = 60.0
ROW = "[[roster]]\npeople = 20\nfingers = {}\nthreshold = {}\nmargin = 0.04\nfnir_percent = 1.0\nbound = 5e-06\n"


class TwoFingers(Stage):
    """A seat that asks for two fingers, and two officers who have enrolled two."""

    finger = INDEX

    def _toml(self) -> str:
        settings = (installed() / "settings.toml").read_text("utf-8")
        settings = settings.replace('fingers = "auto"', "fingers = 2").replace("holidays = false", "holidays = true")
        settings = settings.replace(
            '["mon", "tue", "wed", "thu", "fri"]', '["mon","tue","wed","thu","fri","sat","sun"]'
        )
        settings = settings.replace('"07:00"', '"00:00"').replace('"21:00"', '"24:00"')
        settings = settings.replace("untrusted_clock_may_open = false", "untrusted_clock_may_open = true")
        (self.folder / "settings.toml").write_text(settings, encoding="utf-8")
        profile = (PROFILES / "sim.toml").read_text("utf-8").partition("[[roster]]")[0]
        rows = ROW.format(1, 0.32) + ROW.format(2, 0.55)
        (self.folder / "profile.toml").write_text(f"{profile}\n{rows}", encoding="utf-8")
        text = super()._toml().replace("[policy]", f'[policy]\nsettings = "{self.folder}/settings.toml"')
        return text.replace('driver = "sim-vein"', f'driver = "sim-vein"\nprofile = "{self.folder}/profile.toml"')

    async def _enrol_everybody(self) -> None:
        async with self.door() as door:
            for person in self.people:
                await self._found(door, person)

    async def _found(self, door: client.Client, person: Staff) -> None:
        steps = door.enrol(
            SEAT,
            staff_number=person.staff_number,
            name=person.name,
            kana=person.kana,
            section=person.section,
            finger=INDEX,
            more=[MIDDLE],
            officer=True,
            found=True,
        )
        async with aclosing(steps):
            asked = None
            while (step := await self.next_step(steps, SEAT, asked)) is not None:
                asked = person if step.step == "touch" else None
                if asked is not None:
                    self.finger = step.finger
                    await self.press(SEAT, asked)

    async def put_down(self, seat: str, person: Staff, *, span_ms: int = TOUCH_MS, how: str = "TOUCH") -> None:
        """Lay the finger that it is about on the reader now."""
        await self.send(f"{vein(seat)} {how} {person.staff_number} {self.finger} {span_ms}")

    async def lay(self, person: Staff, finger: str) -> None:
        """Lay this finger on the reader, and no other before it is lifted."""
        self.finger = finger
        await self.press(SEAT, person)

    async def until(self, so: Callable[[dict[str, Any]], bool], person: Staff, finger: str) -> None:
        """Lay a finger until something is so at the seat; a reader may ask for it again (that is no try)."""
        async with self.door() as door:
            for _ in range(5):
                await self.lay(person, finger)
                await self.lifted(SEAT)
                await self.awaited(SEAT)  # what was made of this touch is said now, if it was anything
                for _ in range(100):
                    status: Any = await door.status()
                    if so(status["seats"][SEAT]):
                        return
                    await asyncio.sleep(0.02)
        raise AssertionError(f"{finger} of {person.staff_number}\n{self.said()}")

    async def pair(self, first: tuple[Staff, str], second: tuple[Staff, str]) -> bool:
        """Lay two fingers, the second when it is asked for; returns whether somebody sits there then."""
        before = len(self.rows(Kind.ATTEMPT_NOT_RECOGNISED))
        await self.until(lambda seat: seat["message"] == "another_finger", *first)
        await self.until(
            lambda seat: seat["state"] == "active" or len(self.rows(Kind.ATTEMPT_NOT_RECOGNISED)) > before, *second
        )
        return await who(self) is not None

    async def row(self, kind: Kind) -> Entry:
        """Wait for the newest row of this kind: a session's start follows its grant, which alone was waited for."""
        async with asyncio.timeout(PATIENCE_S):
            while not (rows := self.rows(kind)):  # noqa: ASYNC110 - the ledger of another process
                await asyncio.sleep(0.02)
        return rows[-1]

    def rows(self, kind: Kind) -> list[Entry]:
        """What the ledger holds of this kind at the seat."""
        reader = Reader(self.ledger)
        try:
            return [row.entry for row in reader.find(f"seat:{SEAT}") if row.entry.kind is kind]
        finally:
            reader.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage() -> AsyncIterator[TwoFingers]:
    async with TwoFingers(free_ports(), seats=(SEAT,), people=2) as made:
        yield made


async def who(stage: TwoFingers) -> client.Person | None:
    async with stage.door() as door:
        return await door.who(SEAT)


async def test_the_status_says_that_two_are_asked(stage: TwoFingers) -> None:
    async with stage.door() as door:
        status: Any = await door.status()
    said = status["identification"][SEAT]
    assert (said["fingers"], said["people"], said["people_with_fewer_fingers"], said["permitted"]) == (2, 2, 0, True)


async def test_one_finger_twice_or_anothers_second_is_nobody(stage: TwoFingers) -> None:
    ann, ben = stage.people
    for second in ((ann, INDEX), (ben, MIDDLE)):
        assert not await stage.pair((ann, INDEX), second)
    assert stage.rows(Kind.SESSION_STARTED) == []


async def test_two_fingers_start_a_session_and_both_are_in_the_ledger(stage: TwoFingers) -> None:
    ann, _ = stage.people
    for _ in range(3):  # one of a pair may be too poor a picture for both
        if await stage.pair((ann, INDEX), (ann, MIDDLE)):
            break
    else:
        raise AssertionError(stage.said())
    started = await stage.row(Kind.SESSION_STARTED)
    assert started.data["fingers"] == f"{INDEX},{MIDDLE}"
    assert str(started.data["reference"]).count("tpl_") == 2
    assert started.data["first"]
    assert started.data["first"] != started.data["nonce"]


async def test_who_sits_there_locks_with_one(stage: TwoFingers) -> None:
    ann, _ = stage.people
    await asyncio.sleep(2.1)  # a touch right after the login would be a bounce
    await stage.until(lambda seat: seat["state"] == "locked", ann, MIDDLE)
    assert await who(stage) is None
