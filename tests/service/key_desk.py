"""The enrolment desk with a reader of keys: a key is a line of JSON, and its checker the fake one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from authd.core.model import Denial, Nonce, Prompt, ReaderId, SeatId, SubjectId
from authd.core.ports import Unavailable
from authd.driver import Delete, Enroll, Enrolled, Event, NotAccepted
from authd.service.bus.house import Enrolment, EnrolStep, Means
from authd.service.enrolment import Enrolments
from authd.service.host.frames import Described
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.sitting import Desk
from authd.service.verifier import NotAdmittedError, Sealed
from tests.service.desks import ONE, World, host, working
from tests.service.fake_checker import FakeChecker, signed

KEYS, SERVICE = ReaderId("key-1"), ReaderId("finger-1")


class Readers:
    """What enrols by itself: says `script` before what it makes, and waits where it asks."""

    def __init__(self) -> None:
        self.script: list[Event | Prompt | None] = []
        self.made: dict[str, Any] = {"id": "k1"}
        self.ends: Event | Exception | None = None
        """What comes in place of a credential."""
        self.goes = 0
        """How often it goes away in the middle, and comes back."""
        self.up = True
        self.asked: list[Enroll | Delete] = []
        self.typed: list[str] = []
        self.answered = asyncio.Event()
        self.modality = {"fido2": [KEYS], "fprintd": [SERVICE]}

    def enrolling(self, seat: SeatId, modality: str) -> Sequence[ReaderId]:
        return self.modality.get(modality, []) if seat == ONE else []

    async def carry_out(
        self, seat: SeatId, reader: ReaderId, op: Enroll | Delete
    ) -> AsyncGenerator[Event | Prompt | None, None]:
        self.asked.append(op)
        if isinstance(op, Delete):
            return
        for event in self.script:
            yield event
            if isinstance(event, Prompt):
                async with asyncio.timeout(60):
                    await self.answered.wait()
                self.answered.clear()
        if self.goes:
            self.goes -= 1
            raise Unavailable("key-1: gone")
        if isinstance(self.ends, Exception):
            raise self.ends
        yield self.ends or Enrolled(signed(nonce=op.nonce, id_=self.made["id"], account=op.account), op.nonce)

    def is_up(self, reader: ReaderId) -> bool:
        return self.up

    def answer(self, seat: SeatId, reader: ReaderId, typed: str) -> None:
        self.typed.append(typed)
        self.answered.set()


class KeyVerifier:
    """The world's verifier, and the checker beside it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.checker = FakeChecker()
        self.checkers = frozenset({"fido2", "fprintd"})
        self.removed: list[tuple[SubjectId, str]] = []
        self.refuse: Denial | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    async def enrol(
        self, subject: SubjectId, modality: str, finger: str, probes: Sequence[bytes], key: WrappedKey | None
    ) -> Sealed:
        return await self._world.enrol_finger(subject, finger, probes)

    async def admit(
        self, subject: SubjectId, modality: str, label: str, made: bytes, nonce: Nonce, key: WrappedKey | None
    ) -> Sealed:
        try:
            if self.refuse is not None:
                raise NotAccepted(self.refuse)
            data = self.checker.admit(made, nonce, subject)
        except NotAccepted as bad:
            raise NotAdmittedError(bad.why) from None
        name = f"tpl_{len(self.checker.held) + len(self.checker.revoked) + 1:032x}"
        template = SealedTemplate(name, 1, subject, modality, label, data)
        return Sealed([key or WrappedKey(subject, b"key")], [template])

    async def add(self, sealed: Sealed) -> None:
        from authd.driver import Reference

        keys = [each for each in sealed.templates if each.modality in self.checkers]
        self.checker.add([Reference(each.subject, each.reference, each.sealed) for each in keys])
        await self._world.add(Sealed(sealed.keys, [each for each in sealed.templates if each not in keys]))

    async def describe(self, modality: str, reference: str) -> Described:
        if not self.checker.credential(reference):
            raise Unavailable("unknown")
        return Described(self.checker.credential(reference), self.checker.name(reference))

    async def remove(self, subject: SubjectId, reference: str = "") -> None:
        self.removed.append((subject, reference))
        self.checker.remove(subject, reference)


class KeyDesk:
    """One host with a seat that reads keys."""

    def __init__(self, world: World, most: int = 2) -> None:
        self.world = world
        self.readers, self.verifier = Readers(), KeyVerifier(world)
        world_: Any = world
        verifier: Any = self.verifier
        self.enrolments = world.enrolments = Enrolments(
            Desk(
                world.pipeline,
                world.anchored,
                world_,
                world.store,
                verifier,
                lambda reader: "vein",
                self.readers,
                most,
            )
        )

    async def enrol(self, order: Enrolment, officer: str = "chief") -> list[EnrolStep]:
        """Enrol; the officer touches, and every prompt is answered."""
        steps = list[EnrolStep]()
        async with working() as hands:
            async for step in self.enrolments.enrol(order):
                steps.append(step)
                if step.step == "officer_touch":
                    hands.create_task(self.world.step_up(order.seat, officer))
                elif step.step in ("pin", "new_pin"):
                    assert self.enrolments.answer(order.seat, "1234")
        return steps

    async def revoke(self, reference: str, officer: str = "chief") -> None:
        async with working() as hands:
            hands.create_task(self.world.step_up(ONE, officer))
            await self.enrolments.revocations.revoke(reference, ONE)


def key_order(number: str = "1002", *, means: Means = Means.KEY, finger: str = "right_index") -> Enrolment:
    return Enrolment(ONE, number, "", "", "", finger, adding=True, means=means)


def new_order(number: str = "1009") -> Enrolment:
    return Enrolment(ONE, number, "伊藤健", "いとうけん", "tax", "right_index", means=Means.KEY)


@asynccontextmanager
async def key_host(folder: Path) -> AsyncGenerator[KeyDesk, None]:
    """Two founders with fingers, the first of whom sits at the seat."""
    async with host(folder) as world:
        await world.founders()
        desk = KeyDesk(world)
        await world.log_in(ONE, "chief")
        yield desk
