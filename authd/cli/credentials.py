"""`authd credentials`: passwords of old systems are sealed, replaced by ones that nobody knows, and looked after."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from authd.cli import failures
from authd.cli._common import add_config, bad_settings, fail, language, misuse, with_daemon
from authd.cli.codes import OK, USAGE, WRONG
from authd.locale import text

if TYPE_CHECKING:
    from authd.broker.inspection import Anchor, Look
    from authd.broker.rotation import Rotator
    from authd.broker.secret import Secret
    from authd.broker.settings import Settings
    from authd.broker.vault import Sealed, Vault
    from authd.client import SyncClient

    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)

BROKER = Path("/etc/authd-seat/broker.toml")
DAY_MS = 86_400_000
EXAMPLES = """\
examples:
  authd credentials seal resident/juki        somebody types the password that everybody knows; it is replaced at once
  authd credentials list                      what is sealed, and what somebody may still know
  authd credentials rotate resident/juki      replace it now
  authd credentials rotate --older-than 30    for a timer: what is older than 30 days, and what was cut short
  authd credentials check                     does the vault hold what the ledger says, and does it open the systems?

A name is SYSTEM/ACCOUNT; [system.SYSTEM] of broker.toml says how its passwords are replaced.

exit codes: 0 done, 1 something is not in order or was not replaced, 2 wrong input, 3 no daemon there, 4 refused
"""


def register(subparsers: Parsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "credentials",
        help="keep old systems' passwords, known to nobody / 古いシステムのパスワードを預かる",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="WHAT", required=True)
    seal = _verb(verbs, "seal", "hand a password over / 預ける", _seal)
    seal.add_argument("name", metavar="SYSTEM/ACCOUNT")
    seal.add_argument("--keep", action="store_true", help="do not replace it at once")
    _verb(verbs, "list", "what is sealed / 一覧", _list).add_argument("--json", action="store_true")
    rotate = _verb(verbs, "rotate", "replace passwords / 替える", _rotate)
    rotate.add_argument("names", nargs="*", metavar="SYSTEM/ACCOUNT")
    rotate.add_argument("--older-than", type=int, metavar="DAYS", help="all that are older, or were cut short")
    _verb(verbs, "check", "is everything in order? / 確認", _check).add_argument("--json", action="store_true")


def _verb(verbs: Parsers, name: str, help_: str, work: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=help_)
    add_config(parser)
    default = Path(os.environ.get("AUTHD_BROKER", BROKER))
    parser.add_argument("--broker", type=Path, default=default, metavar="FILE", help=f"broker.toml ({default})")
    parser.set_defaults(run=with_daemon(_plainly(work)))
    return parser


def _plainly(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Say in one line what keeps a verb from beginning."""

    def run(args: argparse.Namespace) -> int:
        from authd.broker.rotation import RotatorError
        from authd.broker.vault import VaultError
        from authd.client.tables import BadSettings

        try:
            return work(args)
        except BadSettings as error:
            return bad_settings(error, args.broker, "credentials")
        except (VaultError, ValueError) as error:
            return fail(error, USAGE)
        except RotatorError as error:
            return fail(error, WRONG)

    return run


def _seal(args: argparse.Namespace) -> int:
    from authd.broker.inspection import Anchor
    from authd.broker.rotation import seal
    from authd.broker.vault import Vault

    settings = _settings(args)
    vault = Vault.create(settings.vault)
    with vault.rotating(), _door(args) as client:
        rotator = _rotator(settings, args.name, vault)
        typed = _typed(args.name, twice=rotator is None)
        sealed = seal(vault, args.name, typed, rotator, _recorded(client).get(args.name, Anchor(0, "")).version)
        _note(client, "sealed", sealed)
        print(text("credentials.sealed", language(), account=sealed.name, version=sealed.version))
        if rotator is not None and not args.keep:
            return _replace(client, vault, args.name, rotator)
    print(text("credentials.kept" if rotator is not None else "credentials.cannot", language(), account=args.name))
    return OK


def _rotate(args: argparse.Namespace) -> int:
    from authd.broker.vault import Vault

    if bool(args.names) == (args.older_than is not None):
        return misuse("replace_what")
    settings = _settings(args)
    vault = Vault.open(settings.vault)
    with vault.rotating(), _door(args) as client:
        names, code = (args.names, OK) if args.names else _old(vault, settings, args.older_than)
        codes = [code, *(_one(client, vault, settings, name) for name in names)]
    if not names and code == OK:
        print(text("credentials.nothing_old", language(), days=args.older_than))
    return max(codes)


