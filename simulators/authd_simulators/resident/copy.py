"""The resident system's own copy of the protections: which of its numbers are protected, by authd's word.

Whether a record may be shown, the guard is asked each time; a list does not say who is protected, for whoever reads
that has looked a flag up. The copy is for what leaves without anybody's eye on it; the stricter of the two holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from authd.client import ClientError, DoorError
from authd.client.flags import Protection

log = logging.getLogger("authd_simulators.resident")
AT_ONCE = 200
AGAIN_S = 1.0


class Linked(Protocol):
    """What of `authd.client.Client` a linked system uses."""

    async def flag_match(self, records: Sequence[str]) -> list[str]:
        """Return what the records will be called."""
        ...

    async def hold(self, apply: Callable[[Sequence[Protection]], Awaitable[None]], after: int) -> None:
        """Hold a copy, and say so, for as long as this runs."""
        ...


class Copy:
    """In memory: it begins anew with the program, from version 0."""

    def __init__(self, numbers: Sequence[str]) -> None:
        self._numbers = tuple(numbers)
        self._marks: dict[str, str] = {}
        self._protected: set[str] = set()
        self.version = 0

    def __contains__(self, number: str) -> bool:
        """Whether a record is protected, as far as the copy knows."""
        return number in self._protected

    async def run(self, door: Linked) -> None:
        """Hold it until cancelled; a system that is not linked holds none."""
        while True:
            try:
                await self._learn(door)
                await door.hold(self._apply, self.version)
            except DoorError as error:
                if error.code == "not_permitted":
                    log.info("no copy of the protections: %s", error)
                    return
                log.warning("the copy of the protections is read anew: %s", error)
                self.version = 0  # whoever it protects stays so, unless this registry says otherwise
            except ClientError as error:
                log.warning("authd is not there: %s", error)
            await asyncio.sleep(AGAIN_S)

    async def _learn(self, door: Linked) -> None:
        if self._marks:
            return
        marks: dict[str, str] = {}
        for start in range(0, len(self._numbers), AT_ONCE):
            numbers = self._numbers[start : start + AT_ONCE]
            marks |= dict(zip(await door.flag_match(numbers), numbers, strict=True))
        self._marks = marks

    async def _apply(self, changes: Sequence[Protection]) -> None:
        for each in changes:
            number = self._marks.get(each.mark)
            if number is not None and each.protected:
                self._protected.add(number)
            elif number is not None:
                self._protected.discard(number)
            self.version = each.version
