"""Where the agent finds what it needs: its seat, the door, its key, a folder for the moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authd.client import Client, connect
from authd.client.tables import BadSettings
from authd.locale import LANGUAGES

DOOR: Final = "unix:/run/authd-seat/door.sock"
"""The local door: the account of the desktop is the seat's screen there (`account` of the seat in authd.toml)."""
PREFIX: Final = "AUTHD_AGENT_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one desktop. `key` and `server_key`: files, where the door is the router instead of the local socket."""

    seat: str
    door: str = DOOR
    key: str = ""
    server_key: str = ""
    language: str = ""
    """`ja` or `en`; empty: both."""
    alone: bool = True
    """No agent has started this process: whatever locks the screen ends the session too."""
    run: str = ""
    """Folder for what lives as long as the agent; empty: below `$XDG_RUNTIME_DIR`."""

    @property
    def languages(self) -> tuple[str, ...]:
        """What the locked screen speaks, the large one first."""
        return (self.language,) if self.language else LANGUAGES

    def client(self) -> Client:
        """Return a client of the door, to be used with `async with`. Raises `BadSettings`."""
        key, server_key = Path(self.key) if self.key else None, Path(self.server_key) if self.server_key else None
        try:
            return connect(self.door, key=key, server_key=server_key)
        except (ValueError, OSError, IndexError) as error:
            raise BadSettings(f"the door {self.door} cannot be used: {error}") from None

    def folder(self) -> Path:
        """Return the agent's folder, made and for this account only. Raises `BadSettings`."""
        base = self.run or os.environ.get("XDG_RUNTIME_DIR", "")
        if not base:
            raise BadSettings("XDG_RUNTIME_DIR is not set; say --run FOLDER, one that only this account can write")
        folder = Path(base) if self.run else Path(base) / f"authd-agent-{self.seat}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise BadSettings(f"{folder}: {error.strerror}") from None
        if folder.stat().st_uid != os.geteuid():
            raise BadSettings(f"{folder} belongs to another account")
        if folder.stat().st_mode & 0o022:  # the locker starts a script that lies there
            raise BadSettings(f"other accounts can write in {folder}; say: chmod 700 {folder}")
        return folder

    def environment(self) -> Mapping[str, str]:
        """What the locked screen's own process is told: paths and names, no secret."""
        told = {"BESIDE": "agent", "SEAT": self.seat, "DOOR": self.door, "KEY": self.key, "SERVER_KEY": self.server_key}
        return {PREFIX + name: value for name, value in {**told, "LANGUAGE": self.language}.items()}


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read what `environment` wrote. Raises `BadSettings`."""
    names = ("SEAT", "DOOR", "KEY", "SERVER_KEY", "LANGUAGE")
    seat, door, key, server_key, language = (environment.get(PREFIX + name, "") for name in names)
    if not seat:
        raise BadSettings(f"{PREFIX}SEAT is not set: it names the seat, such as counter-1")
    if language and language not in LANGUAGES:
        raise BadSettings(f"{PREFIX}LANGUAGE must be one of {', '.join(LANGUAGES)}, got {language!r}")
    alone = not environment.get(PREFIX + "BESIDE")
    return Settings(seat, door or DOOR, key, server_key, language, alone)
