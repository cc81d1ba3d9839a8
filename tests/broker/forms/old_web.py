"""An old web application in Shift_JIS: a form with a hidden token, sessions by cookie, a page for a new password."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

FORM = """<html><head><meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS"><title>税務</title></head>
<body><form action="login.do" method="POST"><input type=hidden name="_token" value="{token}">
職員番号 <input name="uid"> 暗証番号 <input type=password name="pw"> <input type=submit></form>{said}"""
MENU = "<html><body>税務システム {user} さん <a href='logout.do'>ログアウト</a></body>"
CHANGE = """<form action="/tax/passwd.do" method="post"><input type=password name=old><input type=password name=new1>
<input type=password name=new2></form>"""

Answer = tuple[str, list[tuple[str, str]], str]


class OldWeb:
    """The application. `sessions`: cookie -> who; `failures`: wrong passwords in a row, by account."""

    def __init__(self, people: dict[str, str]) -> None:
        self.people = people
        self.sessions: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.failures: dict[str, int] = {}
        self.broken: Callable[[str], Answer | None] = lambda path: None
        self.origin = ""

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        size = int(environ.get("CONTENT_LENGTH") or 0)
        typed = parse_qs(environ["wsgi.input"].read(size).decode("ascii"), encoding="cp932", keep_blank_values=True)
        fields = {name: values[0] for name, values in typed.items()}
        cookie = SimpleCookie(environ.get("HTTP_COOKIE", ""))
        session = cookie["JSESSIONID"].value if "JSESSIONID" in cookie else ""
        status, headers, text = self.broken(path) or self._answer(path, fields, session)
        start(status, [("Content-Type", "text/html"), *headers])
        return [text.encode("cp932")]

    def _answer(self, path: str, fields: dict[str, str], session: str) -> Answer:
        if path == "/tax/login.do" and fields:
            return self._log_in(fields)
        if path == "/tax/logout.do":
            self.sessions.pop(session, None)
            return "200 OK", [], "<p>ご利用ありがとうございました"
        user = self.sessions.get(session)
        if user is None:
            token = secrets.token_hex(8)
            self.tokens.add(token)
            return "200 OK", [], FORM.format(token=token, said="")
        if path == "/tax/passwd.do":
            return "200 OK", [], self._change(user, fields)
        return "200 OK", [], MENU.format(user=user)

    def _log_in(self, fields: dict[str, str]) -> Answer:
        if fields.get("_token") not in self.tokens:
            return "403 Forbidden", [], "不正な画面遷移です"
        self.tokens.discard(fields["_token"])
        user = fields["uid"]
        if self.people.get(user) != fields["pw"]:
            self.failures[user] = self.failures.get(user, 0) + 1
            return "200 OK", [], FORM.format(token="", said="職員番号または暗証番号が違います")
        self.failures[user] = 0
        session = secrets.token_hex(16)
        self.sessions[session] = user
        return "302 Found", [("Location", "/tax/menu.do"), ("Set-Cookie", f"JSESSIONID={session}; Path=/tax")], ""

    def _change(self, user: str, fields: dict[str, str]) -> str:
        if not fields:
            return CHANGE
        if fields["old"] != self.people[user] or fields["new1"] != fields["new2"] or len(fields["new1"]) > 32:
            return "変更できません"
        self.people[user] = fields["new1"]
        return "変更しました"


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        pass


@contextmanager
def serving(people: dict[str, str]) -> Generator[OldWeb]:
    """Serve it on a free loopback port."""
    made = OldWeb(people)
    server = make_server("127.0.0.1", 0, made, WSGIServer, _Quiet)
    made.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


TABLE: dict[str, Any] = {
    "rotator": "form",
    "sign_on": {"path": "/tax/index.do", "user": "uid", "password": "pw", "done": "ログアウト", "wrong": "が違います"},
    "sign_off": {"path": "/tax/logout.do"},
    "change": {"path": "/tax/passwd.do", "old": "old", "new": "new1", "again": "new2", "done": "変更しました"},
}
"""What stands in broker.toml of it, but for its origin."""
