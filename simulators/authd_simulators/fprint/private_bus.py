"""A D-Bus daemon of our own, and processes that die with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path

READY_S = 10.0
_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow send_type="signal"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""


class ServiceError(Exception):
    """A program that is needed is not installed, or did not start."""


async def start(log: Path, *command: str, env: Mapping[str, str] | None = None, out: int | None = None) -> Process:
    """Start a program that is killed when this process dies. What it says goes to `log`. Raises `ServiceError`."""
    with log.open("ab") as errors:
        try:
            return await asyncio.create_subprocess_exec(
                "setpriv",
                "--pdeathsig",
                "KILL",
                *command,
                stdin=DEVNULL,
                stdout=errors if out is None else out,
                stderr=errors,
                env=None if env is None else {**os.environ, **env},
            )
        except OSError as error:
            raise ServiceError(f"{command[0]}: {error}") from error


async def stop(process: Process | None, number: signal.Signals = signal.SIGTERM) -> None:
    """End a program and wait until it is gone; after two seconds without pity."""
    if process is None or process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    try:
        async with asyncio.timeout(2):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class PrivateBus:
    """A message bus in a folder; anybody who can reach its socket may own any name on it."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "bus.sock"
        self.address = f"unix:path={self.socket}"
        self._folder = folder
        self._process: Process | None = None

    async def open(self) -> None:
        """Start the daemon and wait until it listens. Raises `ServiceError`."""
        config = self._folder / "bus.conf"
        config.write_text(_CONFIG.format(path=self.socket))
        self.socket.unlink(missing_ok=True)
        command = ("dbus-daemon", "--nofork", "--nopidfile", f"--config-file={config}", "--print-address=1")
        self._process = await start(self._folder / "bus.log", *command, out=PIPE)
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_S):
                said = await self._process.stdout.readline()
        except TimeoutError:
            said = b""
        if not said.startswith(b"unix:"):
            await self.close()
            raise ServiceError("dbus-daemon did not start: apt package dbus, and see bus.log")

    async def close(self) -> None:
        """End it, and every connection."""
        await stop(self._process)
        self._process = None
        self.socket.unlink(missing_ok=True)
