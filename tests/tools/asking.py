"""A browser's one connection to a proxy: ask, read the whole answer, look at the status.

    python -m tests.tools.asking PORT

reads a cookie a line and asks with it every few milliseconds. Prints `passed` at the first page, and the wall clock at
the first refusal; ends with 1 where anything passes after that, or where none comes within half a minute.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time

from tests.tools.proxies import HOST, any_certificate

PACE_S = 0.003
AFTERWARDS = 20
PATIENCE_S = 60.0


def request(cookie: str, path: str = "/") -> bytes:
    """One request of a browser that keeps its connection."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\nAccept: text/html\r\n\r\n".encode()


def tls(port: int) -> ssl.SSLSocket:
    """Connect to a proxy."""
    plain = socket.create_connection(("127.0.0.1", port), 30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return any_certificate().wrap_socket(plain, server_hostname=HOST)


def status(line: socket.socket, asked: bytes) -> int:
    """Ask once and read the whole answer; return its status."""
    line.sendall(asked)
    answer = b""
    while not _whole(answer):
        chunk = line.recv(65_536)
        assert chunk, answer
        answer += chunk
    return int(answer.split(b" ", 2)[1])


def _whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    if b"chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b":0")
    return len(body) >= int(length.split(b":")[1])


def until_refused(line: socket.socket, asked: bytes) -> bool:
    """Ask until it is refused, and some times more; whether it stayed so."""
    said, ends = "", time.monotonic() + PATIENCE_S
    while status(line, asked) == 200 and time.monotonic() < ends:
        if not said:
            said = "passed"
            print(said, flush=True)
        time.sleep(PACE_S)
    print(time.time(), flush=True)
    return all(status(line, asked) == 401 for _ in range(AFTERWARDS))


def main() -> int:
    """Do it."""
    with tls(int(sys.argv[1])) as line:
        return 0 if all(until_refused(line, request(cookie.strip())) for cookie in sys.stdin) else 1


if __name__ == "__main__":
    sys.exit(main())