def _one(client: SyncClient, vault: Vault, settings: Settings, name: str) -> int:
    """Replace one; what goes wrong with it keeps no other one from being replaced."""
    from authd.broker.rotation import RotatorError
    from authd.broker.vault import VaultError
    from authd.client.tables import BadSettings

    try:
        rotator = _rotator(settings, name, vault)
        if rotator is None:
            return fail(text("credentials.cannot", language(), account=name), WRONG)
        return _replace(client, vault, name, rotator)
    except (BadSettings, RotatorError, VaultError) as error:
        return fail(error, WRONG)


def _replace(client: SyncClient, vault: Vault, name: str, rotator: Rotator) -> int:
    from authd.broker.rotation import rotate
    from authd.client import ClientError

    client.ping()  # nothing is replaced that nobody could record
    rotated = rotate(vault, name, rotator)
    try:
        _note(client, "rotated", rotated)
    except ClientError as error:
        why = failures.words(error, language())
        return fail(text("credentials.not_recorded", language(), account=name, why=why), WRONG)
    print(text("credentials.rotated", language(), account=name, version=rotated.version))
    return OK


def _list(args: argparse.Namespace) -> int:
    from authd.broker.vault import Vault

    vault = Vault.open(_settings(args).vault)
    found, code = _readable(vault)
    for each in found:
        since = datetime.fromtimestamp(each.made / 1000, UTC).astimezone().isoformat(timespec="minutes")
        state = "pending" if each.pending else "ok" if each.rotated else "known"
        told = {"name": each.name, "version": each.version, "since": since, "state": state}
        words = text(f"credentials_state.{state}", language())
        print(json.dumps(told) if args.json else f"{each.name}\t{each.version}\t{since}\t{words}")
    if not found and code == OK and not args.json:
        print(text("credentials.none", language()), file=sys.stderr)
    return code


def _check(args: argparse.Namespace) -> int:
    from authd.broker.inspection import State, inspect
    from authd.broker.vault import Vault

    settings = _settings(args)
    vault = Vault.open(settings.vault)
    with _door(args) as client:
        rows = _recorded(client)
    looks = inspect(vault, rows, lambda name: _rotator(settings, name, vault))
    for look in looks:
        print(_told(look) if args.json else f"{look.name}\t{text(f'credentials_state.{look.state}', language())}")
    return OK if all(look.state is State.OK for look in looks) else WRONG


def _recorded(client: SyncClient) -> dict[str, Anchor]:
    """Return what the ledger says of the last version of each."""
    from authd.broker.inspection import Anchor

    return {f"{row.system}/{row.account}": Anchor(row.version, row.digest) for row in client.credentials()}


def _told(look: Look) -> str:
    return json.dumps({"name": look.name, "state": look.state, "version": look.sealed and look.sealed.version})


def _old(vault: Vault, settings: Settings, days: int) -> tuple[list[str], int]:
    """Names that are due, or were cut short, but for systems that say `none`; and whether all could be looked at."""
    from authd.broker.systems import PlainSystem, systems

    now = time.clock_gettime(time.CLOCK_REALTIME) * 1000
    about, code = _readable(vault)
    due = [each.name for each in about if each.pending or now - each.made >= days * DAY_MS]
    known = systems(settings)
    return [name for name in due if not isinstance(known.get(name.partition("/")[0]), PlainSystem)], code


def _readable(vault: Vault) -> tuple[list[Sealed], int]:
    """Return what may be told of each that opens; one that does not is said, and keeps no other one from anything."""
    from authd.broker.vault import VaultError

    found: list[Sealed] = []
    code = OK
    for name in vault.names():
        try:
            found.append(vault.about(name))
        except VaultError as error:
            code = fail(error, WRONG)
    return found, code


def _typed(name: str, *, twice: bool) -> Secret:
    """Ask a person, without an echo; or read a line from where no person is."""
    from authd.broker.secret import Secret

    if not sys.stdin.isatty():
        return Secret(sys.stdin.readline().removesuffix("\n"))
    typed = getpass.getpass(text("credentials.type", language(), account=name))
    if twice and getpass.getpass(text("credentials.type_again", language())) != typed:
        raise ValueError(text("credentials.not_the_same", language()))
    return Secret(typed)


def _note(client: SyncClient, what: Literal["sealed", "rotated"], sealed: Sealed) -> None:
    system, _, account = sealed.name.partition("/")
    by = ""
    with suppress(OSError, KeyError):
        by = re.sub(r"[^A-Za-z0-9_.:-]", "_", getpass.getuser())[:64]
    client.credential_noted(what, account, version=sealed.version, digest=sealed.digest, system=system, by=by)


def _rotator(settings: Settings, name: str, vault: Vault) -> Rotator | None:
    from authd.broker.systems import rotator

    return rotator(settings, name, vault)


def _settings(args: argparse.Namespace) -> Settings:
    from authd.broker.settings import load

    return load(args.broker)


def _door(args: argparse.Namespace) -> SyncClient:
    from authd.client import connect_sync
    from authd.service.config import load

    return connect_sync(f"unix:{load(args.config).socket}")
