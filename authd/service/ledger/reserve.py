"""Space kept back on the disk, so that the `ended` rows of open sessions still land when everything else is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

RESERVE_FILE = "reserve"


class Reserve:
    """A preallocated file beside the segments. `size` bytes; released when the disk is full, taken again afterwards."""

    def __init__(self, folder: Path, size: int) -> None:
        self._path = folder / RESERVE_FILE
        self.size = size

    def take(self) -> None:
        """Hold the reserve. Raises OSError (ENOSPC) unless as much again would stay free, lest it swing to and fro."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            held = os.fstat(descriptor).st_blocks * 512
            free = os.fstatvfs(descriptor)
            if held + free.f_bavail * free.f_frsize < 2 * self.size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            if held < self.size:
                os.posix_fallocate(descriptor, 0, self.size)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give the space to the rows that must still be written."""
        try:
            os.truncate(self._path, 0)
        except FileNotFoundError:
            return
