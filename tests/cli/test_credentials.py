"""`authd credentials` through a real door, to the real part of the ledger, with an old web application behind it."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authd.broker.vault import Vault
from authd.core.model import Kind
from authd.service.evidence.credentials import Credentials
from authd.service.keys import Keys
from tests.broker.forms.old_web import TABLE, OldWeb, serving
from tests.cli.conftest import Authd, Said
from tests.service.bus.fakes import world
from tests.service.evidence.carryout.desk import Desk, town_hall

KNOWN = "everybody-knows-it"


@dataclass
class Office:
    """A door, a vault, an old application."""

    authd: Authd
    desk: Desk
    folder: Path
    web: OldWeb
    monkeypatch: pytest.MonkeyPatch

    @property
    def vault(self) -> Vault:
        return Vault.open(self.folder / "vault")

    async def credentials(self, *words: object, typed: str = "") -> Said:
        self.monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return await self.authd("credentials", *words, "--broker", self.folder / "broker.toml")


@pytest.fixture
def web() -> Generator[OldWeb]:
    with serving({"operator": KNOWN}) as made:
        yield made


@pytest.fixture
async def office(
    folder: Path, tmp_path: Path, authd: Authd, web: OldWeb, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Office]:
    tables = {
        "vault": {"folder": "vault"},
        "system.tax": {**TABLE, "origin": web.origin},
        "system.host": {"rotator": "none"},
    }
    text = "\n".join(as_toml(name, table) for name, table in tables.items())
    (folder / "broker.toml").write_text(text, encoding="utf-8")
    async with town_hall(tmp_path) as desk:
        door = world(folder, frozenset({os.geteuid()}))
        evidence: Any = SimpleNamespace(credentials=Credentials(desk.ground))
        door.house.evidence = evidence
        Keys(folder / "state").create()
        async with door.serving():
            yield Office(authd, desk, folder, web, monkeypatch)


def as_toml(name: str, table: dict[str, Any]) -> str:
    """Write a table as it stands in a file. JSON is TOML, but for the tables."""
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items())
    return "\n".join([f"[{name}]", *(re.sub(r'"(\w+)": ', r"\1 = ", line) for line in lines)])


async def test_the_remembered_password_stops_working_the_day_it_is_handed_over(office: Office) -> None:
    done = await office.credentials("seal", "tax/operator", typed=f"{KNOWN}\n")
    assert done.code == 0, done.err
    assert "nobody knows" in done.out
    assert office.web.people["operator"] == office.vault.get("tax/operator").reveal() != KNOWN
    assert KNOWN not in done.out + done.err
    assert office.web.people["operator"] not in done.out + done.err
    (sealed,) = await office.desk.rows(Kind.CREDENTIAL_SEALED)
    (rotated,) = await office.desk.rows(Kind.CREDENTIAL_ROTATED)
    assert sealed.seq < rotated.seq
    assert rotated.entry.data["digest"] == office.vault.about("tax/operator").digest
    assert (await office.credentials("check")).code == 0


async def test_a_typo_is_not_sealed(office: Office) -> None:
    done = await office.credentials("seal", "tax/operator", typed="typo\n")
    assert done.code == 1
    assert "type it again" in done.err
    assert office.vault.names() == []
    assert not await office.desk.rows(Kind.CREDENTIAL_SEALED)


async def test_what_is_kept_is_told_of_until_it_is_rotated(office: Office) -> None:
    assert (await office.credentials("seal", "tax/operator", "--keep", typed=f"{KNOWN}\n")).code == 0
    done = await office.credentials("check", "--json")
    assert (done.code, json.loads(done.out)["state"]) == (1, "known")
    assert "nothing" not in (await office.credentials("rotate", "--older-than", 30)).err
    assert office.web.people["operator"] == KNOWN
    assert (await office.credentials("rotate", "--older-than", 0)).code == 0
    assert office.web.people["operator"] != KNOWN
    listed = await office.credentials("list", "--json")
    assert json.loads(listed.out)["state"] == "ok"


async def test_a_system_that_cannot_be_asked_is_sealed_and_said(office: Office) -> None:
    done = await office.credentials("seal", "host/OPER1", typed="SECRET12\n")
    assert (done.code, "no way to replace" in done.out) == (0, True)
    done = await office.credentials("rotate", "host/OPER1")
    assert (done.code, "no way to replace" in done.err) == (1, True)


async def test_one_that_fails_keeps_no_other_from_being_replaced(office: Office) -> None:
    office.web.people["second"] = "b"
    for name, password in (("operator", KNOWN), ("second", "b")):
        await office.credentials("seal", f"tax/{name}", "--keep", typed=f"{password}\n")
    office.web.people["operator"] = "changed elsewhere"
    done = await office.credentials("rotate", "tax/operator", "tax/second")
    assert done.code == 1
    assert "tax/second: replaced" in done.out
    assert office.web.people["second"] != "b"


async def test_without_the_daemon_nothing_is_replaced(office: Office, folder: Path) -> None:
    await office.credentials("seal", "tax/operator", "--keep", typed=f"{KNOWN}\n")
    (folder / "authd.toml").write_text('[host]\nstate = "state"\nrun = "nowhere"\n[seat.counter-1]\n')
    done = await office.credentials("rotate", "tax/operator")
    assert done.code == 3
    assert office.web.people["operator"] == KNOWN


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("seal", "../etc"), "system/account"),
        (("seal", "unknown/x"), "system.unknown: missing"),
        (("rotate",), "--older-than"),
        (("rotate", "tax/nobody"), "authd credentials seal tax/nobody"),
    ],
)
async def test_what_cannot_be_meant_is_said_in_one_line(office: Office, words: tuple[str, ...], told: str) -> None:
    Vault.create(office.folder / "vault")
    done = await office.credentials(*words, typed="x\n")
    assert done.code in (1, 2)
    assert told in done.err
    assert done.err.count("\n") == 1


async def test_what_was_lost_is_sealed_again_above_what_the_ledger_knows(office: Office) -> None:
    for _ in range(2):
        await office.credentials("seal", "host/OPER1", typed="SECRET12\n")
    office.vault.remove("host/OPER1")
    done = await office.credentials("seal", "host/OPER1", typed="SECRET34\n")
    assert done.code == 0, done.err
    assert len(await office.desk.rows(Kind.CREDENTIAL_SEALED)) == 3
    done = await office.credentials("check", "--json")
    assert json.loads(done.out)["state"] == "known"


async def test_a_damaged_one_keeps_no_other_from_being_replaced_or_listed(office: Office) -> None:
    await office.credentials("seal", "tax/operator", "--keep", typed=f"{KNOWN}\n")
    (office.vault.folder / "host+OPER1.sealed").write_bytes(b"rubbish")
    (office.vault.folder / "host+OPER1.sealed").chmod(0o600)
    done = await office.credentials("rotate", "--older-than", 0)
    assert (done.code, "tax/operator: replaced" in done.out, "host/OPER1" in done.err) == (1, True, True)
    done = await office.credentials("list")
    assert (done.code, "tax/operator" in done.out, "host/OPER1" in done.err) == (1, True, True)
