"""One agent a desktop: a locked file says which process it is, for as long as it lives.

Two of them would end each other's lockers. Whoever asks the agent for a lock sends it a signal, which must reach no
other process that has got the number of one that has died: the kernel gives the file's lock back with the agent's life.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from authd.client.tables import BadSettings

FILE: Final = "agent"
TRIES: Final = 20
BETWEEN_S: Final = 0.05


class Only:
    """Held by the agent from its start to its end."""

    def __init__(self, folder: Path) -> None:
        """Raises `BadSettings` where an agent runs already; a second is waited for one that is just ending."""
        self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        for _ in range(TRIES):
            with suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._file, 0)
                return
            time.sleep(BETWEEN_S)
        os.close(self._file)
        raise BadSettings("another agent covers this desktop already; end that one first")

    def tell(self) -> None:
        """Say that this process may be asked for a lock now."""
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Let another agent be."""
        os.close(self._file)


def running(folder: Path) -> int | None:
    """Return the agent's process; None: none runs here, or it has only just been started."""
    try:
        file = os.open(folder / FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.pread(file, 16, 0)
        return int(number) if number.isdigit() else None
    finally:
        os.close(file)
    return None
