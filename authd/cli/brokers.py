"""`authd terminal`, `authd formproxy`: sign-on to terminal hosts and old web forms, for whoever is at the seat."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from authd.cli._common import bad_settings, cannot_begin, fail, misuse, with_daemon
from authd.cli.codes import OK, USAGE

if TYPE_CHECKING:
    from authd.broker.settings import Settings

    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)

DEFAULT = Path("/etc/authd-seat/broker.toml")
TERMINAL = """\
examples:
  authd terminal                               as the unit does, with /etc/authd-seat/broker.toml
  authd terminal --config broker.toml --check  only say whether the settings can be used

The emulator is the seat's own: x3270 -utf8 -scriptport 127.0.0.1:4001. At the lock the host is signed off, the line is
cut, and the emulator ends.

exit codes: 0 ended as it was told (--check: it can be used), 2 wrong input
"""
FORM = """\
examples:
  authd formproxy                              as the unit does, with /etc/authd-seat/broker.toml
  authd formproxy --config broker.toml --check

The application's `url` in authd.toml leads here, through the application's own proxy.

exit codes: 0 ended as it was told (--check: it can be used), 1 it cannot listen, 2 wrong input
"""


def register(subparsers: Parsers) -> None:
    """Add the verbs."""
    for name, help_, epilog, run in (
        ("terminal", "sign on to terminal hosts (3270) / 端末ホストへのサインオン", TERMINAL, _terminals),
        ("formproxy", "sign on to old web forms / 古いウェブ画面へのサインオン", FORM, _forms),
    ):
        parser = subparsers.add_parser(
            name, help=help_, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("--config", type=Path, default=DEFAULT, metavar="FILE", help=f"broker.toml ({DEFAULT})")
        parser.add_argument("--check", action="store_true", help="check the settings and the vault, start nothing")
        parser.set_defaults(run=with_daemon(run))


def _terminals(args: argparse.Namespace) -> int:
    from authd.broker.run import terminals
    from authd.broker.terminal.settings import terminals as read

    return _serve("terminal", args, read, terminals)


def _forms(args: argparse.Namespace) -> int:
    from authd.broker.forms.settings import forms as read
    from authd.broker.run import forms

    return _serve("formproxy", args, read, forms)


def _serve(
    verb: str,
    args: argparse.Namespace,
    read: Callable[[Settings], object],
    serve: Callable[[Settings], Coroutine[Any, Any, None]],
) -> int:
    """Check, then serve; what keeps it from beginning is one line."""
    from authd.broker.settings import load
    from authd.broker.vault import Vault, VaultError
    from authd.client.tables import BadSettings

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        settings = load(args.config)
        if not read(settings):
            return misuse("nothing_to_serve", file=args.config)
        Vault.open(settings.vault)
        if args.check:
            print(f"ok: {args.config}")
            return OK
        asyncio.run(serve(settings))
    except BadSettings as error:
        return bad_settings(error, args.config, verb)
    except VaultError as error:
        return fail(error, USAGE)
    except OSError as error:
        return cannot_begin(error)
    return OK
