"""What an officer takes away: a person's logins, one key or card. And the review of what two people did together."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Final

from authd.core import seat as machine
from authd.core.model import Entry, Evidence, Kind, SeatId, SubjectId, Value
from authd.core.ports import PortError
from authd.driver import Delete
from authd.service.anchored import Held
from authd.service.bus.house import BreakGlass, Error, Refused
from authd.service.key_sitting import MODALITIES
from authd.service.officers import Officers
from authd.service.roster import attributes
from authd.service.sitting import Desk

FORGET_S: Final = 10.0
log = logging.getLogger("authd.revocation")


class Revocations:
    """After an officer's fresh touch, the ledger first."""

    def __init__(self, desk: Desk, officers: Officers) -> None:
        self._desk, self._officers = desk, officers

    async def disable(self, subject: SubjectId, seat: SeatId, *, erase: bool = False) -> None:
        """Let no session of this person open any more, and end those that are open.

        `erase`: a leaver, disabled before or not, whose templates and key are destroyed too; who did what stays known.
        """
        self._officers.refuse_unknown(subject, disabled=erase)
        officer = await self._officers.fresh(seat)
        if officer.subject == subject:
            raise Refused(Error.REFUSED, "an officer cannot disable themselves")
        async with self._officers.changing:  # two officers who disable each other: one of them is left
            self._officers.refuse_unknown(subject, disabled=erase)
            self._officers.refuse_unknown(officer.subject)
            data: dict[str, Value] = {"erased": True} if erase else {}
            await self._officers.record(Kind.ENROLMENT_DISABLED, seat, subject, officer, data)
            await asyncio.shield(self._shut_out(subject, erase))

    async def _shut_out(self, subject: SubjectId, erase: bool) -> None:
        """Out at once; only then what takes time, and may fail."""
        desk = self._desk
        desk.store.refuse(subject)
        desk.pdp.directory.update(attributes(desk.store.people[subject]))
        desk.pipeline.revoke(subject)
        kept = await self._kept_in_devices(subject)
        try:
            await (desk.store.erase(subject) if erase else desk.store.disable(subject))
        finally:
            await self._officers.tell_verifier(desk.verifier.remove(subject))
        for modality, name in kept:
            await self._forget(modality, name)

    async def _kept_in_devices(self, subject: SubjectId) -> list[tuple[str, str]]:
        """Modality and name of what devices themselves keep of a person; nothing where that cannot be said now."""
        try:
            stored = await self._desk.store.templates()
        except PortError:
            return []
        theirs = [each for each in stored if each.subject == subject and each.modality in MODALITIES.values()]
        named = [(each.modality, await self._name_in_device(each.modality, each.reference)) for each in theirs]
        return [(modality, name) for modality, name in named if name]

    async def revoke(self, reference: str, seat: SeatId) -> None:
        """Let nothing open with this key or card any more, and end what rests on it; the person stays."""
        person, held = await self._holder(reference)
        officer = await self._officers.fresh(seat)
        async with self._officers.changing:
            person, held = await self._holder(reference)  # it may have been revoked meanwhile
            data: dict[str, Value] = {"template": reference, "modality": held.modality, "finger": held.label}
            await self._officers.record(Kind.ENROLMENT_REVOKED, seat, person, officer, data)
            await asyncio.shield(self._withdraw(person, held))

    async def _holder(self, reference: str) -> tuple[SubjectId, Held]:
        """Whose it is; `Refused` where it is nobody's, revoked already, or a template, which is compared."""
        for template in await self._desk.store.templates():
            if template.reference != reference:
                continue
            held = next(
                (
                    each
                    for each in await self._desk.anchored.held(SubjectId(template.subject))
                    if each.reference == reference
                ),
                None,
            )
            if held is None or held.revoked:
                break
            if held.modality not in self._desk.verifier.checkers:
                raise Refused(Error.REFUSED, "this is a finger: only keys, cards and what a service keeps are revoked")
            return SubjectId(template.subject), held
        raise Refused(Error.NOT_FOUND, "no such key or card, or revoked already")

    async def _withdraw(self, subject: SubjectId, held: Held) -> None:
        """The sessions first, which are in memory; then the verifier; then what a device may keep of it."""
        self._end_what_rests_on(subject, held.reference)
        name = await self._name_in_device(held.modality, held.reference)
        await self._officers.tell_verifier(self._desk.verifier.remove(subject, held.reference))
        self._end_what_rests_on(subject, held.reference)  # what was being checked meanwhile
        if name:
            await self._forget(held.modality, name)

    def _end_what_rests_on(self, subject: SubjectId, reference: str) -> None:
        """Open sessions, grants that are being recorded, and the shift that it may have begun."""
        pipeline = self._desk.pipeline
        pipeline.shifts.pop(subject, None)
        for seat, state in list(pipeline.seats.items()):
            sessions = [each for each in (state.owner, state.pending) if each is not None]
            if any(each.subject == subject and _rests_on(each.evidence, reference) for each in sessions):
                pipeline.feed(seat, machine.Revoked(subject))

    async def _name_in_device(self, modality: str, reference: str) -> str:
        try:
            return (await self._desk.verifier.describe(modality, reference)).name
        except PortError:
            return ""

    async def _forget(self, modality: str, name: str) -> None:
        """Where a device keeps it itself, it forgets it too; one that cannot now is no reason to keep the rest."""
        readers = self._desk.readers
        if readers is None:
            return
        for seat in self._desk.pipeline.seats:
            for reader in readers.enrolling(seat, modality):
                try:
                    async with (
                        asyncio.timeout(FORGET_S),
                        aclosing(readers.carry_out(seat, reader, Delete(name))) as said,
                    ):
                        async for _ in said:
                            pass
                except (PortError, TimeoutError) as error:
                    log.warning("%s may still keep what was revoked: %s", reader, error)

    async def review(self, opened: BreakGlass, seat: SeatId) -> None:
        """Record that an officer, who is neither of the two, has reviewed a session outside the rules."""
        officer = await self._officers.fresh(seat)
        if officer.subject in (opened.subject, opened.helper):
            raise Refused(Error.REFUSED, "somebody else reviews it than who opened it")
        ports = self._desk.pipeline.ports
        data: dict[str, Value] = {"officer": officer.subject}
        entry = Entry(
            Kind.BREAKGLASS_REVIEWED,
            opened.seat,
            subject=opened.subject,
            session=opened.session,
            at=ports.clock.now(),
            data=data,
        )
        await ports.ledger.append(entry)


def _rests_on(evidence: Evidence, reference: str) -> bool:
    """Two factors have two references, joined; what must stay has its own."""
    return reference in (*evidence.reference.split("+"), *evidence.held)
