"""`authd events [--follow]`: what happened, one event a line, read from the ledger's files or told by the daemon."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from authd.cli.files import OK, BadInput, add_files, answering, event_line, open_reader, people
from authd.core.model import INTERNAL_KINDS
from authd.locale import text
from authd.service.ledger import Reader, Recorded

EXAMPLES = """\
examples:
  authd events                                        everything so far
  authd events --follow                               what happens from now on, until Ctrl-C
  authd events --follow --after 120 --seat counter-1  behind number 120, one seat
  authd events --json                                 the very bytes of each row, as they are hashed
  authd events --all --ledger /mnt/copy/ledger        grants and voids too, of a copy
  authd events --follow --door unix:/run/authd-seat/door.sock
  authd events --follow --door tcp://10.0.0.5:8791 --key app-resident.key --server-key router.pub --json

With --door the daemon tells them: signed, checked here, each once, across restarts; its files are not needed.

exit codes: 0 done, 1 the ledger is damaged or an event not signed,
            2 wrong input (without --door: also a number that is not there yet), 3 no daemon there, 4 refused
"""
POLL_S = 0.25


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd events`."""
    parser = subparsers.add_parser(
        "events",
        help="print events, or follow them / 出来事を表示する・追う",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--follow", action="store_true", help="go on with what happens / 続きを待つ")
    parser.add_argument("--after", type=int, metavar="N", help="begin behind this number / この番号の次から")
    parser.add_argument("--seat", help="of one seat only / この席だけ")
    parser.add_argument("--all", action="store_true", help="also rows that are no events / 内部の行も")
    add_files(parser)
    add_door(parser)
    parser.set_defaults(run=answering(run))


def run(args: argparse.Namespace) -> int:
    """Print rows as they are in the files, then as they come; or what the daemon tells."""
    if args.door is not None:
        from authd.cli import events_door

        return events_door.run(args)
    reader = open_reader(args)
    try:
        known = people(args)
        for row in _rows(reader, args):
            if (args.all or row.entry.kind not in INTERNAL_KINDS) and args.seat in (None, row.entry.seat):
                print(row.bytes.decode() if args.json else event_line(row, known, args.lang), flush=args.follow)
    finally:
        reader.close()
    return OK


def add_door(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which daemon is asked, and as whom."""
    parser.add_argument("--door", metavar="ADDRESS", help="ask the daemon: unix:PATH, ipc://PATH, tcp://HOST:PORT")
    parser.add_argument("--key", type=Path, metavar="FILE", help="of this peer, for ipc and tcp / こちらの鍵")
    parser.add_argument("--server-key", type=Path, metavar="FILE", help="public, of the door / 受付口の公開鍵")


def _rows(reader: Reader, args: argparse.Namespace) -> Iterator[Recorded]:
    after: int = args.after if args.after is not None else reader.last() if args.follow else 0
    if after > (last := reader.last()):
        raise BadInput(text("events.beyond", args.lang, after=after, last=last))
    while True:
        rows = reader.after(after)
        yield from rows
        if rows:
            after = rows[-1].seq
        elif args.follow:
            time.sleep(POLL_S)
        else:
            return
