"""What can be wrong with a ledger, in one closed list, and the errors that say so."""

from __future__ import annotations

import errno
from enum import StrEnum
from pathlib import Path

import apsw

from authd.core.ports import LedgerDown


class Trouble(StrEnum):
    """Why nothing can be made durable now; ids of sentences in `authd/locale`."""

    SLOW = "slow"
    FULL = "full"
    READ_ONLY = "read_only"
    DAMAGED = "damaged"
    BROKEN = "broken"
    """The disk answers with errors."""
    BUSY = "busy"
    """The queue is full."""
    CLOSED = "closed"


class LedgerDamaged(LedgerDown):
    """The ledger does not agree with itself. Nothing was changed; a person must look at it.

    The text says what is wrong and names the command to run.
    """

    def __init__(self, detail: str, folder: Path) -> None:
        super().__init__(f"{detail}; run: authd ledger verify {folder}")
        self.detail = detail
        self.folder = folder


class LedgerFormat(LedgerDown):
    """The ledger was written by a newer authd, or is held by another process."""


_BY_ERRNO = {
    errno.ENOSPC: Trouble.FULL,
    errno.EDQUOT: Trouble.FULL,
    errno.EROFS: Trouble.READ_ONLY,
    errno.EACCES: Trouble.READ_ONLY,
    errno.EPERM: Trouble.READ_ONLY,
}


def trouble_of(error: BaseException) -> Trouble:
    """Name what an exception of SQLite or the system means."""
    if isinstance(error, LedgerDamaged | apsw.CorruptError | apsw.NotADBError):
        return Trouble.DAMAGED
    if isinstance(error, apsw.FullError):
        return Trouble.FULL
    if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError | apsw.AuthError):
        return Trouble.READ_ONLY
    if isinstance(error, OSError) and error.errno is not None:
        return _BY_ERRNO.get(error.errno, Trouble.BROKEN)
    return Trouble.BROKEN
