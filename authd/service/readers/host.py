"""All readers of one host: a supervised child each, their words merged by seat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from authd.core.model import Nonce, Prompt, ReaderId, SeatId, SubjectId
from authd.core.ports import Heard, Sample, Unavailable
from authd.driver import Confirm, Delete, Enroll, Event
from authd.service.host.frames import Ended, Start
from authd.service.host.manifest import ManifestError, fill
from authd.service.host.process import Plan
from authd.service.host.supervisor import Keeper
from authd.service.readers.ears import Ears
from authd.service.readers.line import Cancellable, Job, Line
from authd.service.readers.screen_key import Ceremony, Office, ScreenKey
from authd.service.registry import WEBAUTHN, Driver

MOST_SAID = 100
"""Words of an enrolling reader that may wait to be heard."""


LOOK_SECONDS = 0.5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReaderPlan:
    """One `[reader.*]` of the configuration: its driver, as the registry found it, and its settings."""

    id: ReaderId
    driver: Driver
    settings: Mapping[str, str]


class HostReaders:
    """All readers of one host. `run` belongs into the daemon's TaskGroup.

    credential: what a reader needs to find the credential of this reference again, where one was checked before.
    lenient: let bundled drivers run, with a warning, where the kernel cannot give the whole sandbox; never a third
    party's. Raises `ManifestError` where a reader's settings do not fit its manifest, or an office file cannot be read.
    """

    def __init__(
        self,
        seats: Mapping[SeatId, Sequence[ReaderId]],
        readers: Sequence[ReaderPlan],
        *,
        credential: Callable[[str], bytes | None] = lambda _: None,
        lenient: bool = False,
    ) -> None:
        self._credential = credential
        plans = {plan.id: plan for plan in readers}
        self.ears = {seat: Ears() for seat in seats}
        self._lines: dict[SeatId, list[Line | ScreenKey]] = {seat: [] for seat in seats}
        self.keepers: dict[ReaderId, Keeper] = {}
        for seat, ids in seats.items():
            for reader in ids:
                self._add(seat, plans[reader], lenient)

    def _add(self, seat: SeatId, plan: ReaderPlan, lenient: bool) -> None:
        if plan.driver.name == WEBAUTHN:
            office = _office(plan)
            self._lines[seat].append(ScreenKey(plan.id, office, self._hear(seat)))
            return
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
            if isinstance(heard, Sample) and not heard.silent:  # a nonce is good for one sample
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

    def arm(self, seat: SeatId, nonce: Nonce, claim: SubjectId | None = None, *, calm: bool = False) -> None:
        """Part of `ports.Readers`."""
        for line in self._lines[seat]:
            line.arm(nonce, claim, calm=calm)

    def confirm(self, seat: SeatId, nonce: Nonce, reader: ReaderId, reference: str) -> None:
        """Part of `ports.Readers`."""
        line, credential = self._line(seat, reader), self._credential(reference)
        if line is not None and credential is not None:
            line.do(Job(Confirm(nonce, credential), lambda _: None))

    def answer(self, seat: SeatId, reader: ReaderId, typed: str) -> None:
        """Part of `ports.Readers`."""
        line = self._line(seat, reader)
        if line is not None:
            line.answer(typed)

    async def carry_out(
        self, seat: SeatId, reader: ReaderId, op: Enroll | Delete
    ) -> AsyncGenerator[Event | Prompt | None, None]:
        """Have a reader enrol or forget something; yields what it says until it has ended, None where it is silent.

        Raises `Unavailable`.
        """
        line, said = self._line(seat, reader), asyncio.Queue[Event | Prompt | Ended | Unavailable](MOST_SAID)
        if line is None:
            raise Unavailable(f"{reader} is no reader of {seat}")

        def tell(event: Event | Prompt | Ended | None) -> None:
            if said.full():
                said.get_nowait()  # an endless tale: its end is what counts
            said.put_nowait(Unavailable(f"{reader}: gone") if event is None else event)

        job = Job(op, tell)
        line.do(job)
        try:
            while not isinstance(event := await _next(said), Ended):
                if isinstance(event, Unavailable):
                    raise event
                yield event
        finally:
            line.drop(job)

    def enrolling(self, seat: SeatId, modality: str) -> Sequence[ReaderId]:
        """Return the seat's readers of that modality that can enrol, those that are up first."""
        found = [each for each in self._lines.get(seat, ()) if each.enrols(modality)]
        return [each.reader for each in sorted(found, key=lambda each: not each.is_up)]

    # The seat's own screen, as a reader.

    @contextmanager
    def watched(self, seat: SeatId) -> Generator[None, None, None]:
        """A screen of the seat watches for as long as the context lasts."""
        with ExitStack() as stack:
            for each in self._screen_keys(seat):
                stack.enter_context(each.watched())
            yield

    def ceremony(self, seat: SeatId) -> Ceremony | None:
        """What the screen's browser is to ask of a key now; None: none is waited for."""
        return next((found for each in self._screen_keys(seat) if (found := each.ceremony()) is not None), None)

    def signed(self, seat: SeatId, response: bytes) -> bool:
        """Take what the browser got from a key; False: none was waited for."""
        return any(each.signed(response) for each in self._screen_keys(seat))

    def _screen_keys(self, seat: SeatId) -> list[ScreenKey]:
        return [each for each in self._lines.get(seat, ()) if isinstance(each, ScreenKey)]

    def _line(self, seat: SeatId, reader: ReaderId) -> Line | ScreenKey | None:
        return next((line for line in self._lines[seat] if line.reader == reader), None)

    def is_up(self, reader: ReaderId) -> bool:
        """Whether this reader can be used now."""
        return any(line.is_up for lines in self._lines.values() for line in lines if line.reader == reader)

    def nudge(self) -> None:
        """Try at once every reader that is down (after a resume)."""
        for keeper in self.keepers.values():
            keeper.nudge()


async def _next(said: asyncio.Queue[T]) -> T | None:
    """What comes next; None after a moment."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await said.get()
    except TimeoutError:
        return None


def _office(plan: ReaderPlan) -> Office:
    try:
        return Office.read(Path(plan.settings.get("office", "")).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # the codec's and tomllib's errors are ValueErrors
        raise ManifestError(f"{plan.id}: office: {error}") from error


def _later(seconds: float, call: Callable[[], None]) -> Cancellable:
    return asyncio.get_running_loop().call_later(seconds, call)
