"""The one command, `authd`: a file for each group of verbs, and those that drivers and simulators bring along."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points

from authd import __version__
from authd.cli._parser import Parser
from authd.cli.codes import OK, USAGE

VERBS = {
    "run": "run",
    "init": "init",
    "enroll": "enroll",
    "disable": "enroll",
    "status": "status",
    "people": "status",
    "stop": "status",
    "keys": "keys",
    "revoke": "keys",
    "breakglass": "breakglass",
    "who": "who",
    "views": "views",
    "carryout": "carryout",
    "credentials": "credentials",
    "export": "export",
    "trace": "trace",
    "events": "events",
    "evidence": "evidence",
    "ledger": "ledger",
    "policy": "policy",
    "review": "review",
    "roster": "roster",
    "flags": "flags",
    "unattributed": "unattributed",
    "pgproxy": "pgproxy",
    "terminal": "brokers",
    "formproxy": "brokers",
    "gateway": "gateway",
    "tokens": "tokens",
    "agent": "agent",
}
"""Verb -> the module of this package that has it."""
SIMULATED = {
    "demo": "run a whole city hall counter on this machine / この端末だけで窓口を体験する",
    "drill": "replay an incident and answer for it / 過去の事件を再現し、問いに答える",
    "sim": "talk to simulated devices / 模擬装置を操作する",
}

EPILOG = """\
examples:
  authd demo                                   try it, with simulated readers
  authd init --config authd.toml               make the keys and enrol the first two officers
  authd run --config authd.toml                serve the seats
  authd who --seat counter-1 --from 13:05 --to 13:20
  authd ledger verify /var/lib/authd-seat/ledger

exit codes: 0 done, 1 bad news, 2 wrong input, 3 no daemon there, 4 refused
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        args = parser(words[0] if words else "").parse_args(words)
        return int(args.run(args))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def parser(verb: str = "") -> argparse.ArgumentParser:
    """Every verb that is installed here; of a known verb only its own module, so that nothing else is loaded."""
    whole = Parser(
        prog="authd", description="Knows which person is at the seat. / 席に誰がいるかを知る。", epilog=EPILOG
    )
    whole.add_argument("--version", action="version", version=f"authd-seat {__version__}")
    verbs = whole.add_subparsers(metavar="COMMAND", required=True)
    if verb in VERBS:
        import_module(f"authd.cli.{VERBS[verb]}").register(verbs)
        return whole
    added = {entry.name: entry for entry in entry_points(group="authd.commands") if entry.name not in VERBS}
    if verb not in added:
        for module in dict.fromkeys(VERBS.values()):
            import_module(f"authd.cli.{module}").register(verbs)
    for name in [verb] if verb in added else sorted({*added, *SIMULATED}):
        if name in added:
            added[name].load()(verbs)
        else:
            verbs.add_parser(name, help=SIMULATED[name]).set_defaults(run=_not_installed(name))
    return whole


def _not_installed(name: str) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        print(
            f"authd {name} needs the simulators, which are an authentication bypass and therefore not part of authd.\n"
            "On a machine that is not a counter terminal: pip install authd-simulators\n"
            f"authd {name} には模擬装置(authd-simulators)が必要です。窓口の端末には決して入れないでください。",
            file=sys.stderr,
        )
        return USAGE

    return run
