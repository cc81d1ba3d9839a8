"""A host of one seat with a real ledger, real views and a real router, in a process that may be killed at any time."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from authd.client import Client, Person, connect
from authd.core.model import Epoch, Evidence, Factor, Grade, Instant, Limits, Nonce, ReaderId, Session, SessionId
from authd.service.clock import BootClock
from authd.service.evidence import Ground
from authd.service.evidence.views import Views
from authd.service.ledger import KeySigner, Ledger
from tests.service.bus.fakes import ONE, SATO, world

SIGNER = KeySigner("authd/bench", bytes(range(32)))
RECORD_KEY = bytes(32)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


@dataclass(frozen=True, slots=True)
class Where:
    """How the one application reaches it, and whose session is open."""

    router: str
    server_key: str
    key: str
    person: Person

    def client(self) -> Client:
        """Return the application's client."""
        return connect(self.router, key=self.key, server_key=self.server_key, timeout=5)


def serve(pipe: Connection, folder: str) -> None:
    """Serve until killed."""
    asyncio.run(_serve(pipe, Path(folder)))


async def _serve(pipe: Connection, folder: Path) -> None:
    clock = BootClock()
    ledger = await Ledger.open(folder / "ledger", SIGNER, clock, clock.wall_ms)
    host = world(folder, frozenset({os.geteuid()}))
    seen = Evidence(ReaderId("vein-1"), Factor.VEIN, Grade.MATCHED, Nonce("n"), clock.now(), "tpl_1@1")
    session = Session(SessionId(f"ses_{os.getpid()}"), SATO, ONE, Epoch(1), seen, Limits(), Instant(0), clock.now())
    nothing: Any = None
    pipeline: Any = SimpleNamespace(seats={ONE: SimpleNamespace(owner=session)})
    config: Any = SimpleNamespace(views_per_session=1e6, views_per_application=1e6)
    keys: Any = SimpleNamespace(record_key=lambda: RECORD_KEY)
    views = Views(Ground(config, clock, keys, nothing, ledger, nothing, pipeline))
    await views.begin()
    evidence: Any = SimpleNamespace(views=views)
    host.house.evidence = evidence
    async with host.serving():
        person = Person(ONE, session.id, SATO, Grade.MATCHED, "")
        pipe.send(Where(host.router, host.door.public, host.resident.secret, person))
        await asyncio.Event().wait()


@contextmanager
def running(folder: Path) -> Generator[tuple[Where, BaseProcess], None, None]:
    """Start it over the ledger in `folder`; on leaving it is killed, if it was not."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=serve, args=(theirs, str(folder)))
    process.start()
    try:
        if not ours.poll(60):
            raise TimeoutError("the host did not begin")
        yield ours.recv(), process
    finally:
        process.kill()
        process.join()
        ours.close()
        theirs.close()
