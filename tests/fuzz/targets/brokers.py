"""What old systems and their neighbours say to brokers and the agent.

Answers, cookies and pages of web applications, lines of access logs, a 3270 emulator's answers, and the events of a
Wayland compositor.
"""

from __future__ import annotations

import asyncio
import atexit
import http.client
import io
import socket
import ssl
import struct
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from authd.agent import wayland
from authd.agent.wayland import MANAGER, Lock, NoWayland, Wire
from authd.broker.forms import FormRotator, FormSystem, browser, legacy, server
from authd.broker.forms.page import read
from authd.broker.rotation import RotatorError
from authd.broker.secret import Secret
from authd.broker.terminal import signon
from authd.broker.terminal.emulator import LONGEST, Emulator, EmulatorError
from authd.broker.terminal.settings import Host
from authd.broker.terminal.signon import WrongPassword
from authd.broker.unattributed.settings import Weblog
from authd.broker.unattributed.weblog import BadLine, access
from authd.client.tables import convert

ORIGIN = "http://127.0.0.1:8080"
PATHS = {"user": "uid", "password": "pw", "done": "MENU", "wrong": "WRONG"}
SYSTEM = convert(
    {
        "rotator": "form",
        "origin": ORIGIN,
        "sign_on": {"path": "/in", **PATHS},
        "sign_off": {"path": "/out", "form": "bye"},
        "change": {"path": "/new", "old": "old", "new": "new", "done": "CHANGED"},
    },
    FormSystem,
    "system.tax",
)
PASSWORD = "a-password-that-nobody-says"
HOST = Host(host="h", screen="SIGN ON", user_at=(1, 1), password_at=(2, 1), done="MENU", wrong="WRONG")
CHARSETS = ("", "utf-8", "shift_jis", "iso-2022-jp", "euc-jp", "iso-8859-1", "none")


class _Wire(socket.socket):
    """A connection over which this comes, piece after piece, and then its end."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__(socket.AF_UNIX)
        self._pieces = iter(pieces)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        return next(self._pieces, b"")

    def makefile(self, *args: object, **more: object) -> Any:
        return io.BytesIO(next(self._pieces, b""))

    def sendall(self, data: object, flags: int = 0, /) -> None:
        pass

    def sendmsg(self, *args: object) -> int:
        return 0


class _Dialled(http.client.HTTPConnection):
    def __init__(self, answers: Iterator[bytes], host: str, **more: Any) -> None:
        super().__init__(host, **more)
        self._answers = answers

    def connect(self) -> None:
        self.sock = _Wire([next(self._answers, b"")])


class _Heard(urllib.request.HTTPHandler):
    """Comes before the handler that would dial."""

    handler_order = 100

    def __init__(self, answers: Iterator[bytes]) -> None:
        super().__init__()
        self._answers = answers

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(cast("Any", partial(_Dialled, self._answers)), req)


_TLS = ssl.create_default_context()


class _Browser(browser.Browser):
    answers: Iterator[bytes] = iter(())

    def __init__(self, *args: Any) -> None:
        with patch.object(ssl, "create_default_context", return_value=_TLS):  # reads all of the system's roots
            super().__init__(*args)
        self._opener.add_handler(_Heard(self.answers))


def _web(data: bytes) -> None:
    """An application's answers, one after the other, while a password is changed."""
    _Browser.answers = iter(data.split(b"\0\0"))
    with patch.object(legacy, "Browser", _Browser):
        said = ""
        try:
            FormRotator(SYSTEM, Path("/")).change("staff_1", Secret(PASSWORD), Secret(PASSWORD))
        except RotatorError as error:
            said = str(error)
    assert PASSWORD not in said
    assert "\n" not in said


def _cookies(data: bytes) -> None:
    """The cookies of an answer, as they are passed on."""
    _Browser.answers = iter([b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + data + b"\r\n\r\n"])
    seen = _Browser(ORIGIN, 1.0)
    seen.get("/")
    for each in seen.cookies:
        name, value = server._set(each, secure=True)  # pyright: ignore[reportPrivateUsage]  # the line itself
        assert name == b"set-cookie"
        assert not {0, 10, 13} & set(value)


def _page(data: bytes) -> None:
    """A page's bytes."""
    page = read(200, "/", CHARSETS[data[0] % len(CHARSETS)] if data else "", data[1:])
    for form in page.forms:
        assert all(page.form_with(name) in page.forms for name in form.fields)


def _lines(data: bytes) -> None:
    """Lines of an access log, in both forms."""
    for form in ("combined", "json"):
        table = Weblog(application="resident", file="/dev/null", format=form, open=["/static/"])
        for line in data.split(b"\n")[:50]:
            try:
                found = access(line.decode("utf-8", "replace"), table, "site")
            except BadLine:
                continue
            assert found is None or max(map(len, (found.account, found.address, found.session))) <= 100


