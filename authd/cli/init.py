"""`authd init`: make a host's keys, and found its first two officers at a reader."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from authd.cli._common import add_config, fail, step_line, with_service
from authd.cli.codes import OK, USAGE
from authd.core.model import FINGERS

if TYPE_CHECKING:
    from authd.service.config import Config

EXAMPLES = """\
examples:
  authd init --config authd.toml --keys-only
  authd init --config authd.toml --seat counter-1 \\
      --officer 1001:青木美咲:あおきみさき:resident --officer 1002:石川健:いしかわけん:tax
"""
OFFICERS = 2


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
        raise argparse.ArgumentTypeError(f"NUMBER:NAME:KANA:SECTION is expected, got {given!r}")
    return Founder(*parts)


def _run(args: argparse.Namespace) -> int:
    """Make what is missing; run again, it changes nothing that is there."""
    from authd.service import config

    if not args.keys_only and len(args.officer) != OFFICERS:
        return fail(f"--officer is expected twice, got {len(args.officer)}; or --keys-only", USAGE)
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
                for officer in officers:
                    steps = door.enrol(
                        seat, **asdict(officer), finger=fingers[0], more=fingers[1:], officer=True, found=True
                    )
                    async for step in steps:
                        say(f"{officer.name}: {step_line(step, many=len(fingers) > 1)}")
            finally:
                await door.stop()
                await asyncio.wait({serving})  # what it still has to write, it writes


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
