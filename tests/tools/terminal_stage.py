"""A seat, mainframe-mocker, and `authd terminal` with a real s3270 between both, as the how-to page says."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from authd import client
from authd.broker.secret import Secret
from authd.broker.terminal.emulator import Emulator, EmulatorError
from authd.broker.vault import Vault
from authd_simulators.people import Staff
from authd_simulators.stage import Application, Stage, free_ports
from tests.tools.gateway_stage import free_port
from tests.tools.howto import how_to
from tests.tools.terminal_host import Host, host

SEAT = "counter-1"
PAGE = how_to("terminal-hosts")
HOST = Application("host", "汎用機", "Host", account="S{staff_number}")
PATIENCE_S = 60.0


@dataclass
class World:
    """A seat, its emulator's port, the host."""

    stage: Stage
    host: Host
    port: int
    vault: Vault
    door: client.Client

    @property
    def people(self) -> tuple[Staff, ...]:
        return self.stage.people

    async def heard(self, said: str, after: int) -> int:
        return await asyncio.to_thread(self.host.wait_for, said, after)

    async def log_in(self, person: Staff) -> None:
        await self.stage.log_in(self.door, SEAT, person)

    async def lock(self) -> None:
        if self.stage.processes["daemon"].returncode is None:  # a test may have killed it
            async with self.stage.screen(SEAT) as screen:
                await screen.press(SEAT, "lock")

    def is_emulator_there(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    async def emulator_gone(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.is_emulator_there():  # noqa: ASYNC110 - another process, which tells nobody
                await asyncio.sleep(0.02)

    async def dialled(self) -> Emulator:
        """Wait for the emulator; return a connection to it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(EmulatorError):
                    return await Emulator.dial(self.port)
                await asyncio.sleep(0.02)

    async def screen(self, text: str) -> str:
        """Wait until the emulator shows this; return all of it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(EmulatorError):
                    emulator = await self.dialled()
                    shown = await emulator.screen(2.0)
                    emulator.close()
                    if text in shown:
                        return shown
                await asyncio.sleep(0.05)


@asynccontextmanager
async def world() -> AsyncGenerator[World, None]:
    """Three people, of whom the last one's password is not the host's any more."""
    port, emulator = free_port(), free_port()
    async with Stage(free_ports(), seats=(SEAT,), people=3, systems=(HOST,)) as stage:
        users = {f"S{each.staff_number}": f"PASS{each.staff_number}" for each in stage.people}
        vault = Vault.create(stage.folder / "vault")
        for each in stage.people[:2]:
            vault.put(f"host/S{each.staff_number}", Secret(f"PASS{each.staff_number}"))
        vault.put(f"host/S{stage.people[2].staff_number}", Secret("OLD1"))
        keys = stage.folder / "state" / "keys" / "curve"
        instead = {
            "tcp://127.0.0.1:5555": f"ipc://{stage.folder}/run/router.sock",
            "/etc/authd-seat/broker": str(keys),
            "/var/lib/authd-seat-broker": str(stage.folder),
            "4001": str(emulator),
            "127.0.0.1:3270": f"127.0.0.1:{port}",
        }
        PAGE.write(stage.folder, instead)
        with host(port, users) as running:
            await stage.start(
                "terminal", ["-I", "-m", "authd", "terminal", "--config", str(stage.folder / "broker.toml")]
            )
            async with stage.door() as door:
                yield World(stage, running, emulator, vault, door)
