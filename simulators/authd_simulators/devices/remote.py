"""A device that is a process of its own (a key, a card, the fingerprint service), played through the bench."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from authd_simulators.control import command
from authd_simulators.devices.device import CommandError

ASK_S = 2.0
OBEY_S = 70.0


class RemoteDevice:
    """Passes commands on to the device's own control socket."""

    def __init__(self, name: str, control: Path) -> None:
        self.name = name
        self.control = control

    async def obey(self, words: Sequence[str]) -> str:
        """Carry out one command and return the rest of its `ok` line. Raises `CommandError`."""
        return await self._say(" ".join(words), OBEY_S)

    async def status(self) -> dict[str, Any]:
        """Return what the device says of itself, and whether it says anything."""
        try:
            said: object = json.loads(await self._say("STATUS", ASK_S))
        except (CommandError, ValueError):
            return {"there": False}
        return {"there": True, **(said if isinstance(said, dict) else {})}

    async def _say(self, line: str, limit_s: float) -> str:
        try:
            answer = await command(self.control, line, limit_s)
        except (OSError, TimeoutError) as error:
            raise CommandError(f"{self.name} does not answer: {error}") from None
        verdict, _, rest = answer.partition(" ")
        if verdict != "ok":
            raise CommandError(rest or f"{self.name} answers {answer[:80]!r}")
        return rest
