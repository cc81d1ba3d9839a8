"""Accounts of this machine that are somebody at the local door: their numbers, and the group by which they reach it."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from typing import Final

from authd.service.bus.house import Peer
from authd.service.bus.peers import UNKNOWN_UID, Directory
from authd.service.config import Config, ConfigError

PASSABLE: Final = 0o710
"""Of the run folder: whoever knows a socket's name may reach it, and nobody reads which there are."""


def admins() -> frozenset[int]:
    """Return the uids of the daemon's own account and of root."""
    return frozenset({0, os.geteuid()})


def find(config: Config) -> Mapping[str, int]:
    """Return the uid of every account that the configuration names. Raises `ConfigError`: one line, what to do."""
    named = [seat.account for seat in config.seats.values() if seat.account]
    named += [name for application in config.applications.values() for name in application.accounts]
    found: dict[str, int] = {}
    for name in dict.fromkeys(named):
        uid = _uid(config, name)
        if uid in admins() or uid == UNKNOWN_UID or uid in found.values():
            why = "root's, the daemon's, nobody's or another's too: an account of its own is expected"
            raise ConfigError(f"{config.file}: account {name!r} has uid {uid}, which is {why}")
        found[name] = uid
    return found


def group(config: Config) -> int | None:
    """Return the number of the door's group. Raises `ConfigError`."""
    if not config.door_group:
        return None
    try:
        return grp.getgrnam(config.door_group).gr_gid
    except KeyError:
        how = "make it (groupadd --system), or take it out of [door]"
        raise ConfigError(f"{config.file}: there is no group {config.door_group!r} on this machine: {how}") from None


def admit(config: Config, directory: Directory, seats: Mapping[str, Peer], applications: Mapping[str, Peer]) -> None:
    """Let the configured accounts be the screens and the applications that they stand for. Raises `ConfigError`."""
    uids = find(config)
    for seat in config.seats.values():
        if seat.account:
            directory.admit(uids[seat.account], seats[seat.id])
    for application in config.applications.values():
        for name in dict.fromkeys(application.accounts):
            directory.admit(uids[name], applications[application.name])


def open_folder(config: Config) -> None:
    """Let members of the door's group pass through the run folder. Raises `ConfigError`."""
    gid = group(config)
    if gid is None:
        return
    try:
        os.chown(config.run, -1, gid)
        config.run.chmod(PASSABLE)
    except OSError as error:
        how = f"its own folder and membership of {config.door_group!r} are expected"
        raise ConfigError(f"{config.run}: cannot be given to the door's group, {how}: {error.strerror}") from error


def _uid(config: Config, name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        how = "make it (adduser --system), or take it out"
        raise ConfigError(f"{config.file}: there is no account {name!r} on this machine: {how}") from None
