"""Another product's HTTP endpoint, in a thread of the test's: it keeps what is posted to it, and answers as told."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers`: statuses for the next posts; `otherwise` for all that follow."""

    port: int = 0
    answers: list[int] = field(default_factory=list[int])
    otherwise: int = 200
    posted: queue.Queue[Posted] = field(default_factory=lambda: queue.Queue[Posted](10_000))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next(self) -> Posted:
        return self.posted.get(timeout=PATIENCE_S)


@contextmanager
def receiver() -> Generator[Receiver, None, None]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.posted.put(Posted(self.path, headers, body))
            self.send_response(made.answers.pop(0) if made.answers else made.otherwise)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
