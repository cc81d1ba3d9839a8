"""`authd export`: writes a file that two people have allowed, with canary rows in it, and keeps its fingerprints."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from authd.cli._common import add_config, fail, language, misuse, with_daemon
from authd.cli.carryout import CAPABILITY, MOST_NAME, door, now, said
from authd.cli.codes import OK, USAGE, WRONG
from authd.locale import text

if TYPE_CHECKING:
    from authd.cli.carryout import Parsers
    from authd.client import Carryout, SyncClient
    from authd.service.config import Config
    from authd.service.evidence.carryout.export import Written
    from authd.service.evidence.carryout.table import Table

EXAMPLES = """\
examples:
  authd export --capability cap_... --in rows.csv --out /media/disk/list.csv
  AUTHD_CAPABILITY=cap_... authd export --in rows.csv --out list.csv --number 宛名番号

The capability comes from authd carryout request, and a second person must have allowed it, for this very file.
The file is CSV as --in is (UTF-8, CP932 or UTF-16). A few rows in it are nobody's: by them, and by the fingerprints
that stay here, authd trace knows it again. It is out until authd carryout return, or erase.

exit codes: 0 written, 1 begun and gone wrong: ask for another, 2 wrong input, 3 no daemon there, 4 refused
"""


def register(subparsers: Parsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "export",
        help="write a file that two people have allowed / 許可された書き出し",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser)
    parser.add_argument("--capability", default="", help=f"or in the environment, as {CAPABILITY}")
    parser.add_argument("--in", dest="source", required=True, type=Path, metavar="FILE", help="the rows, as CSV")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="where the capability is for")
    parser.add_argument("--number", metavar="COLUMN", help="the column with the residents' numbers")
    parser.set_defaults(run=with_daemon(said(_run)))


def _run(args: argparse.Namespace) -> int:
    from authd.service.config import load
    from authd.service.evidence.carryout.table import BadTable, look

    out, capability = args.out.absolute(), args.capability or os.environ.get(CAPABILITY, "")
    if not capability:
        return misuse("capability")
    if out.exists() or not out.parent.is_dir():
        return misuse("new_file", file=out)
    try:
        table = look(args.source)
        number = table.number(args.number)
    except (BadTable, OSError) as error:
        return fail(error, USAGE)
    config = load(args.config)
    with door(config) as client:
        used = client.use_carryout("export", str(out), capability=capability, rows=table.rows)
        return _write(client, config, table, number, out, used)


def _write(client: SyncClient, config: Config, table: Table, number: str | None, out: Path, used: Carryout) -> int:
    """The capability is spent: what goes wrong from here on leaves a carry-out that is open, and no file."""
    from authd.client import ClientError
    from authd.service.evidence.carryout.export import export
    from authd.service.evidence.carryout.table import BadTable
    from authd.service.evidence.trace import About, BadPrints
    from authd.service.keys import KeyFault, Keys

    def tell(made: Written) -> None:
        client.carryout_exported(
            used.carryout, rows=made.rows, canaries=made.canaries, file=made.file, prints=made.prints
        )

    about = About(id=used.carryout, kind="export", title=used.purpose[:MOST_NAME], made=now())
    try:
        made = export(Keys(config.state).record_key(), table, out, config.state, about, number, tell)
    except (BadTable, BadPrints, OSError, KeyFault, ClientError) as error:
        print(text("carryout.gone_wrong", language(), carryout=used.carryout), file=sys.stderr)
        return fail(error, WRONG)
    print(text("carryout.exported", language(), rows=made.rows, canaries=made.canaries, out=out, due=used.due))
    return OK
