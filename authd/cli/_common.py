"""What the verbs share: where the configuration is, how the daemon is reached, how an error is said."""

from __future__ import annotations

import argparse
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from authd.cli import failures
from authd.cli.codes import REFUSED, UNREACHABLE, USAGE, WRONG
from authd.locale import text

if TYPE_CHECKING:
    from authd.client import EnrolStep
    from authd.client.tables import BadSettings

DEFAULT_CONFIG = Path("/etc/authd-seat/authd.toml")
OWN_FILES = {
    "gateway": ("gateway.toml", "forward-auth"),
    "pgproxy": ("broker.toml", "postgresql"),
    "terminal": ("broker.toml", "terminal-hosts"),
    "formproxy": ("broker.toml", "old-web-forms"),
    "credentials": ("broker.toml", "seal-old-passwords"),
    "unattributed": ("unattributed.toml", "unattributed-access"),
}
"""Verb beside the daemon -> what its own settings are called, and the page of docs/how-to that shows them."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config`; the environment's AUTHD_CONFIG is used where it is not given."""
    default = Path(os.environ.get("AUTHD_CONFIG", DEFAULT_CONFIG))
    parser.add_argument("--config", type=Path, default=default, metavar="FILE", help=f"authd.toml ({default})")


def staff_number(typed: str) -> str:
    """Return a staff number or subject as it is kept: a Japanese keyboard may type its digits in full width."""
    return unicodedata.normalize("NFKC", typed).strip()


def language() -> str:
    """Return `ja` or `en`, by the locale of the caller."""
    names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "ja" if next((name for name in names if name), "").startswith("ja") else "en"


def fail(what: BaseException | str, code: int = USAGE, *, lang: str = "") -> int:
    """Say one line on standard error, in the caller's language or in `lang`, and return the exit code."""
    said = failures.words(what, lang or language()) if isinstance(what, BaseException) else what
    print(f"authd: {said}", file=sys.stderr)
    return code


def misuse(what: str, **values: object) -> int:
    """Say what is wrong with what was asked, by its id, and return the exit code."""
    return fail(text(f"misuse.{what}", language(), **values), USAGE)


def bad_settings(error: BadSettings, file: Path, verb: str, *, lang: str = "") -> int:
    """Say what is wrong with the settings of a process beside authd; of the daemon's own, which ones are wanted."""
    from authd.client.tables import DaemonsFile

    if not isinstance(error, DaemonsFile):
        return fail(error, USAGE, lang=lang)
    wanted, page = OWN_FILES[verb]
    said = text("misuse.daemons_file", lang or language(), file=file, verb=verb, wanted=wanted, page=page)
    return fail(said, USAGE)


def cannot_begin(error: OSError) -> int:
    """Say that an address cannot be had; or, where the system named one, that a file of the settings cannot be."""
    if error.filename:
        return fail(error, USAGE)
    return fail(text("failure.listen", language(), why=failures.why_of(error, language())), WRONG)


def with_daemon(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap a verb that talks to the daemon: what goes wrong on the way is one line and an exit code."""

    def run(args: argparse.Namespace) -> int:
        from authd.client import ClientError, DoorError
        from authd.service.config import ConfigError

        try:
            return work(args)
        except ConfigError as error:
            return fail(error)
        except DoorError as error:
            return fail(error, REFUSED)
        except ClientError as error:
            return fail(text("failure.away", language(), said=error, config=args.config), UNREACHABLE)

    return run


def with_service(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap a verb that is the daemon: what keeps it from beginning is one line and an exit code; a bug is a trace."""

    def run(args: argparse.Namespace) -> int:
        from authd.client import ClientError
        from authd.client import DoorError as Refusal
        from authd.core.ports import PortError
        from authd.service.bus.house import DoorError
        from authd.service.config import ConfigError
        from authd.service.host.manifest import ManifestError
        from authd.service.keys import KeyFault
        from authd.service.pdp import BundleError
        from authd.service.registry import RegistryError

        try:
            return work(args)
        except (ConfigError, BundleError, RegistryError, KeyFault, ManifestError) as error:
            return fail(error, USAGE)
        except (PortError, DoorError, TimeoutError, ClientError, ExceptionGroup) as error:
            cause = _first(error)
            if isinstance(cause, Refusal):
                return fail(cause, REFUSED)
            if isinstance(cause, (PortError, DoorError, ClientError, TimeoutError)):
                return fail(cause, WRONG)
            raise

    return run


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group that is no group itself."""
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    return error


def step_line(step: EnrolStep, *, many: bool = False) -> str:
    """What an enrolment asks for now, in words; of several fingers, for which."""
    said = [text(f"enrol.{step.step}", language())]
    if many and step.finger:
        said.append(f": {text(f'finger.{step.finger}', language())}")
    if step.hint:
        said.append(f" ({text(f'hint.{step.hint}', language())})")
    return f"{''.join(said)} [{round(step.done * 100)} %]"
