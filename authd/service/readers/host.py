"""All readers of one host: a supervised child each, their words merged by seat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from authd.core.model import Nonce, ReaderId, SeatId
from authd.core.ports import Heard, Sample
from authd.service.host.frames import Start
from authd.service.host.manifest import fill
from authd.service.host.process import Plan
from authd.service.host.supervisor import Keeper
from authd.service.readers.ears import Ears
from authd.service.readers.line import Cancellable, Line
from authd.service.registry import Driver


@dataclass(frozen=True, slots=True)
class ReaderPlan:
    """One `[reader.*]` of the configuration: its driver, as the registry found it, and its settings."""

    id: ReaderId
    driver: Driver
    settings: Mapping[str, str]


class HostReaders:
    """All readers of one host. `run` belongs into the daemon's TaskGroup.

    lenient: let bundled drivers run, with a warning, where the kernel cannot give the whole sandbox; never a third
    party's. Raises `ManifestError` where a reader's settings do not fit its manifest.
    """

    def __init__(
        self, seats: Mapping[SeatId, Sequence[ReaderId]], readers: Sequence[ReaderPlan], *, lenient: bool = False
    ) -> None:
        plans = {plan.id: plan for plan in readers}
        self.ears = {seat: Ears() for seat in seats}
        self._lines: dict[SeatId, list[Line]] = {seat: [] for seat in seats}
        self.keepers: dict[ReaderId, Keeper] = {}
        for seat, ids in seats.items():
            for reader in ids:
                self._add(seat, plans[reader], lenient)

    def _add(self, seat: SeatId, plan: ReaderPlan, lenient: bool) -> None:
        line = Line(plan.id, plan.driver.manifest, self._hear(seat), _later)
        self._lines[seat].append(line)
        start = Start(
            parent=0,
            grants=fill(plan.driver.manifest, plan.settings),
            strict=not (lenient and plan.driver.bundled),
            target=plan.driver.module,
            settings=dict(plan.settings),
        )
        self.keepers[plan.id] = Keeper(Plan(plan.id, "reader", start), line)

    def _hear(self, seat: SeatId) -> Callable[[Heard], None]:
        def hear(heard: Heard) -> None:
            self.ears[seat].say(heard)
            if isinstance(heard, Sample):  # a nonce is good for one sample, whichever reader gave it
                for line in self._lines[seat]:
                    if line.reader != heard.reader:
                        line.disarm()

        return hear

    async def run(self) -> None:
        """Keep every reader's child alive, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for keeper in self.keepers.values():
                group.create_task(keeper.run())

    def listen(self, seat: SeatId) -> AsyncGenerator[Heard, None]:
        """Part of `ports.Readers`; one listener a seat."""
        return self.ears[seat].listen()

    def arm(self, seat: SeatId, nonce: Nonce) -> None:
        """Part of `ports.Readers`."""
        for line in self._lines[seat]:
            line.arm(nonce)

    def nudge(self) -> None:
        """Try at once every reader that is down (after a resume)."""
        for keeper in self.keepers.values():
            keeper.nudge()


def _later(seconds: float, call: Callable[[], None]) -> Cancellable:
    return asyncio.get_running_loop().call_later(seconds, call)
