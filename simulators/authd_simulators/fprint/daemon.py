"""The real fprintd as a child: started, killed, started again."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path

from dbus_fast.aio import MessageBus
from dbus_fast.message import Message

from authd_simulators.fprint.private_bus import READY_S, ServiceError, start, stop

PROGRAM = "/usr/libexec/fprintd"
NAME = "net.reactivated.Fprint"


class Fprintd:
    """One fprintd on the bus at `address`. devices: the environment's virtual devices and their sockets."""

    def __init__(self, folder: Path, address: str, devices: Mapping[str, Path]) -> None:
        self._folder = folder
        self._address = address
        self._env = {name: str(path) for name, path in devices.items()}
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, if it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it and wait until it owns its name. Raises `ServiceError`."""
        if self.pid is not None:
            return
        state = self._folder / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        env = {
            "DBUS_SYSTEM_BUS_ADDRESS": self._address,
            "STATE_DIRECTORY": str(state),
            **self._env,
        }
        self._process = await start(self._folder / "fprintd.log", PROGRAM, "--no-timeout", env=env)
        try:
            async with asyncio.timeout(READY_S):
                await self._owns_name()
        except TimeoutError:
            await self.stop()
            raise ServiceError("fprintd did not start: apt package fprintd, and see fprintd.log") from None

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it with this signal and wait until it is gone."""
        process, self._process = self._process, None
        await stop(process, number)

    def freeze(self, on: bool) -> None:
        """Stop it in mid-step, or let it go on: a service that hangs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    async def _owns_name(self) -> None:
        bus = await MessageBus(bus_address=self._address, auth_timeout=READY_S).connect()
        try:
            question = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner")
            while self._process is not None and self._process.returncode is None:
                reply = await bus.call(Message(*question, signature="s", body=[NAME]))
                if reply.body == [True]:
                    return
                await asyncio.sleep(0.01)
            raise TimeoutError
        finally:
            bus.disconnect()
