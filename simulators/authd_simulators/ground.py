"""What a stage needs of the machine before it begins: an account, a folder that it may write, and room on the disk."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path

from authd.service.bus.peers import UNKNOWN_UID

ROOM_MB = 64
"""Ledger, store, keys and logs of a long afternoon at two seats, with some to spare."""
_FULL_MB = 16
"""With less than this the daemon does not begin a ledger, and whatever failed most likely failed for want of room."""


class NoGround(Exception):
    """A stage cannot be set here; the text is one line that says why and what to do, in both languages."""


def folder() -> Path:
    """Return a new folder in the temporary one, of this account alone. Raises `NoGround`."""
    if os.geteuid() == UNKNOWN_UID:
        raise NoGround(
            f"uid {UNKNOWN_UID} stands for accounts that nobody knows: call it from an account of its own"
            " / 別のアカウントで実行してください"
        )
    try:
        made = Path(tempfile.mkdtemp(prefix="authd-"))
    except OSError as error:
        raise NoGround(
            f"no folder can be made ({error.strerror}): let TMPDIR name one that this account may write"
            " / 環境変数 TMPDIR に、書き込めるフォルダを指定してください"
        ) from error
    if _free_mb(made) < ROOM_MB:
        free = _free_mb(made)
        made.rmdir()
        raise NoGround(_no_room(made.parent, f"{free} MB"))
    return made


def why(error: OSError) -> NoGround:
    """Return what a file that could not be made or written comes to."""
    return NoGround(
        f"{error.filename or ''}: {error.strerror or error}: this account must be able to write there"
        " / このアカウントで書き込めるようにしてください"
    )


def spent(folder: Path) -> NoGround | None:
    """Return what to say where the disk has been filled since; None: there is room."""
    if not folder.is_dir() or (free := _free_mb(folder)) >= _FULL_MB:
        return None
    return NoGround(_no_room(folder.parent, f"{free} MB"))


def named() -> bool:
    """Whether the machine knows this account by a name: D-Bus speaks with no other."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _free_mb(place: Path) -> int:
    return shutil.disk_usage(place).free >> 20


def _no_room(place: Path, left: str) -> str:
    return (
        f"{place} has {left} of room and {ROOM_MB} MB are needed: make room, or let TMPDIR name another disk"
        " / 空きを作るか、環境変数 TMPDIR に別のディスクのフォルダを指定してください"
    )
