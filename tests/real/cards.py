"""Simulated cards in a process inside a private pcscd's namespace, and their text commands."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

from authd_simulators.control import command
from tests.real.pcscd import Pcscd, folder


class Cards:
    """One process of `authd_simulators.cards` at a slot; dies with its `Pcscd`."""

    def __init__(self, pcscd: Pcscd, slot: int = 0, *options: str) -> None:
        """Start it and wait until it obeys. options: of its command line."""
        self.control: Path = folder() / f"cards-{slot}.sock"
        argv = (sys.executable, "-m", "authd_simulators.cards", "--control", str(self.control))
        process = pcscd.spawn(*argv, "--vpcd", pcscd.address(slot), *options, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout:
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("the simulated cards do not start")
        self.process = process
        self.reader = pcscd.readers[slot]

    async def say(self, line: str) -> str:
        """Send one command and return what follows `ok`. Raises `RuntimeError` with what follows `error`."""
        answer = await command(self.control, line, 10)
        verdict, _, rest = answer.partition(" ")
        if verdict != "ok":
            raise RuntimeError(rest)
        return rest

    async def insert(self, kind: str = "piv") -> None:
        """Put a card in, and wait until pcscd sees it."""
        await self.say(f"INSERT {kind}")
        await self.seen(there=True)

    async def remove(self) -> None:
        """Take it out, and wait until pcscd sees that."""
        await self.say("REMOVE")
        await self.seen(there=False)

    async def seen(self, *, there: bool) -> None:
        """Wait until pcscd knows; it looks at its virtual reader a few times a second."""
        scard: Any = importlib.import_module("smartcard.scard")
        _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        want, state = scard.SCARD_STATE_PRESENT if there else scard.SCARD_STATE_EMPTY, 0
        try:
            async with asyncio.timeout(60):
                while not state & want:
                    states = [(self.reader, state)]
                    _, ((_, state, _),) = await asyncio.to_thread(scard.SCardGetStatusChange, context, 500, states)
        finally:
            scard.SCardReleaseContext(context)
