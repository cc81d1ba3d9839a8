"""`authd agent`: cover a seat's desktop whenever the seat is nobody's, and say when it is used."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from authd.cli import failures
from authd.cli._common import fail, language
from authd.cli.codes import OK, REFUSED, UNREACHABLE, USAGE
from authd.locale import text

if TYPE_CHECKING:
    from authd.agent.settings import Settings

EXAMPLES = """\
examples:
  authd agent --seat counter-1                     as the desktop's own account: `account` of the seat in authd.toml
  authd agent --seat counter-1 --door ipc:///run/authd-seat/router.sock --key seat.key --server-key router.key
  xss-lock -l -- authd agent --seat counter-1 lock     other things that lock the screen go through the agent

The seat needs `desktop = true` in authd.toml. X11: xsecurelock. Wayland: a compositor with ext-session-lock.

exit codes: 0 ended as asked, 2 this desktop cannot be covered, 3 no agent runs here, 4 authd will not have it
"""
COVERED_WITHIN_S = 5.0
POLL_S = 0.02


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd agent`."""
    parser = subparsers.add_parser(
        "agent",
        help="cover a seat's desktop, on a Linux desktop / 席の画面を覆う",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seat", required=True, help="such as counter-1 / 席の名前")
    parser.add_argument("--door", default="", help="unix:PATH, or the router with --key and --server-key")
    parser.add_argument("--key", default="", metavar="FILE", help="the seat's own key")
    parser.add_argument("--server-key", default="", metavar="FILE", help="the door's public key")
    parser.add_argument("--lang", choices=("ja", "en"), default="", help="one language instead of both")
    parser.add_argument("--run", default="", metavar="FOLDER", dest="folder", help="instead of $XDG_RUNTIME_DIR")
    parser.add_argument("what", nargs="?", choices=("run", "lock"), default="run", help="lock: end the session, cover")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from authd.agent.settings import DOOR, Settings
    from authd.client.tables import BadSettings

    logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING)
    settings = Settings(args.seat, args.door or DOOR, args.key, args.server_key, args.lang, run=args.folder)
    try:
        return _lock(settings.folder()) if args.what == "lock" else _serve(settings)
    except BadSettings as error:
        return fail(error, USAGE, lang=args.lang)


def _serve(settings: Settings) -> int:
    from authd.agent.logind import Logind
    from authd.agent.run import Agent
    from authd.agent.screens import find
    from authd.client import DoorError

    screen, command = find()
    agent = Agent(settings, screen, command, Logind)

    async def serve() -> None:
        main = asyncio.current_task()
        assert main is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, main.cancel)
        with suppress(asyncio.CancelledError):
            await agent.run()

    try:
        asyncio.run(serve())
    except BaseExceptionGroup as group:
        refused = group.subgroup(DoorError)
        if refused is None:
            raise
        why = failures.words(refused.exceptions[0], language())
        return fail(text("misuse.agent_refused", language(), why=why), REFUSED)
    return OK


def _lock(folder: Path) -> int:
    """Ask the agent that runs; return when the screen is covered, and stay until it is open again.

    xss-lock takes the life of this process for the time in which the screen is locked, and lets the machine sleep when
    the descriptor in XSS_SLEEP_LOCK_FD is closed.
    """
    from authd.agent.only import running

    agent = running(folder)
    if agent is None:
        return fail(text("misuse.no_agent", language()), UNREACHABLE)
    with suppress(ProcessLookupError):
        os.kill(agent, signal.SIGUSR1)
    until = time.clock_gettime(time.CLOCK_BOOTTIME) + COVERED_WITHIN_S
    while _cover(folder) != "covered" and time.clock_gettime(time.CLOCK_BOOTTIME) < until:
        time.sleep(POLL_S)
    if descriptor := os.environ.get("XSS_SLEEP_LOCK_FD", ""):
        with suppress(OSError, ValueError):
            os.close(int(descriptor))
    while _cover(folder) != "open" and running(folder) == agent:
        time.sleep(POLL_S * 10)
    return OK


def _cover(folder: Path) -> str:
    try:
        return (folder / "cover").read_text("ascii")
    except OSError:
        return ""
