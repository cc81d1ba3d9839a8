"""The web process as the core starts it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest

from tests.service.bus.conftest import folder, host, served
from tests.service.bus.fakes import ONE, SATO, World
from tests.web.process import started
from tests.web.test_bus import settings

__all__ = ["folder", "host", "served"]

pytestmark = pytest.mark.real
PATIENCE_S = 60.0
FORBIDDEN = ("apsw", "cedarpy", "numpy", "cv2", "fido2", "smartcard", "cryptography", "authd.service")


def told(host: World, folder: Path) -> bytes:
    return msgspec.json.encode(settings(host, folder)) + b"\n"


async def lines(address: str, path: str) -> AsyncGenerator[str, None]:
    name, port = address.split(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n".encode())
    try:
        while line := await reader.readline():
            yield line.decode().strip()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_face_goes_all_the_way(served: World, folder: Path) -> None:
    with started(told(served, folder)) as web:
        address = (await asyncio.to_thread(web.answer))["address"]
        seen = lines(address, f"/seat/{ONE}/stream")
        async with asyncio.timeout(PATIENCE_S):
            async for line in seen:
                if line == "event: hello":
                    served.house.open(ONE, SATO)
                if '"state": "active"' in line:
                    break
        await seen.aclose()


async def test_it_ends_with_the_core(host: World, folder: Path) -> None:
    with started(told(host, folder)) as web:
        assert (await asyncio.to_thread(web.answer))["ready"]
        web.channel.close()
        assert await asyncio.to_thread(web.process.wait, PATIENCE_S) == 0


async def test_it_serves_the_cover_without_a_core(host: World, folder: Path) -> None:
    with started(told(host, folder)) as web:
        address = (await asyncio.to_thread(web.answer))["address"]
        page = [line async for line in lines(address, f"/seat/{ONE}") if "</html>" not in line and line]
        assert page[0] == "HTTP/1.1 200 OK"
        async with asyncio.timeout(PATIENCE_S):
            seen = lines(address, f"/seat/{ONE}/stream")
            async for line in seen:
                if line == "event: gone":
                    break
        await seen.aclose()


@pytest.mark.parametrize("raw", [b"{\n", b"[]\n", b'{"listen": "x"}\n'])
def test_bad_settings_are_said_and_end_with_two(raw: bytes) -> None:
    with started(raw) as web:
        answer = web.answer()
        assert answer["ready"] is False
        assert answer["error"]
        assert web.process.wait(PATIENCE_S) == 2


async def test_an_address_in_use_is_said_and_ends_with_one(host: World, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        raw = json.loads(told(host, folder)) | {"listen": f"127.0.0.1:{other.getsockname()[1]}"}
        with started(json.dumps(raw).encode() + b"\n") as web:
            assert web.answer()["ready"] is False
            assert web.process.wait(PATIENCE_S) == 1


def test_nothing_that_holds_secrets_or_parses_images_is_loaded() -> None:
    code = "import sys, authd.web.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    names = loaded.split()
    assert [name for name in names if name.startswith(FORBIDDEN)] == []
