"""Passwords of a terminal host, changed where people change them: in the sign-on screen's field for a new one.

An emulator is started for each try and told what to do by its standard input, so that no other program can listen.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress

from authd.broker.rotation.port import ChangeRefused, SystemSilent
from authd.broker.secret import Secret, Shape
from authd.broker.terminal import signon
from authd.broker.terminal.emulator import LONGEST, Emulator, EmulatorError
from authd.broker.terminal.settings import Place, TerminalSystem
from authd.broker.terminal.signon import WrongPassword


class TerminalRotator:
    """The accounts of one host."""

    commanding = False

    def __init__(self, system: TerminalSystem) -> None:
        self._system = system
        self.shape = Shape(system.length, system.alphabet)

    def opens(self, account: str, secret: Secret) -> bool:
        """Sign on, and off again."""
        return self._signed_on(account, secret, ())

    def change(self, account: str, old: Secret, new: Secret) -> None:
        """Sign on with the old one, and the new one beside it."""
        places = [self._system.new_at, *([self._system.again_at] if self._system.again_at else [])]
        if not self._signed_on(account, old, [(place, new) for place in places]):
            raise ChangeRefused(f"{self._system.host}: refuses the old password, or the new one")

    def _signed_on(self, account: str, secret: Secret, more: Iterable[tuple[Place, Secret]]) -> bool:
        try:
            return asyncio.run(self._visit(account, secret, more))
        except EmulatorError as error:
            raise SystemSilent(f"{self._system.host}: {error}") from None

    async def _visit(self, account: str, secret: Secret, more: Iterable[tuple[Place, Secret]]) -> bool:
        async with _emulator(self._system.command) as emulator:
            await signon.connect(emulator, self._system)
            try:
                await signon.sign_on(emulator, self._system, account, secret, more)
            except WrongPassword:
                return False
            finally:
                with suppress(EmulatorError):
                    await signon.sign_off(emulator, self._system)
                    await emulator.do("Disconnect()", signon.AT_ONCE_S)
            return True


@asynccontextmanager
async def _emulator(command: tuple[str, ...]) -> AsyncGenerator[Emulator, None]:
    """Start one, and end it. Raises `EmulatorError`."""
    pipe = subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, limit=LONGEST
        )
    except OSError as error:
        raise EmulatorError(f"{command[0]} cannot be started: {error.strerror}") from None
    assert process.stdout is not None
    assert process.stdin is not None
    emulator = Emulator(process.stdout, process.stdin)
    try:
        yield emulator
    finally:
        emulator.close()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