def _screens(data: bytes) -> None:
    """What an emulator answers while somebody is signed on."""
    _LOOP.run_until_complete(_signed_on(data))


async def _signed_on(data: bytes) -> None:
    reader = asyncio.StreamReader(limit=LONGEST)
    reader.feed_data(data)
    reader.feed_eof()
    emulator = Emulator(reader, cast("Any", _Written()))
    await signon.connect(emulator, HOST)
    await signon.sign_on(emulator, HOST, "staff_1", Secret(PASSWORD))


class _Written:
    """Takes what is written."""

    def write(self, data: bytes) -> None:
        pass

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        pass

    def get_extra_info(self, name: str) -> None:
        return None


def _events(data: bytes) -> None:
    """What a compositor says, in two pieces, to our locker."""
    half = data[0] % len(data) if data else 0
    wire = Wire.__new__(Wire)
    with _Wire([data[1:half], data[max(half, 1) :]]) as wire.socket, patch.object(wayland, "LARGEST", 16):
        wire._last, wire._heard = wayland.DISPLAY, bytearray()  # pyright: ignore[reportPrivateUsage]  # as dialled
        lock = Lock(wire)
        while True:
            lock.hear()


_LOOP = asyncio.new_event_loop()
atexit.register(_LOOP.close)
WAYS: tuple[Callable[[bytes], None], ...] = (_web, _page, _lines, _screens, _events, _cookies)


def one(data: bytes) -> None:
    """The first byte says who speaks."""
    if data:
        WAYS[data[0] % len(WAYS)](data[1:])


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant."""
    return isinstance(error, browser.Unreachable | EmulatorError | WrongPassword | NoWayland)


def seeds() -> Iterator[bytes]:
    """Yield what each says when all is well."""
    form = '<form action="{0}" method=post><input type=hidden name=t value="&amp;1"><input name=uid>{1}</form>'
    first = form.format("in", '<input type="password" name="pw">')
    change = form.format("/new", '<input name="old"><input name="new">')
    moved = b"HTTP/1.1 302 Found\r\nLocation: /menu\r\nSet-Cookie: s=1; Path=/\r\nContent-Length: 0\r\n\r\n"
    answers = (_said(first), moved, _said("MENU"), _said(change), _said("CHANGED"), _said('<form><input name="bye">'))
    yield b"\0" + b"\0\0".join((*answers, _said("out")))
    yield b"\0" + _said(form.format("//[", '<input name="pw">'))
    yield b"\0" + b"\0\0".join((_said(first), _said("ORA-00600", "500 Internal Server Error"), _said("out")))
    odd = f"<meta charset=Shift_JIS><!doctype html><!-- x -->{first}<script>a</script><![CDATA[x]]>"
    yield b"\1\2" + odd.encode("cp932")
    yield b"\1\0<![x[ a ]]><form>&#" + b"0" * 120
    yield b"\1\3" + "住民".encode("iso2022_jp")
    yield b"\1\0&#x41;&#65;&amp;&lt"
    yield b'\2::1 - a [24/Nov/2026:13:05:00 +0900] "GET /r/1?x HTTP/1.1" 200 512 "-" "M"\n'
    yield b'\2{"time":"2026-11-24T13:05:00+09:00","account":"a","address":"10.0.0.5","status":200,"path":"/r/1"}'
    shown = b"data: SIGN ON\nU U\nok\n"
    yield b"\3" + b"U F\nok\n" + shown + 7 * b"U F\nok\n" + b"data: MENU\nok\n"
    yield b"\3" + b"ok\n" + b"data: \nok\nerror\n" + shown + 7 * b"ok\n" + b"data: WRONG\nok\n"
    offers = [_event(2, 0, _global(at, name)) for at, name in enumerate(INTERFACES)]
    yield (
        b"\4\xff"
        + b"".join(offers)
        + _event(3, 0, bytes(4))
        + _event(8, 0)
        + _event(11, 0, struct.pack("=III", 1, 9, 9))
    )
    yield b"\5Set-Cookie: JSESSIONID=a; Path=/tax; HttpOnly\r\nSet-Cookie2: b=c; Version=1\r\n"


INTERFACES = ("wl_compositor", "wl_shm", MANAGER, "wl_output")


def _said(text: str, status: str = "200 OK") -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _event(thing: int, opcode: int, arguments: bytes = b"") -> bytes:
    return struct.pack("=II", thing, (8 + len(arguments)) << 16 | opcode) + arguments


def _global(name: int, interface: str) -> bytes:
    text = interface.encode() + b"\0"
    return struct.pack("=II", name, len(text)) + text.ljust((len(text) + 3) // 4 * 4, b"\0") + struct.pack("=I", 4)
