"""Make what an authd of this environment says come late, and run pytest against it: `make late`.

    .venv-late/bin/python -m tests.tools.late -- -m real -n auto --dist loadfile tests/service

Each row is durable, each event sent and each face shown up to a third of a second later than it would be: orders stay,
times do not. A test that reads what it did not wait for fails here nearly always; beside a busy neighbour it fails once
in fifty runs. Whoever measures a time fails here too, and is right to (those are told apart by reading).

The daemon's interpreters are isolated (`-I`) and its children have no environment, so this file is copied beside the
installed packages and named in a `.pth` there: an environment that is only for this.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from functools import wraps
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "authd_late"
ROW_S, EVENT_S = (0.05, 0.35), (0.0, 0.3)
_random = random.SystemRandom()


def _sleeping(late: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(late)
    def call(*args: Any, **words: Any) -> Any:
        time.sleep(_random.uniform(*ROW_S))
        return late(*args, **words)

    return call


def _waiting(late: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(late)
    async def call(*args: Any, **words: Any) -> Any:
        await asyncio.sleep(_random.uniform(*EVENT_S))
        return await late(*args, **words)

    return call


LATE = {
    "authd.service.ledger.file": {"LedgerFile.commit": _sleeping},
    "authd.service.bus.stream": {"Stream.item": _waiting, "Stream.event": _waiting},
    "authd.service.bus.outlet": {"_Screen.next": _waiting},
}
"""By module: which of its methods come late, and how."""


def make_late(module: ModuleType) -> None:
    """Replace this module's methods. Raises `AttributeError` where one is no longer there."""
    for path, how in LATE[module.__name__].items():
        owner, _, name = path.partition(".")
        setattr(getattr(module, owner), name, how(getattr(getattr(module, owner), name)))


class Finder:
    """Stands before the other finders, and has them find what it then changes."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the module's own spec, whose loader makes it late afterwards."""
        if name not in LATE:
            return None
        others = (each.find_spec(name, path, target) for each in sys.meta_path if each is not Finder)
        spec = next((each for each in others if each is not None), None)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            make_late(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # this one spec's
        return spec


def main() -> int:
    """Make this environment late, and run pytest with the arguments after `--`."""
    if Path(sys.prefix).name != ".venv-late":
        sys.exit("tests.tools.late spoils the environment it runs in: use `make late`, which makes one for it")
    site = Path(sysconfig.get_paths()["purelib"])
    shutil.copyfile(__file__, site / f"{NAME}.py")
    (site / f"{NAME}.pth").write_text(f"import {NAME}\n", encoding="utf-8")
    return subprocess.run([sys.executable, "-m", "pytest", *sys.argv[2:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
if __name__ == NAME:
    sys.meta_path.insert(0, Finder)  # a class whose method is static
