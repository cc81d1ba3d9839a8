"""Accounts of the machine at the local door: each is one peer, or the daemon does not begin."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from authd.service import accounts
from authd.service.bus.house import Peer, Role
from authd.service.bus.peers import ADMIN, UNKNOWN_UID, Directory
from authd.service.config import Config, ConfigError, load

TOML = """\
[host]
run = "run"
[seat.one]
account = "till"
applications = ["db"]
[application.db]
url = "http://a/"
accounts = ["postgres", "pgbouncer"]
[door]
group = "door"
"""
UIDS = {"till": 4_001, "postgres": 4_002, "pgbouncer": 4_003}
OURS = os.getgid()


def _account(name: str) -> SimpleNamespace:
    return SimpleNamespace(pw_uid=UIDS[name])


def _group(name: str) -> SimpleNamespace:
    return SimpleNamespace(gr_gid={"door": OURS}[name])


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(pwd, "getpwnam", _account)
    monkeypatch.setattr(grp, "getgrnam", _group)
    (tmp_path / "authd.toml").write_text(TOML)
    (tmp_path / "run").mkdir(mode=0o700)
    return load(tmp_path / "authd.toml")


def test_an_account_that_is_named_twice_is_one(config: Config) -> None:
    twice = replace(config.applications["db"], accounts=("postgres", "postgres"))
    config = replace(config, applications={"db": twice})
    directory, database = Directory(accounts.admins()), Peer(Role.APPLICATION, "db")
    accounts.admit(config, directory, {"one": Peer(Role.SCREEN, "screen:one")}, {"db": database})
    assert directory.of_uid(UIDS["postgres"]) is database


def test_each_account_is_whom_the_configuration_says(config: Config) -> None:
    directory = Directory(accounts.admins())
    seat, database = Peer(Role.SCREEN, "screen:one"), Peer(Role.APPLICATION, "db")
    accounts.admit(config, directory, {"one": seat}, {"db": database})
    assert [directory.of_uid(uid) for uid in UIDS.values()] == [seat, database, database]
    assert directory.of_uid(4_004) is None
    assert directory.of_uid(os.geteuid()) is ADMIN


@pytest.mark.parametrize("uid", [0, os.geteuid(), UNKNOWN_UID, UIDS["till"]])
def test_an_account_that_is_somebody_already_is_refused(
    config: Config, uid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UIDS, "postgres", uid)
    with pytest.raises(ConfigError, match="account 'postgres' has uid"):
        accounts.find(config)


def test_an_account_or_a_group_that_is_not_there_is_one_line_that_says_what_to_do(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(UIDS, "postgres")
    with pytest.raises(ConfigError, match="no account 'postgres' on this machine: make it"):
        accounts.find(config)
    monkeypatch.setattr(grp, "getgrnam", _account)
    with pytest.raises(ConfigError, match="no group 'door' on this machine: make it"):
        accounts.group(config)


def test_members_of_the_group_may_pass_through_the_run_folder_and_nobody_may_list_it(config: Config) -> None:
    accounts.open_folder(config)
    assert stat.S_IMODE(config.run.stat().st_mode) == 0o710
    assert config.run.stat().st_gid == OURS


def test_a_run_folder_of_somebody_elses_is_refused(config: Config) -> None:
    config.run.rmdir()
    with pytest.raises(ConfigError, match="cannot be given to the door's group"):
        accounts.open_folder(config)
