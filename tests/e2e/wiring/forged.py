"""Requests made by hand that want to be somebody else: over HTTP/1.1 as bytes, over HTTP/2 frame by frame."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from tests.tools.forward_stage import SILENCE_S, exchange
from tests.tools.proxies import HOST, any_certificate

OTHER = "staff_9999"
TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzdWJfZm9yZ2VkIn0."
SMUGGLED = f"GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\nRemote-User: {OTHER}\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Forged:
    """One of them: `send(port, cookie)` carries it out, and what comes back does not matter."""

    name: str
    send: Callable[[int, str], bytes]


def carry_out(port: int, cookie: str) -> None:
    """Send all of them, several at once."""
    with ThreadPoolExecutor(12) as pool:
        for sent in [pool.submit(each.send, port, cookie) for each in FORGED]:
            sent.result()


def _place(name: str) -> str:
    """Path by which the application's log tells them apart."""
    return f"/{name.replace(' ', '-').replace(chr(39), '')}"


def _h1(name: str, *lines: str, target: str = "", method: str = "GET", body: str = "", cookies: int = 1) -> Forged:
    def send(port: int, cookie: str) -> bytes:
        own = [f"Cookie: {cookie}"] * cookies if cookie else []
        head = [f"{method} {target or _place(name)} HTTP/1.1", f"Host: {HOST}:{port}", *own, *lines]
        if not any(line.lower().startswith("connection") for line in lines):
            head.append("Connection: close")
        return exchange(port, ("\r\n".join(head) + "\r\n\r\n" + body).encode("latin-1"))

    return Forged(name, send)


def _h2(name: str, *fields: tuple[str, str], trailers: tuple[tuple[str, str], ...] = (), method: str = "GET") -> Forged:
    def send(port: int, cookie: str) -> bytes:
        own = [("cookie", cookie)] if cookie else []
        pseudo = [
            (":method", method),
            (":scheme", "https"),
            (":authority", f"{HOST}:{port}"),
            (":path", _place(f"h2 {name}")),
        ]
        return _frames(port, [*pseudo, *own, *fields], list(trailers))

    return Forged(f"h2 {name}", send)


def _frames(port: int, headers: list[tuple[str, str]], trailers: list[tuple[str, str]]) -> bytes:
    loose = h2.config.H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False
    )
    with (
        socket.create_connection(("127.0.0.1", port), 30) as plain,
        any_certificate("h2").wrap_socket(plain, server_hostname=HOST) as line,
    ):
        assert line.selected_alpn_protocol() == "h2"
        connection: Any = h2.connection.H2Connection(loose)
        connection.initiate_connection()
        connection.send_headers(1, headers, end_stream=not trailers)
        if trailers:
            connection.send_data(1, b"memo=x")
            connection.send_headers(1, trailers, end_stream=True)
        line.sendall(connection.data_to_send())
        line.settimeout(SILENCE_S)
        answer = b""
        with suppress(OSError, h2.exceptions.ProtocolError):
            while chunk := line.recv(65_536):
                answer += chunk
                if any(_ends(event) for event in connection.receive_data(chunk)):
                    break
                line.sendall(connection.data_to_send())
        return answer


def _ends(event: object) -> bool:
    return isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated))


_CHUNKED = "Transfer-Encoding: chunked"

