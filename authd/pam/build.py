"""Builds `pam_authd_seat.so` and `hang-up`: `python -m authd.pam.build FOLDER`.

It takes a C compiler and PAM's headers.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from authd.pam.words import SAY, WHY, say, why

HERE: Final = Path(__file__).parent
MODULE: Final = "pam_authd_seat.so"
SOURCES: Final = tuple(HERE / name for name in ("pam_authd_seat.c", "door.c", "answer.c", "process.c"))
HANG_UP: Final = "hang-up"
HANG_UP_SOURCES: Final = tuple(HERE / name for name in ("hang_up.c", "door.c", "answer.c", "process.c"))
WARNINGS: Final = ("-std=c11", "-g", "-fPIC", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wno-sign-conversion")
HARDENED: Final = (
    *("-O2", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-fvisibility=hidden"),
    *("-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack", "-Wl,-z,defs"),
)


class BuildError(Exception):
    """It cannot be built; the text says what to do."""


def module(folder: Path, flags: Sequence[str] = HARDENED) -> Path:
    """Build the module into the folder, which is made; returns it. Raises `BuildError`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / MODULE
    with tempfile.TemporaryDirectory(prefix="authd-pam-") as scratch:
        (Path(scratch) / "words.h").write_text(words(), encoding="utf-8")
        compiled(made, ["-I", scratch, "-I", str(HERE), "-shared", *flags, *map(str, SOURCES), "-lpam"])
    return made


def hang_up(folder: Path, flags: Sequence[str] = HARDENED) -> Path:
    """Build the program that ends a login with its session into the folder; returns it. Raises `BuildError`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / HANG_UP
    compiled(made, [*flags, "-fPIE", "-pie", *map(str, HANG_UP_SOURCES)])
    return made


def compiled(made: Path, arguments: Sequence[str]) -> None:
    """Compile; what is in the place of `made` is replaced at once, and never written into. Raises `BuildError`."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise BuildError("there is no C compiler: apt install gcc libpam0g-dev, or use pam_exec (docs/how-to/pam.md)")
    fresh = made.with_suffix(".new")
    done = subprocess.run(  # noqa: S603 - the compiler of this machine, over our own sources
        [compiler, *WARNINGS, *arguments, "-o", str(fresh)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        missing = "security/" in done.stderr and "No such file" in done.stderr
        raise BuildError("apt install libpam0g-dev: PAM's headers are missing" if missing else done.stderr.strip())
    fresh.replace(made)


def words() -> str:
    """Return `words.h`: the sentences that the module can say, in both languages."""
    lines = ["struct word { const char *id, *ja, *en; };", *_table("SAY", SAY, say), *_table("WHY", WHY, why)]
    return "\n".join(lines) + "\n"


def _table(name: str, ids: Iterable[str], sentence: Callable[[str, str], str]) -> list[str]:
    rows = [[word, sentence(word, "ja"), sentence(word, "en")] for word in ids]
    lines = [f"    {{{', '.join(_quoted(each) for each in row)}}}," for row in rows]
    return [f"static const struct word {name}[] = {{", *lines, "};"]


def _quoted(text: str) -> str:
    """Return a C string of these bytes."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{plain}"'


def main(argv: Sequence[str] | None = None) -> int:
    """Build; exit code 2 where it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m authd.pam.build", description=__doc__)
    parser.add_argument("folder", type=Path, help="where both go, such as dist/pam")
    args = parser.parse_args(argv)
    try:
        made = (module(args.folder), hang_up(args.folder))
    except (BuildError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("".join(f"{each}\n" for each in made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
