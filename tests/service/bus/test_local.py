from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from authd.client import connect
from authd.service.bus import local
from authd.service.bus.local import Local, SocketTaken
from authd.service.bus.peers import screen
from tests.service.bus.fakes import ONE, TWO, World, world
from tests.service.bus.raw import RawLocal

PING = b'{"id":1,"verb":"ping"}\n'


async def test_the_daemons_own_account_is_the_admin(served: World) -> None:
    async with RawLocal(served) as raw:
        answer = await raw.ask(id=1, verb="ping")
        assert answer is not None
        assert (answer["ok"], answer["audience"], answer["host"]) == (True, "admin", "host-1")


async def test_the_socket_lets_nobody_else_in(served: World) -> None:
    mode = (served.folder / "door.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("uid", [1, 1_000, 65_534, 2**31 - 1, 2**31])
async def test_another_account_is_refused_by_the_kernels_word(served: World, uid: int) -> None:
    _open_to_all(served)
    said = await asyncio.to_thread(_ask_as, uid, served.folder / "door.sock")
    assert '"not_permitted"' in said
    assert served.tally.unauthenticated == 1
    assert served.tally.requests == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_only_listed_uids_are_admins(folder: Path) -> None:
    host = world(folder, frozenset({2**31}))
    async with host.serving():
        _open_to_all(host)
        said = await asyncio.to_thread(_ask_as, 2**31, folder / "door.sock")
        assert '"audience":"admin"' in said
        async with RawLocal(host) as raw:
            answer = await raw.next()  # told before it has said anything
            assert answer is not None
            assert answer["error"] == "not_permitted"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_an_account_of_the_doors_group_is_the_peer_it_was_admitted_as(folder: Path) -> None:
    host = world(folder, frozenset({0}))
    host.directory.admit(4_001, screen(ONE))
    _open_to_all(host)  # the folder, for there is no socket yet
    async with _door(host, group=4_001) as path:
        assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (4_001, 0o660)
        assert '"audience":"screen:counter-1"' in await asyncio.to_thread(_ask_as, 4_001, path)
        _open_to_all(host)
        assert '"not_permitted"' in await asyncio.to_thread(_ask_as, 4_002, path)


async def test_one_account_leaves_room_for_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MOST_OF_ONE", 2)
    callers = [4_001] * 3 + [0]
    monkeypatch.setattr(local, "peer", lambda _: (1, callers.pop(0)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - of any connection
    host = world(folder, frozenset({0}))
    host.directory.admit(4_001, screen(ONE))
    async with host.serving(), RawLocal(host) as first, RawLocal(host) as second:
        assert (await first.ask(id=1, verb="ping")) is not None
        assert (await second.ask(id=1, verb="ping")) is not None
        async with RawLocal(host) as third:
            answer = await third.next()
            assert answer is not None
            assert answer["error"] == "busy"
        async with RawLocal(host) as admin:
            answer = await admin.ask(id=1, verb="ping")
            assert answer is not None
            assert answer["audience"] == "admin"


async def test_all_accounts_together_leave_room_for_an_administrator(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MOST_CONNECTIONS", local.KEPT + 1)
    callers = [4_001, 4_002, 0]
    monkeypatch.setattr(local, "peer", lambda _: (1, callers.pop(0)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - of any connection
    host = world(folder, frozenset({0}))
    host.directory.admit(4_001, screen(ONE))
    host.directory.admit(4_002, screen(TWO))
    async with host.serving(), RawLocal(host) as first:
        assert (await first.ask(id=1, verb="ping")) is not None
        async with RawLocal(host) as second:
            answer = await second.next()
            assert answer is not None
            assert answer["error"] == "busy"
        async with RawLocal(host) as admin:
            answer = await admin.ask(id=1, verb="ping")
            assert answer is not None
            assert answer["audience"] == "admin"


async def test_a_line_that_is_too_long_ends_the_connection_and_no_other(served: World) -> None:
    async with RawLocal(served) as good, RawLocal(served) as bad:
        bad.send(b"x" * 200_000)
        answer = await bad.next()
        assert answer is not None
        assert answer["error"] == "bad_request"
        assert await _ended(bad)
        assert served.tally.oversized == 1
        assert (await good.ask(id=1, verb="ping")) is not None


async def test_half_a_line_is_no_request(served: World) -> None:
    async with RawLocal(served) as raw:
        raw.send(b'{"id":1,"verb":"stop"}')
        raw.writer.write_eof()
        assert await raw.next() is None
    assert served.house.calls == []


async def test_requests_may_come_in_one_piece_or_in_many(served: World) -> None:
    async with RawLocal(served) as raw:
        raw.send(PING * 3 + b'{"id":2,')
        for _ in range(3):
            await raw.next()
        raw.send(b'"verb":"ping"}\n')
        answer = await raw.next()
        assert answer is not None
        assert answer["id"] == 2


async def test_a_silent_connection_gives_way_to_a_new_one(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MOST_CONNECTIONS", 3)
    async with RawLocal(served) as talking:
        await talking.ask(id=1, verb="ping")
        silent = [await RawLocal(served).__aenter__() for _ in range(5)]
        assert await asyncio.gather(*(_ended(each) for each in silent[:3])) == [True] * 3
        assert await talking.ask(id=2, verb="ping") is not None
        for each in silent:
            each.writer.transport.abort()


async def test_connections_are_bounded_when_all_of_them_speak(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MOST_CONNECTIONS", 1)
    async with RawLocal(served) as first:
        await first.ask(id=1, verb="ping")
        async with RawLocal(served) as second:
            answer = await second.next()
            assert answer is not None
            assert answer["error"] == "busy"
    assert served.tally.busy == 1


async def test_a_connection_that_never_speaks_is_closed(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "FIRST_WORD_S", 0.05)
    async with RawLocal(served) as raw:
        assert await _ended(raw)


async def test_a_door_without_descriptors_waits_for_one(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_descriptor(_: socket.socket) -> None:
        monkeypatch.undo()
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(socket.socket, "accept", no_descriptor)
    async with RawLocal(served) as raw:
        assert await raw.ask(id=1, verb="ping") is not None


async def test_a_second_daemon_does_not_take_the_socket(served: World) -> None:
    with pytest.raises(SocketTaken, match="another daemon"):
        await Local(served.desk, served.directory, served.folder / "door.sock").run()
    async with RawLocal(served) as raw:
        assert await raw.ask(id=1, verb="ping") is not None


async def test_the_socket_of_a_dead_daemon_is_replaced(host: World) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(host.folder / "door.sock"))
    async with host.serving(), connect(host.local) as client:
        await client.ping()


async def test_a_file_in_the_sockets_place_is_left_alone(host: World) -> None:
    (host.folder / "door.sock").write_text("precious")
    with pytest.raises(SocketTaken, match="is not a socket"):
        await Local(host.desk, host.directory, host.folder / "door.sock").run()
    assert (host.folder / "door.sock").read_text() == "precious"


async def test_the_socket_is_gone_with_the_daemon(host: World) -> None:
    async with host.serving():
        pass
    assert not (host.folder / "door.sock").exists()


@asynccontextmanager
async def _door(host: World, group: int) -> AsyncGenerator[Path, None]:
    path = host.folder / "second.sock"
    door = Local(host.desk, host.directory, path, group)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(door.run())
        await door.ready.wait()
        yield path
        serving.cancel()


def _open_to_all(host: World) -> None:
    """As if the modes had been no protection."""
    host.folder.chmod(0o755)
    for door in host.folder.glob("*.sock"):
        door.chmod(0o666)


async def _ended(raw: RawLocal) -> bool:
    try:
        return await raw.reader.read() == b""
    except ConnectionResetError:
        return True


_ASK = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
with socket.socket(socket.AF_UNIX) as door:
    door.connect(sys.argv[2])
    try:
        door.sendall(b'{"id":1,"verb":"ping"}\\n')
    except BrokenPipeError:
        pass
    print(door.makefile().readline())
"""


def _ask_as(uid: int, path: Path) -> str:
    """Ask the door from a process of another account."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", _ASK, str(uid), str(path)], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout


async def test_a_child_of_the_daemon_is_no_admin(folder: Path) -> None:
    host = world(folder, frozenset({os.geteuid()}))
    door = Local(host.desk, host.directory, folder / "second.sock", children=lambda: {os.getpid()})
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(door.run())
        await door.ready.wait()
        reader, writer = await asyncio.open_unix_connection(folder / "second.sock")
        said = await reader.read()
        writer.close()
        serving.cancel()
    assert b'"not_permitted"' in said
    assert host.tally.unauthenticated == 1