FORGED = (
    _h1("plain", f"Remote-User: {OTHER}"),
    _h1("lower", f"remote-user: {OTHER}"),
    _h1("upper", f"REMOTE-USER: {OTHER}"),
    _h1("mixed", f"rEmOtE-uSeR: {OTHER}"),
    _h1("underscore", f"Remote_User: {OTHER}"),
    _h1("upper underscore", f"REMOTE_USER: {OTHER}"),
    _h1("lower underscore", f"remote_user: {OTHER}"),
    _h1("twice", f"Remote-User: {OTHER}", f"Remote-User: {OTHER}"),
    _h1("both spellings", f"Remote_User: {OTHER}", f"Remote-User: {OTHER}", f"Remote_User: {OTHER}"),
    _h1("space before the colon", f"Remote-User : {OTHER}"),
    _h1("space before the name", "X-A: b", f" Remote-User: {OTHER}"),
    _h1("folded", "Remote-User:", f" {OTHER}"),
    _h1("tab", f"Remote-User:\t{OTHER}"),
    _h1("empty", "Remote-User:"),
    _h1("dot", f"Remote.User: {OTHER}"),
    _h1("another letter", f"Remot\xe9-User: {OTHER}"),
    _h1("null", f"Remote-User\x00: {OTHER}"),
    _h1("bare line feed", f"X-A: b\nRemote-User: {OTHER}"),
    _h1("bare carriage return", f"X-A: b\rRemote_User: {OTHER}"),
    _h1("name", "Remote-Name: somebody", "Remote_Name: somebody"),
    _h1("groups", "Remote-Groups: officers", "REMOTE_GROUPS: officers"),
    _h1("assertion", f"X-Authd-Assertion: {TOKEN}"),
    _h1("assertion underscore", f"X_Authd_Assertion: {TOKEN}"),
    _h1("assertion half underscore", f"x-authd_assertion: {TOKEN}", f"X_AUTHD-ASSERTION: {TOKEN}"),
    _h1("hop by hop", "Connection: close, Remote-User, X-Authd-Assertion"),
    _h1("hop by hop and forged", "Connection: Remote-User, close", f"Remote-User: {OTHER}", f"Remote_User: {OTHER}"),
    _h1("keep alive", "Connection: keep-alive, Remote-User, Remote-Groups, Cookie"),
    _h1("proxy connection", "Proxy-Connection: Remote-User", "Keep-Alive: Remote-User"),
    _h1(
        "trailer",
        _CHUNKED,
        "Trailer: Remote-User",
        "TE: trailers",
        method="POST",
        body=f"4\r\nmemo\r\n0\r\nRemote-User: {OTHER}\r\n\r\n",
    ),
    _h1("unannounced trailer", _CHUNKED, method="POST", body=f"4\r\nmemo\r\n0\r\nRemote_User: {OTHER}\r\n\r\n"),
    _h1(
        "length and chunks",
        _CHUNKED,
        f"Content-Length: {len(SMUGGLED) + 5}",
        "Connection: keep-alive",
        method="POST",
        body=f"0\r\n\r\n{SMUGGLED}",
    ),
    _h1("unknown coding", "Transfer-Encoding: xchunked", "Content-Length: 0", method="POST", body=SMUGGLED),
    _h1("two lengths", "Content-Length: 0", f"Content-Length: {len(SMUGGLED)}", method="POST", body=SMUGGLED),
    _h1("pipelined", "Connection: keep-alive", body=SMUGGLED),
    _h1(
        "other proxies' names", f"X-Remote-User: {OTHER}", f"X-Forwarded-User: {OTHER}", "X-Original-URL: /.authd/open"
    ),
    _h1("whole address", f"Remote-User: {OTHER}", target=f"https://{HOST}/"),
    _h1("verify itself", f"Remote-User: {OTHER}", target="/.authd-verify"),
    _h1("up and down", f"Remote-User: {OTHER}", target="/.authd/..//second"),
    _h1("two cookies", f"Remote-User: {OTHER}", cookies=2),
    _h1("many", *[f"Remote-User: {OTHER}"] * 50),
    _h2("plain", ("remote-user", OTHER)),
    _h2("underscore", ("remote_user", OTHER), ("x_authd_assertion", TOKEN)),
    _h2("upper", ("Remote-User", OTHER)),
    _h2("twice", ("remote-user", OTHER), ("remote-user", OTHER), ("remote_user", OTHER)),
    _h2("hop by hop", ("connection", "remote-user"), ("remote-user", OTHER)),
    _h2("line in a value", ("x-a", f"b\r\nRemote-User: {OTHER}")),
    _h2("line in a name", (f"x-a: b\r\nremote-user: {OTHER}\r\nx-b", "c")),
    _h2("pseudo", (":remote-user", OTHER)),
    _h2("trailers", trailers=(("remote-user", OTHER), ("remote_user", OTHER)), method="POST"),
    _h2("te", ("te", "trailers"), ("remote-user", OTHER), ("transfer-encoding", "chunked")),
)
"""Fifty; the last ten need a proxy that speaks HTTP/2."""
