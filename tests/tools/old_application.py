"""A resident system as it may have stood for twenty years: WSGI, Shift_JIS, and whoever REMOTE_USER says.

    python -m tests.tools.old_application PORT FILE

It believes its proxy, as such systems do. Each request that reaches it becomes a line of FILE, so that a test sees what
it was told; it takes Remote_User for Remote-User, as many an old server does.
"""

from __future__ import annotations

import json
import socketserver
import sys
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

PAGE = """<HTML><HEAD><TITLE>住民記録</TITLE></HEAD>
<BODY BGCOLOR="#ffffff"><H1>住民記録照会</H1><P>利用者 <B id="user">{user}</B></P>
<TABLE BORDER=1><TR><TD>氏名</TD><TD id="record">架空 太郎</TD></TR><TR><TD>架空市本町1-2-3</TD></TR></TABLE>
<FORM METHOD=POST ACTION="/save"><INPUT NAME="memo" ID="memo"><INPUT TYPE=SUBMIT VALUE="保存"></FORM>
<A HREF="/second" ID="next">次へ</A></BODY></HTML>
"""
FRAMES = """<HTML><HEAD><TITLE>住民記録</TITLE></HEAD>
<FRAMESET COLS="20%,80%"><FRAME SRC="/menu" NAME="menu"><FRAME SRC="/record" NAME="main"></FRAMESET></HTML>
"""
TOLD = ("HTTP_REMOTE_", "HTTP_X_AUTHD_", "HTTP_COOKIE")
"""What the names begin with by which it may be told who somebody is."""
Start = Callable[[str, list[tuple[str, str]]], object]


class Handler(WSGIRequestHandler):
    """As old servers do: one variable of several spellings, the last of which wins."""

    protocol_version = "HTTP/1.1"

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        for name, value in self.headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value.strip()
        return environ

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


def application(log: Path) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """Return the WSGI application."""

    def answer(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        told = {name: value for name, value in environ.items() if name.startswith(TOLD)}
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"path": environ["PATH_INFO"], **told}) + "\n")
        page = FRAMES if environ["PATH_INFO"] == "/frames" else PAGE
        body = page.format(user=escape(told.get("HTTP_REMOTE_USER", "nobody"))).encode("cp932")
        headers = [("Content-Type", "text/html; charset=Shift_JIS"), ("Content-Length", str(len(body)))]
        start("200 OK", [*headers, ("Cache-Control", "public, max-age=3600")])
        return [body]

    return answer


def main() -> None:
    """Serve until killed."""
    ServerHandler.http_version = "1.1"
    server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    server.set_app(application(Path(sys.argv[2])))
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
