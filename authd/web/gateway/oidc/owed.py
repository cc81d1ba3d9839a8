"""Of which sessions a client has an ID token and has not heard the end: kept over a restart of the gateway.

A gateway that forgot them would leave a product's own session open behind a lock. The file holds names of sessions, a
line each: no person's, no secret.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

from authd.core.model import SessionId

MOST: Final = 1_024
"""Sessions of one client. The oldest goes first: a session lasts 12 h at most."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
log = logging.getLogger("authd.web.gateway")


class Owed:
    """The sessions of one client. `path`: None: they are forgotten with the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._sessions = dict.fromkeys(_read(path)) if path is not None else {}

    @property
    def sessions(self) -> tuple[SessionId, ...]:
        """Those whose end the client has not heard, the oldest first."""
        return tuple(self._sessions)

    def add(self, session: SessionId) -> None:
        """It is about to be given an ID token."""
        if session in self._sessions:
            return
        while len(self._sessions) >= MOST:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session] = None
        self._write()

    def done(self, session: SessionId) -> None:
        """It has heard the end, or will not."""
        if session in self._sessions:
            del self._sessions[session]
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            draft.write_text("".join(f"{each}\n" for each in self._sessions), "ascii")
            draft.replace(self._path)
        except OSError as error:
            log.error("%s: cannot be written: %s", self._path, error.strerror)


def _read(path: Path) -> list[SessionId]:
    try:
        lines = path.read_text("ascii").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        log.error("%s: cannot be read; products that are owed a logout from before may not hear it", path)
        return []
    return [SessionId(each) for each in lines if _NAME.fullmatch(each)][-MOST:]
