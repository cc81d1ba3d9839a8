"""Who is at which seat, kept true by authd's own events: a lock is here within milliseconds, silence within 2 s."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from authd.client import Client, ClientError, Person
from authd.client.channel import BackOff, passing

EVENT_WITHIN_S: Final = 1.0
"""After authd has said so itself."""
Change = Callable[[str, Person | None], None]


class Seats:
    """The seats of one application. Nobody is there before `run` has heard of somebody."""

    def __init__(self, client: Client, seats: Sequence[str]) -> None:
        self._client = client
        self._people: dict[str, Person | None] = dict.fromkeys(seats)
        self._happened = asyncio.Event()
        self.on_change: list[Change] = []
        """Called at once with a seat and who is there now, in the order in which it happened."""

    def person(self, seat: str) -> Person | None:
        """Return who is at the seat now."""
        return self._people[seat]

    async def ask(self, seat: str) -> Person | None:
        """Return who is at the seat now; somebody who has only just touched is waited for."""
        if (person := self._people[seat]) is not None:
            return person
        fresh = await self._client.who(seat, fresh=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(EVENT_WITHIN_S):
                # Only what the events say is acted upon: they will also say when it is over.
                while fresh is not None and self._people[seat] is None:
                    await self._happened.wait()
        return self._people[seat]

    @property
    def people(self) -> list[Person]:
        """Everybody who is somewhere."""
        return [each for each in self._people.values() if each is not None]

    async def run(self) -> None:
        """Watch, for ever. Raises `DoorError` where a seat is none of this application's, or its key is not known."""
        async with asyncio.TaskGroup() as group:
            for seat in self._people:
                group.create_task(self._watch(seat))

    async def _watch(self, seat: str) -> None:
        back_off = BackOff()
        while True:
            try:
                async for person in self._client.changes(seat):
                    back_off.reset()
                    self._set(seat, person)
            except ClientError as error:
                self._set(seat, None)
                if not passing(error):
                    raise
            await back_off.sleep()

    def _set(self, seat: str, person: Person | None) -> None:
        self._people[seat] = person
        self._happened.set()
        self._happened = asyncio.Event()
        for each in self.on_change:
            each(seat, person)
