"""`authd tokens`: which keys sign tokens for other products, and new ones."""

from __future__ import annotations

import argparse

from authd.cli._common import add_config, with_daemon
from authd.cli.codes import OK

EXAMPLES = """\
examples:
  authd tokens                    whom tokens come from, and the keys that are published
  authd tokens --new              new keys; they sign once everybody has had a day to fetch them
  authd tokens --new --at-once    one may be known to others: what the old keys signed is good for nothing any more
Keys are turned over by themselves every thirty days.

exit codes: 0 done, 2 wrong input, 3 no daemon there, 4 refused
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add the verb."""
    parser = subparsers.add_parser(
        "tokens",
        help="keys that sign for other products / トークンの署名鍵",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser)
    parser.add_argument("--new", action="store_true", help="make new keys")
    parser.add_argument("--at-once", action="store_true", help="and end the old ones now")
    parser.set_defaults(run=with_daemon(_tokens))


def _tokens(args: argparse.Namespace) -> int:
    from authd.client import connect_sync
    from authd.service.config import load

    with connect_sync(f"unix:{load(args.config).socket}") as door:
        if args.new or args.at_once:
            door.new_token_keys(at_once=args.at_once)
        published = door.jwks()
    print(published.issuer)
    for each in published.keys:
        print(f"{each['alg']}  {each['kid']}")
    return OK
