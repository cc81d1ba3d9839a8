"""One simulated card, and others to take its place, in a process of its own.

    python -m authd_simulators.cards --control SOCK --vpcd HOST:PORT [--card piv] [--seed 1] [--keys ecc|rsa] [--in]

The card lies in one slot of pcscd's virtual reader. Prints `ready` once a command would be obeyed (and, with `--in`,
the card is in); SIGTERM or SIGINT takes it out and ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from authd_simulators.cards.card import KINDS, make
from authd_simulators.cards.commands import HELP, Commands
from authd_simulators.control import ControlSocket


def arguments() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    parser = argparse.ArgumentParser(
        prog="authd_simulators.cards", description="Hold simulated cards.", epilog=f"Commands: {HELP}"
    )
    parser.add_argument("--control", type=Path, required=True, help="Unix socket for text commands")
    parser.add_argument("--vpcd", required=True, metavar="HOST:PORT", help="a slot of pcscd's virtual reader")
    parser.add_argument("--card", choices=KINDS, default="piv", help="the one that INSERT puts in first")
    parser.add_argument("--seed", default="1", help="the same number and ECC keys come again with the same text")
    parser.add_argument("--keys", choices=["ecc", "rsa"], default="ecc", help="P-256, or RSA of 2048 bits")
    parser.add_argument("--pin", default="123456", help="6 to 8 digits")
    parser.add_argument("--in", dest="inside", action="store_true", help="put the card in at once")
    return parser


async def hold(options: argparse.Namespace) -> None:
    """Obey commands until a signal comes. Raises `OSError`, `ValueError`."""
    kinds = sorted(KINDS, key=lambda kind: kind != options.card)
    cards = {kind: make(kind, options.seed, keys=options.keys, pin=options.pin) for kind in kinds}
    host, _, port = options.vpcd.rpartition(":")
    commands = Commands(cards, host, int(port))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    socket = ControlSocket(options.control, commands.obey)
    await socket.open()
    try:
        if options.inside:
            await commands.insert()
        print("ready", flush=True)
        await stop.wait()
    finally:
        socket.close()
        await commands.remove()


def main() -> int:
    """Entry of `python -m authd_simulators.cards`."""
    parser = arguments()
    options = parser.parse_args()
    try:
        asyncio.run(hold(options))
    except (ValueError, OSError) as failure:
        parser.exit(1, f"{parser.prog}: {failure}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
