"""How the help of every verb looks: what it is for in both languages, its options, its examples and its exit codes."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from authd.cli import failures
from authd.cli._common import language
from authd.cli.codes import USAGE

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
else:
    Verbs = argparse._SubParsersAction  # it takes no parameter where it runs


class Parser(argparse.ArgumentParser):
    """What a verb leaves out, its own verbs have from it: so none is without a word, an example and its exit codes."""

    def __init__(self, *args: Any, **given: Any) -> None:
        given.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **given)
        self.register("action", "parsers", _Verbs)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, in the caller's language."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {failures.of_usage(message, self.prog, language())}\n")

    def add_subparsers(self, **given: Any) -> Any:
        """Return the place for the verbs of this one."""
        verbs: Any = super().add_subparsers(**given)
        verbs.epilog = self.epilog
        return verbs


class _Verbs(Verbs):
    epilog: str | None = None

    def add_parser(self, name: str, **given: Any) -> argparse.ArgumentParser:
        """Add a verb: it is described by what the list of verbs says of it."""
        given.setdefault("description", given.get("help"))
        given.setdefault("epilog", self.epilog)
        return super().add_parser(name, **given)
