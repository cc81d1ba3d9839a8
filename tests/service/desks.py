"""An enrolment desk whose devices, verifier and policy do as they are told; seats, ledger and store are real."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from authd.core import ports as port
from authd.core.model import (
    Action,
    Candidate,
    Decision,
    Entry,
    Evidence,
    Face,
    Factor,
    Found,
    Grade,
    Instant,
    Kind,
    Message,
    Miss,
    Nonce,
    ReaderId,
    Request,
    SeatId,
    SeatState,
    SubjectId,
)
from authd.core.pipeline import Pipeline
from authd.service.anchored import Anchored
from authd.service.bus.house import Enrolment, EnrolStep
from authd.service.clock import BootClock, Dice
from authd.service.enrolment import Enrolments
from authd.service.ledger import Ledger
from authd.service.pdp.attributes import Directory
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.seat_keys import HostSeats
from authd.service.sitting import Desk
from authd.service.store import Store
from authd.service.verifier import NoTemplate, Resembling, Sealed
from tests.core.playbook import PERMIT
from tests.service.ledgers import SIGNER

ONE, TWO = SeatId("counter-1"), SeatId("counter-2")
READERS = {ONE: ReaderId("vein-1"), TWO: ReaderId("vein-2")}


@asynccontextmanager
async def working() -> AsyncGenerator[asyncio.TaskGroup, None]:
    """People's hands beside the work; what the work raises is raised as it is."""
    try:
        async with asyncio.TaskGroup() as hands:
            yield hands
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


class World:
    """One host. A finger is a word; the verifier knows a finger by its letters."""

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self.ledger, self.store = ledger, store
        self.clock = BootClock()
        self.anchored = Anchored(store, ledger)
        self.directory = Directory()
        self.gallery: dict[str, SubjectId] = {}
        self.references: dict[SubjectId, list[str]] = {}
        self.unfit: list[NoTemplate] = []
        """What the next enrolments of the verifier raise."""
        self.pads: list[float] = []
        """What the reader says of the next touches; nothing of those after."""
        self.deaf: port.PortError | None = None
        """What the verifier answers to `add` and `remove`."""
        self.reloads = 0
        self.decision: dict[Action, Decision] = {}
        self.faces: dict[SeatId, Face] = {}
        self.armed: dict[SeatId, asyncio.Queue[Nonce]] = {seat: asyncio.Queue() for seat in READERS}
        self._asked: dict[SeatId, Nonce] = {}
        self.calm: dict[SeatId, bool] = {}
        """Whether the last arming of the seat asked nothing of keys."""
        self._queues = {seat: asyncio.Queue[port.Heard]() for seat in READERS}
        itself: Any = self
        ports = port.Ports(itself, itself, ledger, store, itself, HostSeats(store), itself, itself, self.clock, Dice())
        self.pipeline = Pipeline(ports, {seat: frozenset({reader}) for seat, reader in READERS.items()})
        verifier: Any = _Verifier(self)
        self.enrolments = Enrolments(Desk(self.pipeline, self.anchored, itself, store, verifier, lambda reader: "vein"))

    # What happens.

    async def touch(self, seat: SeatId, finger: str) -> None:
        """Lay a finger on the reader, once it is armed."""
        nonce = await self.armed[seat].get()
        while not self.armed[seat].empty():
            nonce = self.armed[seat].get_nowait()
        pad = self.pads.pop(0) if self.pads else None
        self._queues[seat].put_nowait(port.Sample(READERS[seat], nonce, finger.encode(), 0.9, pad))

    def hear(self, seat: SeatId, heard: port.Heard) -> None:
        """The seat's devices say this."""
        self._queues[seat].put_nowait(heard)

    async def log_in(self, seat: SeatId, finger: str) -> None:
        """Touch until the seat is theirs."""
        await self.touch(seat, finger)
        await self.until(lambda: self.pipeline.seats[seat].state is SeatState.ACTIVE)

    async def until(self, good: Any) -> None:
        """Wait for something that happens within the process."""
        async with asyncio.timeout(60):
            while not good():  # noqa: ASYNC110 - what it waits for tells nobody
                await asyncio.sleep(0.001)

    def owner(self, seat: SeatId) -> SubjectId | None:
        """Who sits there."""
        owner = self.pipeline.seats[seat].owner
        return owner.subject if owner else None

    async def enrol(self, order: Enrolment, finger: str, officer: str = "") -> list[EnrolStep]:
        """Enrol somebody who touches as asked, several fingers as `a b`; the officer touches first."""
        words = dict(zip(order.fingers, finger.split(), strict=False))
        steps = list[EnrolStep]()
        async with working() as hands, aclosing(self.enrolments.enrol(order)) as asked:
            async for step in asked:
                steps.append(step)
                if step.step == "officer_touch":
                    hands.create_task(self.step_up(order.seat, officer))
                elif step.step == "touch":
                    hands.create_task(self.touch(order.seat, words.get(step.finger, finger)))
        return steps

    async def step_up(self, seat: SeatId, officer: str) -> None:
        """Touch once a touch is asked for."""
        await self.until(lambda: self.pipeline.seats[seat].state is SeatState.STEPPING_UP)
        await self.touch(seat, officer)

    async def disable(self, subject: SubjectId, seat: SeatId, officer: str, *, erase: bool = False) -> None:
        """Disable somebody, or erase a leaver; the officer touches."""
        async with working() as hands:
            hands.create_task(self.step_up(seat, officer))
            await self.enrolments.revocations.disable(subject, seat, erase=erase)

    async def founders(self) -> tuple[SubjectId, SubjectId]:
        """The first two officers, with the fingers `chief` and `second`."""
        one = await self.enrol(order("1001", officer=True, founding=True), "chief")
        two = await self.enrol(order("1002", officer=True, founding=True), "second")
        assert one[-1].subject is not None
        assert two[-1].subject is not None
        return one[-1].subject, two[-1].subject

    async def kinds(self) -> list[Kind]:
        """Every row of an enrolment that is in the ledger, in order."""
        kinds = (Kind.ENROLMENT_FOUNDED, Kind.ENROLMENT_CREATED, Kind.ENROLMENT_DISABLED)
        rows = [row for kind in kinds for row in await self.ledger.entries(f"kind:{kind}")]
        return [row.entry.kind for row in sorted(rows, key=lambda row: row.seq)]

    # The ports that are told what to do.

    async def listen(self, seat: SeatId) -> AsyncIterator[port.Heard]:
        yield port.ReaderUp(READERS[seat])
        while True:
            yield await self._queues[seat].get()

    def arm(self, seat: SeatId, nonce: Nonce, claim: SubjectId | None = None, *, calm: bool = False) -> None:
        if self._asked.get(seat) != nonce:  # else it is the same question to the same readers
            self._asked[seat] = nonce
            self.calm[seat] = calm
        self.armed[seat].put_nowait(nonce)

    async def identify(
        self, sample: port.Sample, scope: Sequence[SubjectId], asked: port.Asked = port.ONE_FINGER
    ) -> Found:
        subject = self.gallery.get(sample.probe.decode())
        if subject is None or subject not in scope:
            return Miss.NOBODY
        evidence = Evidence(sample.reader, Factor.VEIN, Grade.MATCHED, sample.nonce, Instant(0), "tpl_1@1", margin=1.0)
        return Candidate(subject, evidence)

    async def enrol_finger(self, subject: SubjectId, finger: str, probes: Sequence[bytes]) -> Sealed:
        if self.unfit:
            raise self.unfit.pop(0)
        name = f"tpl_{os.urandom(8).hex()}"
        template = SealedTemplate(name, 1, subject, "vein", finger, probes[0])
        return Sealed([WrappedKey(subject, b"key")], [template])

    async def add(self, sealed: Sealed) -> None:
        self._hear()
        self.gallery |= {each.sealed.decode(): SubjectId(each.subject) for each in sealed.templates}

    async def remove(self, subject: SubjectId) -> None:
        self._hear()
        self.gallery = {finger: each for finger, each in self.gallery.items() if each != subject}

    async def reload(self) -> None:
        self.reloads += 1

    def _hear(self) -> None:
        if self.deaf is not None:
            raise self.deaf

    def scope(self, seat: SeatId) -> Sequence[SubjectId]:
        return [person.subject for person in self.store.people.values() if not person.disabled]

    def members(self, seat: SeatId) -> Sequence[SubjectId]:
        return self.scope(seat)

    def vouches(self, subject: SubjectId) -> int:
        return 0

    def fingers(self, seat: SeatId, *, claimed: bool) -> int:
        return 1

    async def known(self, modality: str, probes: Sequence[bytes], earlier: Sequence[bytes]) -> Resembling:
        """Whoever has any of these fingers; the template is known by its finger's letters."""
        held = {each.sealed: each.reference for each in await self.store.templates()}
        for probe in probes:
            subject = self.gallery.get(probe.decode())
            if subject is not None:
                return Resembling(subject, held.get(probe, ""))
        return Resembling(None, again=not set(probes).isdisjoint(earlier))

    def disabled(self, subject: SubjectId) -> bool:
        person = self.store.people.get(subject)
        return person is None or person.disabled

    def decide(self, request: Request) -> Decision:
        return self.decision.get(request.action, PERMIT)

    def event(self, entry: Entry) -> None:
        pass

    def face(self, face: Face) -> None:
        self.faces[face.seat] = face


