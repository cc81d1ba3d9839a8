"""What was asked of the verifier child and is not answered yet: each operation has one answer, in time, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from authd.core.model import Fault
from authd.core.ports import Unavailable
from authd.service.host.frames import (
    Answer,
    Described,
    Ended,
    Failed,
    Frame,
    Loaded,
    Message,
    NotAdmitted,
    Refused,
    Verdict,
)
from authd.service.host.supervisor import Keeper

_LAST = (Answer, Verdict, Loaded, Ended, Refused, NotAdmitted, Described, Failed)


@dataclass(slots=True)
class _Call:
    done: asyncio.Future[list[Message]]
    answers: list[Message] = field(default_factory=list[Message])


class Calls:
    """`keeper`: whose child is asked."""

    def __init__(self, keeper: Callable[[], Keeper]) -> None:
        self._keeper = keeper
        self._open: dict[int, _Call] = {}
        self._op = 0

    def fail(self, fault: Fault) -> None:
        """The child is gone: what was asked has no answer."""
        for call in self._open.values():
            if not call.done.done():
                call.done.set_exception(Unavailable(f"verifier: {fault.value}"))

    def take(self, frame: Frame) -> None:
        """Part of an answer; what belongs to no open call came too late."""
        call = self._open.get(frame.op)
        if call is None or call.done.done():
            return
        call.answers.append(frame.message)
        if isinstance(frame.message, _LAST):
            call.done.set_result(call.answers)

    async def ask(self, messages: Iterable[Message], seconds: float) -> list[Message]:
        """Send one operation and return its answers, the last of which ends it. Raises `Unavailable`."""
        keeper = self._keeper()
        self._op += 1
        op, call = self._op, _Call(asyncio.get_running_loop().create_future())
        self._open[op] = call
        try:
            async with asyncio.timeout(seconds):
                for message in messages:
                    if not keeper.send(op, message):
                        raise Unavailable("verifier: away")
                    await keeper.drained()
                answers = await call.done
        except TimeoutError:
            keeper.recycle(Fault.TIMEOUT, "no answer")
            raise Unavailable("verifier: no answer in time") from None
        finally:
            del self._open[op]
            if not call.done.cancel() and not call.done.cancelled():
                call.done.exception()  # looked at, so that asyncio does not report it as forgotten
        if isinstance(answers[-1], Failed):
            raise Unavailable(f"verifier: {answers[-1].fault.value}: {answers[-1].detail}")
        return answers
