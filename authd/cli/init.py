"""`authd init`: make a host's keys, and found its first two officers at a reader."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from authd.cli._common import add_config, language, misuse, step_line, with_service
from authd.cli.codes import OK
from authd.core.model import FINGERS, SeatState
from authd.core.ports import PortError
from authd.locale import text

if TYPE_CHECKING:
    from authd.client import Client
    from authd.service.config import Config

EXAMPLES = """\
examples:
  authd init --config authd.toml --keys-only
  authd init --config authd.toml --seat counter-1 \\
      --officer 1001:青木美咲:あおきみさき:resident --officer 1002:石川健:いしかわけん:tax

exit codes: 0 done, 1 store, ledger, disk or reader keep it from beginning, 2 wrong input, 4 refused
"""
OFFICERS = 2
READER_WITHIN_S = 30.0
"""A reader's own process begins after the doors have opened."""


class NoReader(PortError):
    """Nobody can be founded: no reader of the seat can be used. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Founder:
    """One of the first two officers."""

    staff_number: str
    name: str
    kana: str
    section: str


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd init`."""
    parser = subparsers.add_parser(
        "init",
        help="make the keys and the first two officers / 鍵と最初の二人の登録担当者を作る",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser)
    parser.add_argument("--seat", help="at whose reader the officers touch (default: the first seat)")
    parser.add_argument(
        "--finger", action="append", choices=FINGERS, metavar="FINGER", help="of both; may be repeated (right_index)"
    )
    parser.add_argument(
        "--officer",
        action="append",
        default=[],
        type=_founder,
        metavar="NUMBER:NAME:KANA:SECTION",
        help="twice; the second one is the first one's witness",
    )
    parser.add_argument("--keys-only", action="store_true", help="make the keys, enrol nobody yet")
    parser.add_argument("--simulate", action="store_true", help="allow simulated readers (never on a counter terminal)")
    parser.set_defaults(run=with_service(_run))


def _founder(given: str) -> Founder:
    parts = given.split(":")
    if len(parts) != 4 or not all(parts):
        raise argparse.ArgumentTypeError(text("misuse.officer", language(), given=repr(given)))
    return Founder(*parts)


def _run(args: argparse.Namespace) -> int:
    """Make what is missing; run again, it changes nothing that is there."""
    from authd.service import config

    if not args.keys_only and len(args.officer) != OFFICERS:
        return misuse("officers", count=len(args.officer))
    loaded = config.load(args.config)
    loaded = replace(loaded, simulate=loaded.simulate or args.simulate)
    make_keys(loaded)
    if not args.keys_only:
        asyncio.run(
            _found(loaded, args.seat or next(iter(loaded.seats)), args.finger or ["right_index"], args.officer, _say)
        )
    return OK


def make_keys(config: Config) -> None:
    """Make every key of this host that is missing. Raises `KeyFault`."""
    from authd.service.keys import KeyFault, Keys

    keys = Keys(config.state)
    try:
        config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys.create()
    except OSError as error:
        raise KeyFault(f"{config.state}: cannot be made, host.state must be a folder: {error.strerror}") from error
    for seat in config.seats:
        keys.create_curve(f"seat-{seat}")
        keys.create_seat(seat)
    for application in config.applications.values():
        if not application.key:
            keys.create_curve(f"app-{application.name}")


async def _found(
    config: Config, seat: str, fingers: list[str], officers: list[Founder], say: Callable[[str], None]
) -> None:
    """Run the daemon for as long as two people need to touch its reader; nobody sees a seat screen meanwhile."""
    from authd import client
    from authd.service import daemon

    opened = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(daemon.serve(replace(config, web_port=0), opened.set))
        await opened.wait()
        async with client.connect(f"unix:{config.socket}") as door:
            try:
                await _until_served(door, seat)
                for officer in officers:
                    steps = door.enrol(
                        seat, **asdict(officer), finger=fingers[0], more=fingers[1:], officer=True, found=True
                    )
                    async for step in steps:
                        say(f"{officer.name}: {step_line(step, many=len(fingers) > 1)}")
            finally:
                await door.stop()
                await asyncio.wait({serving})  # what it still has to write, it writes


async def _until_served(door: Client, seat: str) -> None:
    """Wait for the seat's first reader, which begins after the door has opened. Raises `NoReader`."""
    try:
        async with asyncio.timeout(READER_WITHIN_S):
            while (await _state(door, seat)) == SeatState.OUT_OF_SERVICE:  # noqa: ASYNC110 - asked over the door
                await asyncio.sleep(0.05)
    except TimeoutError:
        said = text("misuse.no_reader", language(), seat=seat, seconds=f"{READER_WITHIN_S:g}")
        raise NoReader(said) from None


async def _state(door: Client, seat: str) -> str | None:
    """The seat's state; None: there is no such seat, which the enrolment says in its own words."""
    seats: Any = (await door.status())["seats"]
    return seats[seat]["state"] if seat in seats else None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
