"""What is typed at the host's sign-on screen, and what its next screen says of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from authd.broker.secret import Secret
from authd.broker.terminal.emulator import ActionRefused, Emulator, EmulatorError, quoted
from authd.broker.terminal.settings import Host, Place

CONNECT_WITHIN_S: Final = 20.0
LOOKS: Final = 40
"""How often the screen is looked at before the host counts as silent."""
LOOK_S: Final = 0.5
AT_ONCE_S: Final = 2.0


class WrongPassword(Exception):
    """The host refuses what was typed."""


class NoScreen(EmulatorError):
    """The host does not show what the settings say it would."""


async def connect(emulator: Emulator, terms: Host) -> None:
    """Connect to the host and wait for its sign-on screen. Raises `EmulatorError`."""
    try:
        await emulator.do(f"Connect({terms.host})", CONNECT_WITHIN_S)
    except ActionRefused:
        raise EmulatorError("the host is not there") from None
    await _wait_for(emulator, (terms.screen,))


async def sign_on(
    emulator: Emulator, terms: Host, account: str, secret: Secret, more: Iterable[tuple[Place, Secret]] = ()
) -> None:
    """Type, and wait for what the host says. more: into further fields. Raises `WrongPassword`, `EmulatorError`."""
    user = Secret(account.upper() if terms.upper else account)
    for (row, column), each in ((terms.user_at, user), (terms.password_at, secret), *more):
        await emulator.do(f"MoveCursor1({row},{column})", AT_ONCE_S)
        await emulator.do("EraseEOF()", AT_ONCE_S)
        await emulator.do(f"String({quoted(each.reveal())})", AT_ONCE_S)
    await emulator.do("Enter()", CONNECT_WITHIN_S)
    if await _wait_for(emulator, (terms.wrong, terms.done)) == terms.wrong:
        raise WrongPassword


async def sign_off(emulator: Emulator, terms: Host) -> None:
    """Press the keys that end the host's own session. Raises `EmulatorError`."""
    for key in terms.sign_off:
        await emulator.do(key, AT_ONCE_S)


async def _wait_for(emulator: Emulator, texts: tuple[str, ...]) -> str:
    """Return the first of the texts that the screen shows; it is looked at whenever the host has written."""
    for _ in range(LOOKS):
        shown = await emulator.screen(AT_ONCE_S)
        for text in texts:
            if text in shown:
                return text
        try:
            await emulator.do(f"Wait({LOOK_S},Output)", LOOK_S + AT_ONCE_S)
        except ActionRefused:
            continue  # nothing was written in that time
    raise NoScreen("the host does not show the screen that the settings name")