class _Verifier:
    """The same object, under the verifier's signature of `enrol`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    async def enrol(
        self, subject: SubjectId, modality: str, finger: str, probes: Sequence[bytes], key: WrappedKey | None
    ) -> Sealed:
        assert modality == "vein"
        made = await self._world.enrol_finger(subject, finger, probes)
        return Sealed([key], made.templates) if key is not None else made


def order(
    number: str = "1003",
    *,
    seat: SeatId = ONE,
    finger: str = "right_index",
    name: str = "佐藤花子",
    officer: bool = False,
    founding: bool = False,
    more: tuple[str, ...] = (),
    adding: bool = False,
) -> Enrolment:
    return Enrolment(seat, number, name, "さとうはなこ", "resident", finger, officer, founding, more, adding)


REFUSE = replace(PERMIT, permitted=False, message=Message.REFUSED)


@asynccontextmanager
async def host(folder: Path) -> AsyncGenerator[World, None]:
    """A life of the daemon: what the folder holds is opened, and closed in the end."""
    clock = BootClock()
    store = await Store.open(folder / "store.sqlite")
    ledger = await Ledger.open(folder / "ledger", SIGNER, clock, clock.wall_ms, reserve=65_536)
    world = World(ledger, store)
    running = asyncio.get_running_loop().create_task(world.pipeline.run())
    try:
        await world.anchored.agree()
        for template in (await world.anchored.read()).templates:
            world.gallery[template.sealed.decode()] = SubjectId(template.subject)
        await world.until(
            lambda: len(world.pipeline.seats) == 2 and all(seat.readers for seat in world.pipeline.seats.values())
        )
        yield world
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await ledger.close()
        await store.close()
