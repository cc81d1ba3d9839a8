"""`authd demo`: a counter with two seats on this machine, to try with the mouse; or a scripted day with figures."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys

from authd.client import DoorError
from authd_simulators import ending
from authd_simulators.ground import NoGround
from authd_simulators.keyring import PIN
from authd_simulators.stage import Ports, Stage, StageError, free_ports

OK, WRONG, INTERRUPTED = 0, 1, 130
WEB, RESIDENT, STRIP = 8780, 8790, 8791
EPILOG = """\
examples:
  authd demo                      two seats, a strip that plays the devices, a sample resident system
  authd demo --once --json        a scripted day through the real processes, its figures as JSON lines
Ends with Ctrl-C and leaves nothing running. Its people and residents are invented.

exit codes: 0 ended by Ctrl-C, 1 it could not begin, or a figure misses its bar (--once), 130 --once was interrupted
"""
READY = """\

  authd demo is at   http://127.0.0.1:{strip}/

  1  choose a person and touch the reader of 窓口1 (Counter 1)
  2  open 住民記録 (Residents) on that seat's screen, and a record in it
  3  at 窓口1 press 鍵に触れる (touch the key): {owner} is there; 鍵を抜く (pull it out) locks at once
     at 窓口2 put the key in and type its PIN, {pin}
  4  press 席を離れる (leave): the seat fades and locks after 10 s; or touch at 窓口2: the first seat locks at once
  5  ask who was there, in another terminal:
     {authd} who --config {config} --seat counter-1 --from 00:00 --to 23:59

  All of it runs as one user, each part in the sandbox that it has at a counter; the host key is a plain 0600 file.
  Ctrl-C ends it and leaves nothing behind.   終了は Ctrl-C です。
"""


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] - argparse has no public name for it
    """Add `authd demo`."""
    summary = "run a whole counter on this machine / この端末だけで窓口を体験する"
    parser = verbs.add_parser(
        "demo",
        help=summary,
        description=summary,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="play a scripted day and end")
    parser.add_argument("--json", action="store_true", help="figures as JSON lines (with --once)")
    parser.add_argument("--logins", type=int, default=200, help="how many logins the day has (%(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Play until Ctrl-C, or the day."""
    try:
        if args.once:
            from authd_simulators.day import play

            return ending.run(play(args.logins, json_lines=args.json), ended=INTERRUPTED)
        return ending.run(_play(), ended=OK)
    except NoGround as error:
        print(f"authd demo: {error}", file=sys.stderr)
        return WRONG
    except (StageError, DoorError) as error:  # a touch that came too late, on a machine that does much else
        print(f"authd demo: {error}; call it again / もう一度実行してください", file=sys.stderr)
        return WRONG


async def _play() -> int:
    stage = Stage(_ports(), pages=True, keys=True, further=True, say=_progress)
    try:
        async with stage:
            print(_ready(stage), flush=True)
            await asyncio.Event().wait()  # for ever: a signal ends it
    finally:
        print("\nauthd demo: ended, nothing is left running / 終了しました", file=sys.stderr)
    return OK


def _ready(stage: Stage) -> str:
    """Say what can be tried."""
    assert stage.keyring is not None
    owner = stage.owner(stage.keyring.keys[stage.seats[0]]).name
    return READY.format(strip=stage.ports.strip, authd=sys.argv[0], config=stage.config, owner=owner, pin=PIN)


def _ports() -> Ports:
    """The well-known ports, or free ones where somebody has those."""
    try:
        for port in (WEB, RESIDENT, STRIP):
            socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return free_ports()
    return Ports(WEB, RESIDENT, STRIP)


def _progress(line: str) -> None:
    print(f"\r\033[Kenrolling / 登録中 {line}", end="", file=sys.stderr, flush=True)
