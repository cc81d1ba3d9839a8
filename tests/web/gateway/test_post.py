"""Posting to others: bounded in time and in what is read, and never somewhere else than where it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from authd.web.gateway import post
from authd.web.gateway.post import LONGEST_ANSWER, Answered, Poster

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def serving(answer: bytes, *, stay: bool = False) -> AsyncGenerator[tuple[str, list[bytes]], None]:
    heard: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(4))
        writer.write(answer)
        if stay:
            await ended.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a?b=c", heard
    finally:
        ended.set()
        server.close()


async def test_what_is_sent_and_what_comes_back() -> None:
    async with serving(b"HTTP/1.1 202 Taken\r\ncontent-length: 2\r\n\r\nok") as (url, heard):
        assert await Poster().post(url, b"body", {"content-type": "x/y"}) == Answered(202, b"ok")
    (said,) = heard
    assert said.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert said.endswith(b"\r\n\r\nbody")
    assert b"content-type: x/y\r\n" in said


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"])
async def test_what_cannot_be_read_is_no_answer(answer: bytes) -> None:
    async with serving(answer) as (url, _):
        assert await Poster().post(url, b"body", {}) is None


async def test_a_redirect_is_not_followed() -> None:
    async with serving(b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n") as (
        url,
        heard,
    ):
        answer = await Poster().post(url, b"body", {})
    assert answer == Answered(307, b"")
    assert len(heard) == 1


async def test_an_answer_without_end_is_cut() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (3 * LONGEST_ANSWER)
    async with serving(endless, stay=True) as (url, _):
        answer = await Poster().post(url, b"body", {})
    assert answer is not None
    assert len(answer.body) == LONGEST_ANSWER


async def test_silence_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "WITHIN_S", 0.05)
    async with serving(b"", stay=True) as (url, _):
        assert await Poster().post(url, b"body", {}) is None


async def test_nobody_there_is_no_answer() -> None:
    assert await Poster().post("http://127.0.0.1:1/", b"body", {}) is None


@pytest.mark.parametrize("url", ["http://city..example/", f"http://{'a' * 64}.example/", "http://127.0.0.1:99999/"])
async def test_an_address_that_is_none_is_no_answer(url: str) -> None:
    """What goes wrong here must not end the gateway."""
    assert await Poster().post(url, b"body", {}) is None


async def test_one_that_is_silent_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "WITHIN_S", 60.0)
    poster = Poster()
    async with (
        serving(b"", stay=True) as (silent, heard),
        serving(b"HTTP/1.1 202 Taken\r\ncontent-length: 0\r\n\r\n") as (url, _),
        asyncio.timeout(30),
        asyncio.TaskGroup() as group,
    ):
        waiting = [group.create_task(poster.post(silent, b"body", {})) for _ in range(2 * post.AT_ONCE)]
        while len(heard) < post.AT_ONCE:  # noqa: ASYNC110 - a list is what the server has heard
            await asyncio.sleep(0.001)
        assert await poster.post(url, b"body", {}) == Answered(202, b"")
        assert len(heard) == post.AT_ONCE
        for each in waiting:
            each.cancel()
