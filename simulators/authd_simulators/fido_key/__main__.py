"""One simulated FIDO2 key in a process of its own.

    python -m authd_simulators.fido_key --control SOCK (--pty PATH | --vpcd HOST:PORT) [--bio] [--state FILE] ...

`--pty`: PATH becomes a link to the pty that stands for hidraw while the key is in. `--vpcd`: the key lies on pcscd's
virtual reader. Prints `ready` once it is in and a command would be obeyed; SIGTERM or SIGINT takes it out and ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from authd_simulators.control import ControlSocket
from authd_simulators.fido_key.commands import HELP, Commands
from authd_simulators.fido_key.hidraw import HidrawPort
from authd_simulators.fido_key.key import Key
from authd_simulators.fido_key.memory import Memory
from authd_simulators.fido_key.profile import BIO, PLAIN, Profile
from authd_simulators.fido_key.slots import Place, Reader


def arguments() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    parser = argparse.ArgumentParser(
        prog="authd_simulators.fido_key", description="Hold one simulated FIDO2 key.", epilog=f"Commands: {HELP}"
    )
    parser.add_argument("--control", type=Path, required=True, help="Unix socket for text commands")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--pty", type=Path, help="this path stands for the key's /dev/hidraw")
    place.add_argument("--vpcd", help="HOST:PORT of pcscd's virtual reader")
    parser.add_argument("--bio", action="store_true", help="a key with a fingerprint sensor")
    parser.add_argument("--aaguid", type=bytes.fromhex, help="32 hexadecimal digits")
    parser.add_argument("--attestation", choices=["basic", "self", "none"], default="basic")
    parser.add_argument("--maker", type=bytes.fromhex, help="64 hexadecimal digits: another attestation root")
    parser.add_argument("--backup-eligible", action="store_true", help="set BE")
    parser.add_argument("--backed-up", action="store_true", help="set BS")
    parser.add_argument("--zero-counter", action="store_true", help="the signature counter stays 0")
    parser.add_argument("--seed", type=int, help="all secrets come again with the same number")
    parser.add_argument("--state", type=Path, help="read the key from this file; write it when it comes out")
    parser.add_argument("--out", action="store_true", help="wait for INSERT")
    parser.add_argument("--auto", action="store_true", help="touched by itself")
    return parser


def profile(options: argparse.Namespace) -> Profile:
    """Return the model that the command line asks for. Raises `ValueError`."""
    base = BIO if options.bio else PLAIN
    return replace(
        base,
        aaguid=options.aaguid or base.aaguid,
        attestation=options.attestation,
        backup_eligible=options.backup_eligible,
        backed_up=options.backed_up,
        zero_counter=options.zero_counter,
    )


def key_and_place(options: argparse.Namespace) -> tuple[Key, Place]:
    """Make the key and where it goes. Raises `ValueError`, `OSError`."""
    state: Path | None = options.state
    memory = Memory.unpack(state.read_bytes()) if state is not None and state.exists() else None
    key = Key(profile(options), memory, seed=options.seed)
    if options.maker:
        key.memory.maker = options.maker
    key.presence.hand.auto = options.auto
    if options.pty is not None:
        return key, HidrawPort(key, options.pty, own_terminal=lead_session())
    host, _, port = options.vpcd.rpartition(":")
    return key, Reader(key, host, int(port))


def lead_session() -> bool:
    """Lead a session without a terminal, and ignore SIGHUP; returns whether this process does."""
    with suppress(PermissionError):  # a leader already
        os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return os.getsid(0) == os.getpid()
    os.close(terminal)
    return False


async def hold(commands: Commands, control: Path, *, out: bool) -> None:
    """Obey commands until a signal comes. Raises `OSError` if the key does not go in."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    socket = ControlSocket(control, commands.obey)
    await socket.open()
    try:
        if not out:
            await commands.insert()
        print("ready", flush=True)
        await stop.wait()
    finally:
        socket.close()
        await commands.remove()


def main() -> int:
    """Entry of `python -m authd_simulators.fido_key`."""
    parser = arguments()
    options = parser.parse_args()
    try:
        key, place = key_and_place(options)
        asyncio.run(hold(Commands(key, place, options.state), options.control, out=options.out))
    except (ValueError, OSError) as failure:
        parser.exit(1, f"{parser.prog}: {failure}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
