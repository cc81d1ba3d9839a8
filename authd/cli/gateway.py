"""`authd gateway`: stand before applications that cannot be changed (forward auth, OpenID Connect, security events)."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from authd.cli._common import bad_settings, cannot_begin
from authd.cli.codes import OK

DEFAULT = Path("/etc/authd-seat/gateway.toml")
EXAMPLES = """\
examples:
  authd gateway                          as the unit does, with /etc/authd-seat/gateway.toml
  authd gateway --config gateway.toml --check   only say whether the file can be used

exit codes: 0 ended as it was told (--check: it can be used), 1 it cannot listen, 2 wrong input
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd gateway`."""
    parser = subparsers.add_parser(
        "gateway",
        help="let applications in that cannot be changed / 改修できない業務システムの前に立つ",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar="FILE", help=f"gateway.toml ({DEFAULT})")
    parser.add_argument("--check", action="store_true", help="check the file, start nothing")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from authd.client.tables import BadSettings
    from authd.web.gateway.run import check, run

    logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING)
    try:
        if not args.check:
            run(args.config)
            return OK
        check(args.config)
        print(f"ok: {args.config} can be used", file=sys.stderr)
    except BadSettings as error:
        return bad_settings(type(error)(f"{args.config}: {error}"), args.config, "gateway")
    except OSError as error:
        return cannot_begin(error)
    return OK
