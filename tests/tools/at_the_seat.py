"""What a person does at the one seat of a town, for the tests of what stands behind it."""

from __future__ import annotations

import time

from authd.client import Person
from authd_simulators.people import Staff
from tests.e2e.town import SEAT, Town


class AtTheSeat:
    """Logs in and locks."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def log_in(self, person: Staff | None = None) -> Person:
        """Touch, after whoever is there has gone."""

        async def touch() -> Person:
            async with self.town.stage.door() as door:
                if await door.who(SEAT) is not None:
                    await self.town.stage.log_out(SEAT)
                return await self.town.stage.log_in(door, SEAT, person or self.town.clerk)

        return self.town.do(touch)

    def lock(self) -> float:
        """Press the screen's button; returns the wall clock at that moment, in seconds."""

        async def press() -> float:
            async with self.town.stage.screen(SEAT) as screen:
                await screen.ping()
                at = time.time()
                await screen.press(SEAT, "lock")
                return at

        return self.town.do(press)
