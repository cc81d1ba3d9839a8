"""The terminal broker begun where another one was killed, and an emulator that is somebody else's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from authd.broker.secret import Secret
from authd.broker.terminal.broker import Terminal
from authd.broker.vault import Vault
from authd.client import Person
from authd.client.tables import BadSettings
from tests.broker.clients import SATO, Authd
from tests.broker.terminal.emulators import OK, scripted, shows
from tests.broker.terminal.test_emulator import TERMS


@asynccontextmanager
async def running(folder: Path, port: int, there: Person | None, **more: object) -> AsyncGenerator[Terminal, None]:
    vault = Vault.create(folder / "vault")
    vault.put("host/staff_1042", Secret("PASS1042"))
    terms = msgspec.structs.replace(TERMS, port=port, **more)
    terminal = Terminal("counter-1", terms, Authd(there).client, vault)
    serving = asyncio.create_task(terminal.run())
    try:
        yield terminal
    finally:
        serving.cancel()
        await asyncio.wait([serving])


class Emulated:
    """An emulator that signs whoever types on, and tells what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.news = asyncio.Event()

    def __call__(self, action: str) -> bytes:
        self.said.append(action)
        self.news.set()
        if action == "Ascii1()":
            return shows("MAIN MENU" if "Enter()" in self.said else "SIGN ON")
        return OK

    async def told(self, word: str) -> None:
        async with asyncio.timeout(30):
            while not any(word in each for each in self.said):
                self.news.clear()
                await self.news.wait()


async def test_what_a_killed_broker_left_signed_on_is_signed_off_before_anything_else(tmp_path: Path) -> None:
    emulated = Emulated()
    async with scripted(emulated) as port, running(tmp_path, port, None):
        await emulated.told("Quit()")
    assert emulated.said[:3] == ["PF(3)", "Disconnect()", "Quit()"]


@pytest.mark.parametrize("more", [{"command": ("sleep", "60")}, {"account": "root"}])
async def test_nothing_is_typed_into_an_emulator_of_another_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, more: dict[str, object]
) -> None:
    def another(transport: asyncio.BaseTransport) -> int:
        return 65_534

    monkeypatch.setattr("authd.broker.terminal.emulator.peer.uid", another)
    emulated = Emulated()
    async with scripted(emulated) as port, running(tmp_path, port, SATO, **more):
        await emulated.told("Connect(")
        async with asyncio.timeout(30):
            while "another account" not in caplog.text:  # noqa: ASYNC110 - a log, which tells nobody
                await asyncio.sleep(0.01)
    assert not any("String" in each for each in emulated.said)


async def test_its_own_account_s_emulator_is_signed_on(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "the account that is named here is root (CI is)"
    emulated = Emulated()
    async with scripted(emulated) as port, running(tmp_path, port, replace(SATO), account="root") as terminal:
        await emulated.told("Enter()")
        async with asyncio.timeout(30):
            while terminal.signed_on is None:
                await terminal.changed.wait()


def test_an_account_that_is_not_there_is_told(tmp_path: Path) -> None:
    terms = msgspec.structs.replace(TERMS, account="no-such-account")
    with pytest.raises(BadSettings, match="no-such-account"):
        Terminal("counter-1", terms, Authd().client, Vault.create(tmp_path / "vault"))
