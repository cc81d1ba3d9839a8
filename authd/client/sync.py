"""The client for programs without asyncio: the same words, answered by a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from authd.client.aio import STEP_UP_WAIT, Client, connect
from authd.client.channel import SILENCE
from authd.client.link import Gone
from authd.client.values import EnrolStep, Event, OpenTicket, Person, Shown, Staff, Stay, StepUp

T = TypeVar("T")


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


class SyncClient:
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

    def who(self, seat: str) -> Person | None:
        """As `Client.who`."""
        return self._wait(self._client.who(seat))

    def changes(self, seat: str) -> Generator[Person | None, None, None]:
        """As `Client.changes`."""
        return self._each(self._client.changes(seat))

    def follow(self, after: int | None = None) -> Generator[Event, None, None]:
        """As `Client.follow`."""
        return self._each(self._client.follow(after))

    def exchange(self, ticket: str) -> Person:
        """As `Client.exchange`."""
        return self._wait(self._client.exchange(ticket))

    def step_up(self, session: str, purpose: str, timeout: float = STEP_UP_WAIT) -> StepUp:
        """As `Client.step_up`."""
        return self._wait(self._client.step_up(session, purpose, timeout))

    def watch(self, seat: str) -> Generator[Shown | None, None, None]:
        """As `Client.watch`."""
        return self._each(self._client.watch(seat))

    def activity(self, seat: str) -> None:
        """As `Client.activity`."""
        self._wait(self._client.activity(seat))

    def press(self, seat: str, button: Literal["lock", "logout"]) -> None:
        """As `Client.press`."""
        self._wait(self._client.press(seat, button))

    def ticket(self, seat: str, application: str) -> OpenTicket:
        """As `Client.ticket`."""
        return self._wait(self._client.ticket(seat, application))

    def history(self, seat: str, start: str, end: str) -> list[Stay]:
        """As `Client.history`."""
        return self._wait(self._client.history(seat, start, end))

    def people(self) -> list[Staff]:
        """As `Client.people`."""
        return self._wait(self._client.people())

    def enrol(
        self,
        seat: str,
        *,
        staff_number: str,
        finger: str,
        name: str = "",
        kana: str = "",
        section: str = "",
        officer: bool = False,
        found: bool = False,
        more: Sequence[str] = (),
        add: bool = False,
    ) -> Generator[EnrolStep, None, None]:
        """As `Client.enrol`."""
        steps = self._client.enrol(
            seat,
            staff_number=staff_number,
            name=name,
            kana=kana,
            section=section,
            finger=finger,
            officer=officer,
            found=found,
            more=more,
            add=add,
        )
        return self._each(steps)

    def disable(self, subject: str, seat: str, timeout: float = STEP_UP_WAIT) -> None:
        """As `Client.disable`."""
        self._wait(self._client.disable(subject, seat, timeout))

    def status(self) -> dict[str, object]:
        """As `Client.status`."""
        return self._wait(self._client.status())

    def stop(self) -> None:
        """As `Client.stop`."""
        self._wait(self._client.stop())

    def ping(self) -> None:
        """As `Client.ping`."""
        self._wait(self._client.ping())

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

    def _wait(self, question: Coroutine[Any, Any, T]) -> T:
        if not self._thread.is_alive():
            question.close()
            raise Gone("this client is closed")
        future = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupted caller leaves nothing running
            raise

    def _each(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        try:
            while True:
                try:
                    item = self._wait(_next(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            # Not waited for: the collector may have brought us here in the client's own thread.
            if self._thread.is_alive():
                asyncio.run_coroutine_threadsafe(_close(items), self._loop)


async def _next(items: AsyncGenerator[T, None]) -> T:
    return await anext(items)


async def _close(items: AsyncGenerator[T, None]) -> None:
    await items.aclose()
