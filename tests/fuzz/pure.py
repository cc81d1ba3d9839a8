"""Import dbus-fast from its sources, not its compiled modules, in the process that fuzzes it.

So its own branches lead the way, and what it makes of bytes is an exception. The compiled ones read beyond the end of
some malformed messages and die; those never come through a bus: the daemon checks every message that it passes on
(tests/real/test_dbus_daemon.py), and whoever sends such a one is cut off.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

PACKAGE = "dbus_fast"


class _Pure:
    """Finds the sources of one package."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] != PACKAGE:
            return None
        if path is None:
            return PathFinder.find_spec(name, None, target)
        finders = (FileFinder(each, (SourceFileLoader, SOURCE_SUFFIXES)) for each in path)
        return next((spec for each in finders if (spec := each.find_spec(name)) is not None), None)


def from_sources() -> None:
    """Let later imports find the sources. Nothing of the package may have been imported."""
    if any(name.partition(".")[0] == PACKAGE for name in sys.modules):
        raise RuntimeError(f"{PACKAGE} is imported already")
    sys.meta_path.insert(0, _Pure())
