"""The claim of the sensor: had for one account, given back, and never lost sight of.

- While the machine sleeps it is kept: fprintd then fails to release a sensor, forgets that it was claimed, and can
  never open it again. It is given back as the machine wakes up.
- A claim that was cut off before its answer came is released once it is granted: while the sensor opens, fprintd
  refuses to release it. If that is in the machine's sleep, it is kept as any other.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from dbus_fast import Message, MessageType

from authd.driver import DriverError, Fault
from authd_drivers.fprintd.link import CallError, Link
from authd_drivers.fprintd.results import RETRY

BUSY_S = 1.5
"""How long another program may take to release the sensor before it is said to be busy."""
AGAIN_S = 0.25
LEAVE_S = 0.17
"""How long leaving waits for the sensor to be released; the next claim waits for the rest."""


class Claim:
    """Our claim on the sensor of a link."""

    def __init__(self, link: Link) -> None:
        self.account = ""
        """For whom the sensor is claimed by us; "": it is not."""
        self._link = link
        self._leaving: asyncio.Future[Message] | None = None

    async def have(self, account: str) -> None:
        """Have the sensor for this account. Raises `DriverError`, `CallError`."""
        await self._not_of_another(account)
        if self.account:
            return
        end = time.clock_gettime(time.CLOCK_BOOTTIME) + BUSY_S
        while not await self._claimed(account, time.clock_gettime(time.CLOCK_BOOTTIME) < end):  # noqa: ASYNC110  # no event
            await asyncio.sleep(AGAIN_S)
        self.account = account

    async def leave(self) -> None:
        """Give it back, without waiting for long. Raises `DriverError`."""
        leaving = self.let_go()
        if leaving is not None:
            await asyncio.wait({leaving}, timeout=LEAVE_S)

    def let_go(self) -> asyncio.Future[Message] | None:
        """Give it back without waiting, unless there is none, or the machine sleeps. Raises `DriverError`."""
        if not self.account or self._link.asleep:
            return None
        self.account = ""
        self._leaving = self._link.begin("Release")
        return self._leaving

    def lost(self) -> None:
        """Fprintd has forgotten it."""
        self.account, self._leaving = "", None

    async def _claimed(self, account: str, patient: bool) -> bool:
        """Whether it was granted; patient: another program that has it is no error yet."""
        answer = self._link.begin("Claim", account)
        try:
            await self._link.reply(answer)
        except CallError as error:
            if error.result is Fault.BUSY and patient:
                return False
            raise
        except BaseException:
            self._orphan(answer, account)
            raise
        return True

    async def _not_of_another(self, account: str) -> None:
        """Have no claim but for this account. Raises `CallError` where one came, or stays, by the machine's sleep."""
        while True:
            if self.account not in ("", account):
                await self.leave()
            await self._left()
            if self._link.asleep:
                raise CallError("the machine sleeps", RETRY)
            if self.account in ("", account):
                return

    def _orphan(self, answer: asyncio.Future[Message], account: str) -> None:
        """Nobody waits for this claim any more: release it once it is granted."""
        released = self._leaving = asyncio.get_running_loop().create_future()

        def settle(reply: asyncio.Future[Message]) -> None:
            if not reply.cancelled() and not reply.exception() and not released.done():
                released.set_result(reply.result())

        def granted(reply: asyncio.Future[Message]) -> None:
            if reply.cancelled() or reply.exception() or reply.result().message_type is MessageType.ERROR:
                settle(reply)
                return
            if self._link.asleep:
                self.account = account
                settle(reply)
                return
            with suppress(DriverError):
                self._link.begin("Release").add_done_callback(settle)

        answer.add_done_callback(granted)

    async def _left(self) -> None:
        """Wait until what was given back is really free."""
        leaving = self._leaving
        if leaving is not None:
            with suppress(CallError):
                await self._link.reply(leaving)
            if self._leaving is leaving:  # whoever is cancelled before leaves it to the next one
                self._leaving = None
