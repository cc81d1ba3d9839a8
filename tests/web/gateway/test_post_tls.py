"""https towards other products: a certificate that is not right is told nothing, plainly, and holds nobody else up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authd.core.model import SessionId
from authd.web.gateway.caep import pushing
from authd.web.gateway.caep.pushing import push
from authd.web.gateway.caep.receivers import Receiver
from authd.web.gateway.caep.receivers import Table as Pushed
from authd.web.gateway.caep.stream import Stream
from authd.web.gateway.oidc import backchannel
from authd.web.gateway.oidc.backchannel import BackChannel
from authd.web.gateway.oidc.clients import Client, Table
from authd.web.gateway.oidc.owed import Owed
from authd.web.gateway.post import Answered, Poster
from tests.tools.authority import HOST, Authority

PATIENCE_S = 30.0
SES = SessionId("ses_1")
TAKEN = b"HTTP/1.1 200 Taken\r\ncontent-length: 0\r\n\r\n"


@dataclass
class Product:
    """Another product's server: what was posted to it, and how often somebody came."""

    url: str = ""
    shown: ssl.SSLContext | None = None
    came: int = 0
    posted: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue[bytes])

    async def next(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.posted.get()


@asynccontextmanager
async def product(*shown: ssl.SSLContext | None) -> AsyncGenerator[Product]:
    """`shown`: one after the other, to whoever comes; the last one to all that follow. None: it speaks no TLS."""
    made = Product()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        context = shown[min(made.came, len(shown) - 1)]
        made.came += 1
        try:
            if context is None:
                writer.write(TAKEN)
                await reader.read()
                return
            await writer.start_tls(context)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            made.posted.put_nowait(head + await reader.readexactly(length))
            writer.write(TAKEN)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # who came did not believe it
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.url = f"https://{HOST}:{server.sockets[0].getsockname()[1]}/taken"
    try:
        yield made
    finally:
        server.close()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The only one that this machine trusts."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backchannel, "AGAIN_S", (0.0, 0.0))
    monkeypatch.setattr(pushing, "AGAIN_S", (0.0,))


def expired(authority: Authority, _: Path) -> ssl.SSLContext:
    return authority.server(good_for=timedelta(hours=-1))


def not_yet(authority: Authority, _: Path) -> ssl.SSLContext:
    return authority.server(good_for=timedelta(days=9))


def of_another_name(authority: Authority, _: Path) -> ssl.SSLContext:
    return authority.server("other.example")


def of_another_authority(_: Authority, folder: Path) -> ssl.SSLContext:
    return Authority(folder, "another").server()


def none(_: Authority, __: Path) -> None:
    """It speaks no TLS."""


WRONG: dict[Callable[[Authority, Path], ssl.SSLContext | None], str] = {
    expired: "its certificate is not believed: certificate has expired",
    not_yet: "its certificate is not believed: certificate is not yet valid",
    of_another_name: "its certificate is not believed: Hostname mismatch",
    of_another_authority: "its certificate is not believed: unable to get local issuer certificate",
    none: "it speaks no TLS that we do",
}


async def test_the_right_certificate_is_believed(authority: Authority) -> None:
    async with product(authority.server()) as other:
        assert await Poster().post(other.url, b"body", {}) == Answered(200, b"")
        assert (await other.next()).endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize("wrong", WRONG, ids=lambda each: each.__name__)
async def test_a_wrong_one_is_told_nothing_and_the_log_says_why_once(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: Any
) -> None:
    poster = Poster()
    async with product(wrong(authority, tmp_path)) as other:
        for _ in range(5):
            assert await poster.post(other.url, b"secret", {}) is None
        assert other.posted.empty()
        assert other.came == 5
    assert caplog.text.count("is told nothing") == 1
    assert WRONG[wrong] in caplog.text
    assert HOST in caplog.text


async def test_it_is_said_again_once_it_was_right_between(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    good, late = authority.server(), authority.server(good_for=timedelta(hours=-1))
    poster = Poster()
    async with product(late, good, late) as other:
        answers = [await poster.post(other.url, b"body", {}) for _ in range(3)]
    assert answers == [None, Answered(200, b""), None]
    assert caplog.text.count("certificate has expired") == 2


async def test_a_logout_is_tried_so_often_and_reaches_the_others(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    late = authority.server(good_for=timedelta(hours=-1))
    async with product(late) as wrong, product(late, authority.server()) as mended:
        clients = [client("wrong", wrong), client("mended", mended)]
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:

            def spawn(work: Coroutine[None, None, None]) -> None:
                group.create_task(work)

            back = BackChannel(Poster(), spawn)
            for each in clients:
                each.owed.add(SES)
                back.tell(each, SES)
        assert (wrong.came, mended.came) == (3, 2)
        assert wrong.posted.empty()
        assert (await mended.next()).endswith(b"logout_token=over.ses_1")
        assert [each.owed.sessions for each in clients] == [(), ()]
    assert caplog.text.count(f"{wrong.url.split('/')[2]} is told nothing") == 1
    assert "wrong: did not take a logout" in caplog.text


async def test_events_are_pushed_again_until_the_certificate_is_right_and_in_order(authority: Authority) -> None:
    late, good = authority.server(good_for=timedelta(hours=-1)), authority.server()
    async with product(late) as wrong, product(late, late, good) as mended:
        poster = Poster()
        async with asyncio.TaskGroup() as group:
            streams = [stream("wrong", wrong), stream("mended", mended)]
            pushed = [group.create_task(push(each, poster)) for each in streams]
            heads = [await mended.next() for _ in range(2)]
            for each in pushed:
                each.cancel()
        assert [each.rpartition(b"\r\n\r\n")[2] for each in heads] == [b"first", b"second"]
        assert wrong.posted.empty()
        assert len(streams[0].waiting) == 2


class Door:
    """authd: signs what it is asked for."""

    def __init__(self) -> None:
        self.client = self

    async def logout_token(self, session: str) -> str:
        return f"over.{session}"


def client(name: str, told: Product) -> Client:
    door: Any = Door()
    return Client(name, Table("https://x/", ["https://x/"], backchannel_logout_uri=told.url), door, Owed())


def stream(name: str, told: Product) -> Stream:
    door: Any = Door()
    made = Stream(Receiver(name, Pushed("0" * 64, told.url), door, "", None))
    made.waiting |= {each: (None, each) for each in ("first", "second")}
    return made
