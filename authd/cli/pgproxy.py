"""`authd pgproxy`: PostgreSQL for applications at a seat, as whoever sits there."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from authd.cli._common import bad_settings, cannot_begin, fail, with_daemon
from authd.cli.codes import OK, USAGE

if TYPE_CHECKING:
    from authd.broker.postgres.settings import Settings

DEFAULT = Path("/etc/authd-seat/broker.toml")
EXAMPLES = """\
examples:
  authd pgproxy                                     as the unit does, with /etc/authd-seat/broker.toml
  authd pgproxy --config broker.toml --check        only say whether the settings can be used
  authd pgproxy --authority --config broker.toml    print the certificate for the database's ssl_ca_file

the application keeps its connection string; only host and port become the listener's:
  psql "host=127.0.0.1 port=5433 user=resident_app dbname=resident"

exit codes: 0 ended as it was told (--check: it can be used), 1 it cannot listen, 2 wrong input,
            of --authority: 3 no daemon there, 4 refused
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd pgproxy`."""
    parser = subparsers.add_parser(
        "pgproxy",
        help="let applications into PostgreSQL as whoever is at the seat / 席の本人としてPostgreSQLにつなぐ",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar="FILE", help=f"broker.toml ({DEFAULT})")
    parser.add_argument("--check", action="store_true", help="check the settings and the vault, start nothing")
    parser.add_argument("--authority", action="store_true", help="print whose certificates the database is to trust")
    parser.add_argument("--verbose", action="store_true", help="log more than warnings")
    parser.set_defaults(run=with_daemon(_run))


def _run(args: argparse.Namespace) -> int:
    from authd.broker.postgres.run import Broker, serve
    from authd.broker.postgres.settings import load
    from authd.broker.vault import VaultError
    from authd.client.tables import BadSettings

    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING, stream=sys.stderr)
    try:
        settings = load(args.config)
        if args.authority:
            return _authority(settings)
        if args.check:
            Broker(settings)
            print(f"ok: {args.config}")
            return OK
        asyncio.run(serve(settings))
    except BadSettings as error:
        return bad_settings(error, args.config, "pgproxy")
    except VaultError as error:
        return fail(error, USAGE)
    except OSError as error:
        return cannot_begin(error)
    return OK


def _authority(settings: Settings) -> int:
    from authd.client import connect_sync

    key = next(iter(settings.applications.values()))
    with connect_sync(settings.router, key=key, server_key=settings.server_key) as client:
        print(client.certificate_authority().decode(), end="")
    return OK
