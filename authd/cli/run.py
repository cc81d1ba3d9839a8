"""`authd run`: serve the seats of this host."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from dataclasses import replace

from authd.cli._common import add_config, with_service
from authd.cli.codes import OK

EXAMPLES = """\
examples:
  authd run                              as the unit does, with /etc/authd-seat/authd.toml
  authd run --config authd.toml --check  only say whether the configuration can be used

exit codes: 0 ended as it was told (--check: it can be used), 1 store, ledger, disk or doors keep it from beginning,
            2 wrong input
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd run`."""
    parser = subparsers.add_parser(
        "run",
        help="serve the seats / 席を守る",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser)
    parser.add_argument("--simulate", action="store_true", help="allow simulated readers (never on a counter terminal)")
    parser.add_argument("--check", action="store_true", help="check configuration and policy, start nothing")
    parser.add_argument("--verbose", action="store_true", help="log more than warnings")
    parser.set_defaults(run=with_service(_run))


def _run(args: argparse.Namespace) -> int:
    """Serve until told to end."""
    from authd.service import config, daemon, parts

    _log(args.verbose)
    loaded = config.load(args.config)
    loaded = replace(loaded, simulate=loaded.simulate or args.simulate)
    if args.check:
        parts.check(loaded)
        print(f"ok: {args.config}")
    else:
        asyncio.run(daemon.serve(loaded))
    return OK


class _Json(logging.Formatter):
    """One record stays one line, whatever stands in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object."""
        line = {"level": record.levelname, "logger": record.name, "text": record.getMessage()}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _log(verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ or not sys.stderr.isatty():
        handler.setFormatter(_Json())
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])
