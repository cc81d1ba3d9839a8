"""The client for programs without asyncio: the same words, answered by a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from authd.client.administration import SyncAdministrationCalls
from authd.client.aio import Client, connect
from authd.client.asking import TOUCH_WAIT
from authd.client.carryout import SyncCarryoutCalls
from authd.client.certificates import SyncCertificateCalls
from authd.client.channel import SILENCE
from authd.client.credentials import SyncCredentialCalls
from authd.client.desktop import SyncDesktopCalls
from authd.client.flags import SyncFlagCalls
from authd.client.procedures import SyncProcedureCalls
from authd.client.screen import SyncScreenCalls
from authd.client.sign_on import SyncSignOnCalls
from authd.client.supervision import SyncSupervisionCalls
from authd.client.tokens import SyncTokenCalls
from authd.client.unattributed import SyncUnattributedCalls
from authd.client.values import Event, Person, StepUp
from authd.client.views import SyncViewCalls


def connect_sync(
    address: str,
    *,
    key: str | Path | None = None,
    server_key: str | Path | None = None,
    event_key: bytes | None = None,
    timeout: float = SILENCE,
) -> SyncClient:
    """Return a started client; arguments as `connect`. End it with `close`, or use it with `with`.

    Any number of threads may use it. A program that forks makes one in each child.
    """
    return SyncClient(lambda: connect(address, key=key, server_key=server_key, event_key=event_key, timeout=timeout))


class SyncClient(
    SyncScreenCalls,
    SyncAdministrationCalls,
    SyncCertificateCalls,
    SyncTokenCalls,
    SyncViewCalls,
    SyncFlagCalls,
    SyncCarryoutCalls,
    SyncProcedureCalls,
    SyncSignOnCalls,
    SyncSupervisionCalls,
    SyncDesktopCalls,
    SyncUnattributedCalls,
    SyncCredentialCalls,
):
    """As `Client`, method by method; what that yields asynchronously is a plain generator here."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._loop = asyncio.new_event_loop()
        started: Future[Client] = Future()
        self._thread = threading.Thread(target=self._run, args=(make, started), name="authd-client", daemon=True)
        self._thread.start()
        self._client = started.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread and its connections; safe to call twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()

    def who(self, seat: str, *, fresh: bool = False) -> Person | None:
        """As `Client.who`."""
        return self._wait(self._client.who(seat, fresh=fresh))

    def changes(self, seat: str) -> Generator[Person | None, None, None]:
        """As `Client.changes`."""
        return self._each(self._client.changes(seat))

    def follow(self, after: int | None = None, *, until: int | None = None) -> Generator[Event, None, None]:
        """As `Client.follow`."""
        return self._each(self._client.follow(after, until=until))

    def exchange(self, ticket: str) -> Person:
        """As `Client.exchange`."""
        return self._wait(self._client.exchange(ticket))

    def step_up(
        self,
        session: str,
        purpose: str,
        timeout: float = TOUCH_WAIT,
        *,
        acr_values: Sequence[str] = (),
        max_age: int | None = None,
    ) -> StepUp:
        """As `Client.step_up`."""
        return self._wait(self._client.step_up(session, purpose, timeout, acr_values=acr_values, max_age=max_age))

    def ping(self) -> None:
        """As `Client.ping`."""
        self._wait(self._client.ping())

    def head(self) -> int:
        """As `Client.head`."""
        return self._wait(self._client.head())

    def _run(self, make: Callable[[], Client], started: Future[Client]) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._live(make, started))

    async def _live(self, make: Callable[[], Client], started: Future[Client]) -> None:
        self._ended = asyncio.Event()
        try:
            client = make()
        except BaseException as error:  # a wrong address or key is the caller's to hear
            started.set_exception(error)
            return
        async with client:
            started.set_result(client)
            await self._ended.wait()
