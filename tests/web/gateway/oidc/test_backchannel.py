"""A client hears of each end, though the gateway itself was ended in between."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from authd.client import DoorError
from authd.client.link import Gone
from authd.core.model import SessionId
from authd.web.gateway.oidc import backchannel
from authd.web.gateway.oidc.backchannel import BackChannel
from authd.web.gateway.oidc.clients import Client, Table
from authd.web.gateway.oidc.owed import MOST, Owed
from authd.web.gateway.post import Answered

ONE, TWO = SessionId("ses_1"), SessionId("ses_2")
TABLE = Table("https://x/", ["https://x/"], backchannel_logout_uri="https://x/backchannel")


class Door:
    """authd: says each answer once, then that the session is over."""

    def __init__(self, *answers: Exception) -> None:
        self.answers = list(answers)
        self.client = self

    async def logout_token(self, session: str) -> str:
        if self.answers:
            raise self.answers.pop(0)
        return f"over.{session}"


class Poster:
    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.posted: list[bytes] = []

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answered | None:
        self.posted.append(body)
        return Answered(self.statuses.pop(0) if self.statuses else 200, b"")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backchannel, "AGAIN_S", (0.0, 0.0))
    monkeypatch.setattr(backchannel, "LOOK_EVERY_S", 0.0)


async def started(door: Any, poster: Any, path: Path) -> Client:
    """A gateway that starts with what one before it wrote, until it has done all that it can."""
    client = Client("portal", TABLE, door, Owed(path))
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:

        def spawn(work: Coroutine[None, None, None]) -> None:
            group.create_task(work)

        back = BackChannel(poster, spawn)
        for session in client.owed.sessions:
            spawn(back.carried(client, session))
    return client


async def test_what_was_owed_before_a_restart_is_told_after_it(tmp_path: Path) -> None:
    """Though the session ended while there was no gateway, or ends later, and authd comes back after it."""
    path = tmp_path / "portal.sessions"
    Owed(path).add(ONE)
    poster = Poster(503)
    client = await started(Door(Gone("away"), DoorError("refused"), DoorError("refused")), poster, path)
    assert poster.posted == [b"logout_token=over.ses_1"] * 2
    assert client.owed.sessions == Owed(path).sessions == ()


async def test_a_session_that_authd_does_not_know_is_owed_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "portal.sessions"
    Owed(path).add(ONE)
    poster = Poster()
    await started(Door(DoorError("not_found"), DoorError("not_found")), poster, path)
    assert poster.posted == []
    assert Owed(path).sessions == ()


def test_what_is_owed_is_kept_in_order_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "portal.sessions"
    owed = Owed(path)
    for each in (ONE, TWO, ONE):
        owed.add(each)
    assert Owed(path).sessions == (ONE, TWO)
    owed.done(ONE)
    assert Owed(path).sessions == (TWO,)
    for number in range(MOST):
        owed.add(SessionId(f"ses_{number + 10}"))
    assert len(Owed(path).sessions) == MOST
    assert TWO not in owed.sessions


@pytest.mark.parametrize("content", [b"\xff\n", b"../../etc\n\x00\n", b"x" * 500])
def test_what_is_none_is_left_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "portal.sessions"
    path.write_bytes(content)
    assert Owed(path).sessions == ()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    owed = Owed(tmp_path / "none" / "portal.sessions")
    owed.add(ONE)
    assert "cannot be written" in caplog.text
    assert owed.sessions == (ONE,)
