"""A fingerprint service as a process of its own, obeying text commands.

    python -m authd_simulators.fprint --control SOCK --dir DIR [--device image]

Starts a D-Bus daemon (DIR/bus.sock), stand-ins for polkit and logind, and fprintd with libfprint's virtual devices.
Prints `ready` once a command would be obeyed. One command a line, one line back; HELP lists them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from authd_simulators.control import ControlSocket
from authd_simulators.ending import run
from authd_simulators.fprint.private_bus import ServiceError
from authd_simulators.fprint.service import KINDS, FingerprintService


async def _hold(service: FingerprintService, control: Path) -> int:
    async with service:
        door = ControlSocket(control, service.obey)
        await door.open()
        try:
            print("ready", flush=True)
            await asyncio.Event().wait()
        finally:
            door.close()
    return 0


def main() -> int:
    """Hold the service until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="authd_simulators.fprint", description="Hold a fingerprint service.")
    parser.add_argument("--control", type=Path, required=True, help="the socket that takes commands")
    parser.add_argument("--dir", type=Path, required=True, help="an empty folder with a short path")
    parser.add_argument("--device", action="append", choices=KINDS, help="the commands are for the first (image)")
    arguments = parser.parse_args()
    service = FingerprintService(arguments.dir.absolute(), arguments.device or ["image"])
    try:
        return run(_hold(service, arguments.control), ended=0)
    except (OSError, ServiceError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
