"""Files for the caller alone that get their name when all of them is written: a full disk leaves no half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC


@contextmanager
def whole(path: Path, flags: int = 0) -> Generator[BinaryIO]:
    """Open a file (0600) for writing; what it replaces stays until the end, and for good where the end is not reached.

    A pipe, a device or a link is written as it is, opened with `flags` too. Raises OSError, which names the file.
    """
    plain = not path.is_symlink() and (path.is_file() or not path.exists())
    target = path.with_name(f".{path.name}.{secrets.token_hex(8)}") if plain else path
    try:
        with os.fdopen(os.open(target, _FLAGS | (os.O_EXCL if plain else os.O_TRUNC | flags), 0o600), "wb") as file:
            yield file
        if plain:
            target.replace(path)
    except BaseException as error:
        if plain:
            target.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a write names none
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
