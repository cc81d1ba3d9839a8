"""One visit to a card: connect shared, one short transaction, leave it as it was. In a thread, with a deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from authd.driver import DriverError, Fault
from authd_drivers.pcsc.apdu import trouble_means
from authd_drivers.pcsc.api import Connection, Service, Trouble
from authd_drivers.pcsc.card import Card
from authd_drivers.pcsc.watcher import Stay

VISIT_S = 8.0
T = TypeVar("T")


class _Left(Exception):
    """Nobody waits for this visit any more."""


async def visit(service: Service, stay: Stay, work: Callable[[Card], T]) -> T:
    """Carry `work` out with the card of this stay and return what it returns.

    Raises what `work` raises, or what a PC/SC error means; `DriverError(TIMEOUT)`, or `BUSY` where another program kept
    us out. Cancelled, it returns at once, and the thread ends before its next APDU.
    """
    visitor = _Visitor(service, stay)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def thread() -> None:
        try:
            result = visitor.visit(work)
        except BaseException as error:
            _settle(loop, done, error=error)
        else:
            _settle(loop, done, result)

    threading.Thread(target=thread, name="pcsc-visit", daemon=True).start()
    try:
        async with asyncio.timeout(VISIT_S):
            return await done
    except TimeoutError:
        raise DriverError(
            Fault.TIMEOUT if visitor.within else Fault.BUSY,
            f"{stay.reader}: " + ("the card does not answer" if visitor.within else "another program holds the card"),
        ) from None
    finally:
        visitor.leave.set()


class _Visitor:
    def __init__(self, service: Service, stay: Stay) -> None:
        self._service, self._stay = service, stay
        self.leave = threading.Event()
        self.within = False

    def visit(self, work: Callable[[Card], T]) -> T:
        try:
            context = self._service()
            try:
                return self._connected(context.connect(self._stay.reader), work)
            finally:
                context.release()
        except Trouble as trouble:
            trouble_means(trouble, self._stay.reader)
            raise

    def _connected(self, connection: Connection, work: Callable[[Card], T]) -> T:
        reset = True

        def transmit(apdu: bytes) -> bytes:
            if self.leave.is_set():
                raise _Left
            return connection.transmit(apdu)

        try:
            reset = False
            connection.begin()
            self.within = True
            card = Card(transmit, self._stay.atr)
            try:
                return work(card)
            finally:
                reset = card.reset_wanted
        finally:
            connection.end(reset=reset)


def _settle(
    loop: asyncio.AbstractEventLoop,
    done: asyncio.Future[T],
    result: T | None = None,
    error: BaseException | None = None,
) -> None:
    def settle() -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only where T is

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: nobody waits
        return
