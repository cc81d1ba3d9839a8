"""Tells a server twice a second, and at every change, who is present: `packaging/postgresql/authd.sql` does the rest.

There, a role may log in only while its person is present; when a session ends, its backends are ended, whichever way
they came; and rows that ask for `authd.here()` are shown to nobody once this connection has been silent for 2 s.
Each time the whole state is told, so that nothing need be remembered on either side.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from typing import Final

from authd.broker.postgres import messages
from authd.broker.postgres.refusals import Refusal, Refused
from authd.broker.postgres.relay import Lost, Wire
from authd.broker.postgres.seats import Seats
from authd.broker.postgres.server import Database
from authd.broker.postgres.signon import SignOnFailed
from authd.client import Person
from authd.client.channel import BackOff
from authd.core.model import SessionId

EVERY_S: Final = 0.5
AGAIN_S: Final = 0.03
"""After a change."""
ANSWER_WITHIN_S: Final = 2.0
ADMITTED_WITHIN_S: Final = 3.0
PARAMETERS: Final = {"application_name": "authd keeper", "options": "-c synchronous_commit=off -c lock_timeout=1500"}
"""What waits for a lock would go on waiting when we have hung up, and then say who was present long ago."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
log = logging.getLogger("authd.broker.keeper")


class Keeper:
    """One server's."""

    def __init__(self, database: Database, seats: Seats) -> None:
        self._database = database
        self._seats = seats
        self._news = asyncio.Event()
        self._told = asyncio.Event()
        self._kept: frozenset[str] = frozenset()
        self.ready = asyncio.Event()
        """Set once the server has been told for the first time."""
        seats.on_change.append(lambda seat, person: self._news.set())

    async def admitted(self, person: Person) -> None:
        """Wait until the server lets this person's role in. Raises `Refused`."""
        try:
            async with asyncio.timeout(ADMITTED_WITHIN_S):
                while person.session not in self._kept:
                    await self._told.wait()
        except TimeoutError:
            raise Refused(Refusal.SERVER) from None

    async def run(self) -> None:
        """Keep telling, for ever, through every restart of the server."""
        back_off = BackOff()
        while True:
            try:
                await self._attend(back_off)
            except (OSError, Lost, SignOnFailed, TimeoutError, Refused, messages.Malformed) as error:
                log.warning("keeper of %s: %s; trying again", self._database.name, error or type(error).__name__)
            finally:
                self._kept = frozenset()
            await back_off.sleep()

    async def _attend(self, back_off: BackOff) -> None:
        settings = self._database.settings
        database = settings.keeper_database or self._database.name
        async with asyncio.timeout(ADMITTED_WITHIN_S):
            signed_on = await self._database.as_role(settings.keeper, {"database": database, **PARAMETERS})
        try:
            while True:
                changed = self._news.is_set()
                self._news.clear()
                await self._tell(signed_on.wire)
                back_off.reset()
                # A connection that was just being let in is seen by the server only a moment later.
                with_limit = asyncio.timeout(AGAIN_S if changed else EVERY_S)
                try:
                    async with with_limit:
                        await self._news.wait()
                except TimeoutError:
                    if not with_limit.expired():
                        raise
        finally:
            signed_on.wire.abort()

    async def _tell(self, wire: Wire) -> None:
        """Say who is present. In two transactions: once nobody else may log in, nobody else may stay."""
        present = {each.session: each.account for each in self._seats.people if each.account}
        asked = messages.query(f"SELECT authd.keep({literal(present)})")
        async with asyncio.timeout(ANSWER_WITHIN_S):
            wire.write(asked + messages.query("SELECT authd.end_others()"))
            await _answered(wire, 2)
        self._kept = frozenset(present)
        self._told.set()
        self._told = asyncio.Event()
        self.ready.set()


def literal(present: Mapping[SessionId, str]) -> str:
    """Write who is present as SQL. The names are authd's own, and are looked at again all the same."""
    if not all(_NAME.fullmatch(word) for pair in present.items() for word in pair):
        raise messages.Malformed("a name that no session or role has")
    return f"'{json.dumps(present)}'::jsonb"


async def _answered(wire: Wire, queries: int) -> None:
    """Read the answers to so many queries. Raises `SignOnFailed` where one of them is an error."""
    rest, done = b"", 0
    while done < queries:
        found, rest = messages.split(rest + await wire.receive())
        for each in found:
            if each.letter == b"E":
                code = messages.error_code(each.body)
                raise SignOnFailed(f"SQLSTATE {code}; install packaging/postgresql/authd.sql, and grant it", code)
            done += each.letter == b"Z"
