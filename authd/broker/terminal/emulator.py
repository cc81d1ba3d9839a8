"""A 3270 emulator by its script port (x3270, wx3270 and s3270 have it): an action a line, then what it says of it.

Each connection carries one action at a time; several connections run side by side, so that a lock need not wait for a
sign-on that waits for the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

from authd.broker.postgres import peer

MOST_LINES: Final = 512
LONGEST: Final = 8_192
DIAL_WITHIN_S: Final = 2.0
_QUICK: Final = getattr(socket, "TCP_QUICKACK", None)


class EmulatorError(Exception):
    """The emulator is not there, does not answer, or refuses. The text never says what was typed."""


class ActionRefused(EmulatorError):
    """It answered: no."""


class Emulator:
    """One connection to the script port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(cls, port: int) -> Emulator:
        """Connect. Raises `EmulatorError`."""
        try:
            async with asyncio.timeout(DIAL_WITHIN_S):
                return cls(*await asyncio.open_connection("127.0.0.1", port, limit=LONGEST))
        except (OSError, TimeoutError):
            raise EmulatorError("the emulator is not there") from None

    @property
    def account(self) -> int | None:
        """Whose program it is, as the kernel says once it has answered; None: that cannot be said."""
        return peer.uid(self._writer.transport)

    def close(self) -> None:
        """Hang up, whatever is under way."""
        self._writer.close()

    async def do(self, action: str, within_s: float) -> list[str]:
        """Run one action; return its lines. Raises `ActionRefused`; after any other `EmulatorError` it is closed."""
        try:
            async with asyncio.timeout(within_s):
                return await self._do(action)
        except ActionRefused:
            raise
        except (OSError, TimeoutError, ValueError):
            self.close()
            raise EmulatorError("the emulator does not answer") from None
        except BaseException:
            self.close()  # an answer that nobody waits for would be taken for the next action's
            raise

    async def screen(self, within_s: float) -> str:
        """Return what stands on the screen, a row a line; fields that are not shown are blank."""
        return "\n".join(await self.do("Ascii1()", within_s))

    async def _do(self, action: str) -> list[str]:
        if "\n" in action or "\r" in action:
            raise ActionRefused("an action is one line")
        self._writer.write(action.encode() + b"\n")
        await self._writer.drain()
        lines: list[str] = []
        for _ in range(MOST_LINES):
            self._quicken()
            line = (await self._reader.readline()).decode("utf-8", "replace").rstrip("\n")
            if line == "ok":
                return lines
            if line == "error":
                raise ActionRefused("the emulator refuses")
            if not line:
                raise ConnectionResetError
            if line.startswith("data: "):
                lines.append(line.removeprefix("data: "))
        raise ValueError("more lines than a screen has")

    def _quicken(self) -> None:
        """It writes its answers in pieces, each of which would wait for 40 ms until the one before is acknowledged.

        The kernel takes this for what has come by now, and forgets it.
        """
        found = self._writer.get_extra_info("socket")
        if found is not None and _QUICK is not None:
            with contextlib.suppress(OSError):
                found.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)


def quoted(text: str) -> str:
    """Write a text as an argument of an action."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
