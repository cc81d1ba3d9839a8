"""The web process parses HTTP: nothing that it says on its channel may hurt the core."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from authd.service import screen
from authd.service.config import load
from authd.service.keys import CurvePair
from authd.service.screen import Screen, settings
from authd.web.settings import read_settings

READY = b'{"ready": true, "address": "127.0.0.1:8780"}\n'


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "TICK_S", 0.02)
    monkeypatch.setattr(screen, "REST_S", 0.001)
    monkeypatch.setattr(screen, "READY_WITHIN_S", 0.2)


@pytest.fixture
def web() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The core's end of the channel, and the web's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


async def said(web: tuple[socket.socket, socket.socket], answer: bytes, *, ends: bool = True) -> Screen:
    """Serve a web process that answers this and, if it `ends`, closes its end."""
    ours, theirs = web
    theirs.sendall(answer)
    if ends:
        theirs.shutdown(socket.SHUT_WR)
    found = Screen({"listen": "127.0.0.1:8780"})
    async with asyncio.timeout(60):
        await found._serve(ours)  # pyright: ignore[reportPrivateUsage] - without a process of its own
    return found


async def test_it_is_told_one_line_of_settings(web: tuple[socket.socket, socket.socket]) -> None:
    await said(web, READY)
    told = web[1].recv(4_096)
    assert told.endswith(b"\n")
    assert json.loads(told) == {"listen": "127.0.0.1:8780"}


async def test_it_is_ready_when_it_says_so(web: tuple[socket.socket, socket.socket]) -> None:
    assert (await said(web, READY + b"\n\n")).ready.is_set()


NONSENSE = {
    "nothing": b"",
    "half a line": b'{"ready"',
    "no object": b"1\n",
    "a list": b"[]\n",
    "null": b"null\n",
    "a word for yes": b'{"ready": "yes"}\n',
    "a no": b'{"ready": false, "error": "the port is taken"}\n',
    "no UTF-8": b"\xff\xfe\n",
    "nested too deeply": b"[" * 4_000 + b"\n",
    "a line without end": b"x" * 10_000,
}


@pytest.mark.parametrize("what", NONSENSE)
async def test_an_answer_that_is_no_yes_is_a_no(
    what: str, web: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    found = await said(web, NONSENSE[what])
    assert not found.ready.is_set()
    assert "the seat screen cannot be shown" in caplog.text


async def test_one_that_never_answers_is_given_up(
    web: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    assert not (await said(web, b"", ends=False)).ready.is_set()
    assert "it does not answer" in caplog.text


async def test_one_that_does_not_beat_hangs(
    web: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    await said(web, READY, ends=False)
    assert "hangs; another one follows" in caplog.text


async def test_one_that_ends_is_seen(
    web: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    await said(web, READY)
    assert "has ended; another one follows" in caplog.text


async def test_one_that_floods_the_core_takes_no_turn_from_the_seats(
    web: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = web
    theirs.sendall(READY)
    serving = asyncio.get_running_loop().create_task(Screen({})._serve(ours))  # pyright: ignore[reportPrivateUsage] - as above
    turns = 0
    for _ in range(200):
        with suppress(BlockingIOError):
            theirs.send(b"\n" * 65_536)
        await asyncio.sleep(0)
        turns += 1
    assert (turns, serving.done()) == (200, False)
    serving.cancel()
    await asyncio.wait({serving})


async def test_reading_a_flood_is_no_way_to_keep_the_loop(
    web: tuple[socket.socket, socket.socket], mocker: Any
) -> None:
    """Every read returns at once: without a rest between two of them, nothing else would ever run."""
    reads = mocker.patch.object(asyncio.get_running_loop(), "sock_recv", side_effect=_at_once)
    found = Screen({})
    serving = asyncio.get_running_loop().create_task(found._gone(web[0]))  # pyright: ignore[reportPrivateUsage] - as above
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert reads.call_count == 1
    serving.cancel()
    await asyncio.wait({serving})


async def _at_once(channel: object, size: int) -> bytes:
    return b"\n"


def test_the_settings_are_what_the_web_process_reads(tmp_path: Path) -> None:
    (tmp_path / "authd.toml").write_text(
        '[seat.counter-1]\nname_ja = "窓口1"\napplications = ["resident", "db"]\n[application.db]\n'
        '[application.resident]\nurl = "http://127.0.0.1:8790/"\n'
        '[section.resident]\nname_ja = "市民課"\n[web]\nlisten = "127.0.0.1:8780"\n',
        encoding="utf-8",
    )
    config = load(tmp_path / "authd.toml")
    told = settings(config, CurvePair("p" * 40, "s" * 40), lambda name: Path("/keys") / f"{name}.key")
    read = read_settings(json.dumps(told).encode())
    assert read.address == ("127.0.0.1", 8780)
    seat = read.seat("counter-1")
    assert seat is not None
    assert (seat.name_ja, seat.key_file) == ("窓口1", "/keys/seat-counter-1.key")
    assert [each.id for each in read.applications] == list(seat.applications) == ["resident"], "db is no page"
    assert read.sections["resident"]["ja"] == "市民課"
    assert "s" * 40 not in json.dumps(told), "the router's secret"
