"""One seat's terminal: signed on while somebody is at the seat, and signed off the moment they are not.

At the lock the host's own session is ended by its own keys, within half a second; then, whatever came of that, the line
is cut and the emulator told to quit, so that nothing stays on a screen. An emulator that does not obey is killed where
it was started here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from authd.broker.handing import NotHanded, Refused, hand
from authd.broker.postgres.seats import Seats
from authd.broker.terminal import signon
from authd.broker.terminal.emulator import Emulator, EmulatorError, quoted
from authd.broker.terminal.settings import TerminalSettings
from authd.broker.terminal.signon import WrongPassword
from authd.broker.vault import Vault, VaultError
from authd.client import Client, ClientError, Person
from authd.client.tables import BadSettings
from authd.locale import text

SIGN_OFF_WITHIN_S: Final = 0.5
CUT_WITHIN_S: Final = 0.15
"""Each, for what the emulator does by itself, without the host: a thousandth of a second as a rule."""
SAID_WITHIN_S: Final = 2.0
STARTED_WITHIN_S: Final = 10.0
AGAIN_S: Final = 0.1
log = logging.getLogger("authd.broker.terminal")


class Terminal:
    """`run` is all of it; `signed_on` tells who is, for whoever watches."""

    def __init__(self, name: str, terms: TerminalSettings, client: Client, vault: Vault) -> None:
        self.name = name
        self.signed_on: Person | None = None
        self.changed = asyncio.Event()
        """Set, and made anew, whenever `signed_on` is another."""
        self._terms = terms
        self._client = client
        self._vault = vault
        self._seats = Seats(client, [terms.seat])
        self._news = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._account = _account(terms)

    async def run(self) -> None:
        """Serve the seat for ever. Raises `DoorError` where it is none of this application's."""
        self._seats.on_change.append(lambda seat, person: self._news.set())
        if await self._within(CUT_WITHIN_S, _look):
            await self._cut()  # whoever was signed on by a broker that was killed
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._seats.run())
                while True:
                    await self._news.wait()
                    self._news.clear()
                    person = self._seats.person(self._terms.seat)
                    if person is not None:
                        await self._attend(group, person)
        finally:
            self._kill()

    async def _attend(self, group: asyncio.TaskGroup, person: Person) -> None:
        """Sign on, and stay until the session is over."""
        serving = group.create_task(self._serve(person))
        try:
            while self._there(person):
                await self._news.wait()
                self._news.clear()
        finally:
            self._news.set()  # whoever comes next is attended to
            serving.cancel()
            await asyncio.wait([serving])
            await self._cut()
            self._tell(None)

    def _there(self, person: Person) -> bool:
        now = self._seats.person(self._terms.seat)
        return now is not None and now.session == person.session

    async def _serve(self, person: Person) -> None:
        try:
            emulator = await self._emulator()
            try:
                await self._sign_on(emulator, person)
            finally:
                emulator.close()
        except (EmulatorError, VaultError, ClientError) as error:
            log.warning("terminal %s: %s", self.name, error or type(error).__name__)

    async def _sign_on(self, emulator: Emulator, person: Person) -> None:
        await signon.connect(emulator, self._terms)
        if self._account is not None and emulator.account != self._account:
            raise EmulatorError(f"what listens at port {self._terms.port} is another account's: nothing is typed there")
        system = self._terms.system or self._terms.application
        try:
            for secret in await hand(self._client, self._vault, system, person):
                with suppress(WrongPassword):
                    await signon.sign_on(emulator, self._terms, person.account, secret)
                    self._tell(person)
                    return
            await self._refuse(emulator, "wrong")
        except Refused as refused:
            if refused.why is not NotHanded.NOBODY:
                await self._refuse(emulator, refused.why.value)

    async def _refuse(self, emulator: Emulator, why: str) -> None:
        """Say it where the person looks, and to whoever runs the broker."""
        log.warning("terminal %s: nobody was signed on: %s", self.name, why)
        with suppress(EmulatorError):
            await emulator.do(f"Info({quoted(text(f'terminal.{why}', self._terms.language))})", SAID_WITHIN_S)

    async def _emulator(self) -> Emulator:
        """Return a connection to the seat's emulator, started where it is ours to start. Raises `EmulatorError`."""
        command = self._terms.command
        if command and (self._process is None or self._process.returncode is not None):
            try:
                quiet = subprocess.DEVNULL
                self._process = await asyncio.create_subprocess_exec(
                    *command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet
                )
            except OSError as error:
                raise EmulatorError(f"{command[0]} cannot be started: {error.strerror}") from None
        try:
            async with asyncio.timeout(STARTED_WITHIN_S):
                return await self._dial()
        except TimeoutError:
            raise EmulatorError(f"no emulator at port {self._terms.port}; start it with -scriptport") from None

    async def _dial(self) -> Emulator:
        while True:
            with suppress(EmulatorError):
                return await Emulator.dial(self._terms.port)
            await asyncio.sleep(AGAIN_S)

    async def _cut(self) -> None:
        """End the host's session, the line and the emulator, in this order, each whatever came of the one before."""
        if not await self._within(SIGN_OFF_WITHIN_S, lambda emulator: signon.sign_off(emulator, self._terms)):
            log.warning("terminal %s: the host was not signed off in time; the line is cut", self.name)
        await self._within(CUT_WITHIN_S, _disconnect)
        await self._within(CUT_WITHIN_S, _quit)
        if self._process is not None:
            await self._gone(self._process)

    async def _within(self, seconds: float, act: Callable[[Emulator], Awaitable[object]]) -> bool:
        """Act on a connection of its own; tell whether it was done in time."""
        try:
            async with asyncio.timeout(seconds):
                emulator = await Emulator.dial(self._terms.port)
                try:
                    await act(emulator)
                finally:
                    emulator.close()
        except (EmulatorError, TimeoutError):
            return False
        return True

    async def _gone(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(CUT_WITHIN_S):
                await process.wait()
        except TimeoutError:
            log.warning("terminal %s: the emulator does not end; it is killed", self.name)
            self._kill()
            await process.wait()
        self._process = None

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def _tell(self, person: Person | None) -> None:
        self.signed_on = person
        self.changed.set()
        self.changed = asyncio.Event()


def _account(terms: TerminalSettings) -> int | None:
    """Return whose emulator it must be: ours where it is started here. Raises `BadSettings`."""
    if terms.command:
        return os.geteuid()
    try:
        return pwd.getpwnam(terms.account).pw_uid if terms.account else None
    except KeyError:
        raise BadSettings(f"terminal.account: there is no account {terms.account!r} on this machine") from None


async def _look(emulator: Emulator) -> None:
    """It is there: that is all."""


async def _disconnect(emulator: Emulator) -> None:
    await emulator.do("Disconnect()", CUT_WITHIN_S)


async def _quit(emulator: Emulator) -> None:
    """It hangs up instead of answering."""
    with suppress(EmulatorError):
        await emulator.do("Quit()", CUT_WITHIN_S)
