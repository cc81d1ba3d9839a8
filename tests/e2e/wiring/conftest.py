"""What more than one surface's tests need."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.tools.forward_stage import Office, office
from tests.tools.proxies import PROXIES, proxy

PATIENT = {"proxy_read_timeout 10s": "proxy_read_timeout 600s"}
"""With it nginx breaks no silent stream: only the page itself can notice."""


@pytest.fixture(scope="session")
def wired() -> Generator[Office, None, None]:
    """nginx, Caddy and Traefik before one old application, its seat, and nobody there yet."""
    with ExitStack() as stack:
        made = stack.enter_context(office(framing=True))
        for kind in PROXIES:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="authd-")))
            stack.enter_context(proxy(kind, folder, made.ports[kind], PATIENT if kind == "nginx" else None))
        yield made
