"""A worker: reads hostile files in a sandbox. `python -I -m authd.service.evidence.trace.worker DESCRIPTOR`.

It may read the folder, the prints and the interpreter's own files; it can write nothing, start nothing and reach
nobody (authd.service.host.sandbox). Everything that it needs is imported before. A file that takes too much memory or
breaks a parser costs this process; the crew names the file and starts another.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from authd.service.evidence.trace.lots import at_once
from authd.service.evidence.trace.match import Filter, Matcher
from authd.service.evidence.trace.prints import Printer
from authd.service.evidence.trace.reading import Budget, Unreadable, Why, read
from authd.service.evidence.trace.search import Prints
from authd.service.evidence.trace.tally import Outcome, Tally, Trouble
from authd.service.evidence.trace.wire import Begin, Done, Line, Lost, Ready, Task
from authd.service.host.grants import Grants, Limits
from authd.service.host.sandbox import confine

LARGEST: Final = 2 << 30
_SPARSE: Final = 64 << 20
_FILES: Final = 64
"""Descriptors beside those of the prints."""
_CODECS: Final = ("cp932", "cp437", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "iso2022_jp", "euc_jp", "latin-1")
"""Their modules are loaded before the sandbox, in which nothing executable is."""


class Worker:
    """Reads files against the data sets."""

    def __init__(self, begin: Begin) -> None:
        self._seconds = begin.seconds
        self._printer = Printer(begin.key)
        self._matchers = [Matcher(Prints(Path(path))) for path in begin.prints]
        self._known = Filter(matcher.prints for matcher in self._matchers)

    def read(self, task: Task) -> Outcome:
        """Read one file. Raises `MemoryError`."""
        try:
            with open_regular(task.path) as file:
                size = os.fstat(file.fileno()).st_size
                ends = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int(self._seconds * 1e9)
                budget = Budget(size, ends)
                tally = Tally(task.number, self._printer, self._matchers, self._known, budget)
                read(file, task.name, size, tally, budget)
                return tally.outcome()
        except Unreadable as error:
            return Outcome(task.number, "", 0, troubles=(Trouble(task.name, error.why, error.detail),))
        except OSError as error:
            return Outcome(task.number, "", 0, troubles=(Trouble(task.name, Why.DENIED, error.strerror or ""),))


def open_regular(path: bytes) -> IO[bytes]:
    """Open an ordinary file of a bounded size, by no link. Raises `OSError`, `Unreadable`."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable(Why.SPECIAL)
        if about.st_size > _SPARSE and about.st_blocks * 512 < about.st_size // 8:
            raise Unreadable(Why.SPARSE, f"{about.st_size} bytes, {about.st_blocks * 512} of them on the disk")
        if about.st_size > LARGEST:
            raise Unreadable(Why.TOO_LARGE, f"{about.st_size >> 20} MiB, at most {LARGEST >> 20}")
    except BaseException:
        file.close()
        raise
    return file


def main(argv: Sequence[str]) -> int:
    """Serve until the channel closes; 3: out of memory."""
    line = Line(socket.socket(fileno=int(argv[0])))
    status = os.open("/proc/self/status", os.O_RDONLY)  # before the sandbox, in which it cannot be opened
    try:
        begin: Begin = line.receive(Begin)
        at_once(len(begin.prints))
        worker = Worker(begin)
        for name in _CODECS:
            b"".decode(name)
        folders = {os.fsdecode(begin.folder), *(str(Path(path).parent) for path in begin.prints)}
        limits = Limits(memory_mb=_space_mb() + begin.heap_mb, files=_FILES + len(begin.prints))
        grants = Grants(read=tuple(sorted(folders)), limits=limits)
        report = confine(grants, packages={"authd", "pypdf"}, parent=begin.parent, strict=False)
        line.send(Ready(report.in_force, report.missing))
        while True:
            outcome = worker.read(line.receive(Task))
            line.send(Done(outcome, most_kb(status)))
    except Lost:
        return 0
    except MemoryError:
        return 3


def most_kb(status: int) -> int:
    """Return the most memory that this process has held; `ru_maxrss` would begin with what its parent had."""
    lines = os.pread(status, 8_192, 0).decode("ascii", "replace").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _space_mb() -> int:
    """Return the address space that this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
