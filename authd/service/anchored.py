"""What the store holds, held against what the ledger vouches for: the store can be edited, the ledger cannot."""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from authd.core.model import Entry, Kind, SubjectId, Value
from authd.service.ledger import Anchor, Ledger
from authd.service.seal import SealedTemplate
from authd.service.store import Store
from authd.service.verifier import Sealed

OFFICER, STAFF = "officer", "staff"
"""What the ledger's row of an enrolment calls the person, under `role`."""
log = logging.getLogger("authd.anchored")


@dataclass(frozen=True, slots=True)
class Held:
    """One template or credential of a person."""

    reference: str
    modality: str
    label: str
    """The finger's name, or `key-1`."""
    revoked: bool = False


class Anchored:
    """The gallery of one host. `read` is what the verifier child is given each time it comes up."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store, self._ledger = store, ledger
        self.left_out: tuple[str, ...] = ()
        """Templates of the store that are not the anchored ones (swapped, rolled back, added), at the last reading."""
        self.missing: tuple[str, ...] = ()
        """Anchored templates that are not in the store (deleted, or a crash came before they were stored)."""

    async def read(self) -> Sealed:
        """Return every key, and every template that the ledger anchors as current; the rest is said."""
        anchors, stored = await self._ledger.anchors(), await self._store.templates()
        active = {person.subject for person in self._store.people.values() if not person.disabled}
        wanted = [template for template in stored if template.subject in active]
        good = [template for template in wanted if _is_anchored(template, anchors.get(template.id))]
        revoked = [each.reference for each in good if anchors[each.id].revoked]
        self.left_out = tuple(each.reference for each in wanted if each not in good)
        self.missing = tuple(sorted(anchors.keys() - {template.id for template in stored}))
        for reference in self.left_out:
            log.error("template %s is not the one that the ledger anchors: left out", reference)
        for name in self.missing:
            log.error("template %s, which the ledger anchors, is not in the store: enrol that finger again", name)
        return Sealed(await self._store.keys(), good, revoked)

    async def held(self, subject: SubjectId) -> list[Held]:
        """Return what a person has enrolled, as ledger and store agree on it, the revoked too; the oldest first."""
        anchors = await self._ledger.anchors()
        theirs = [each for each in await self._store.templates() if each.subject == subject]
        good = [(each, anchors[each.id]) for each in theirs if _is_anchored(each, anchors.get(each.id))]
        good.sort(key=lambda each: each[1].seq)
        return [Held(each.reference, each.modality, each.finger, anchor.revoked) for each, anchor in good]

    async def agree(self) -> None:
        """Disable whom the ledger has disabled, should the store say otherwise (a crash, or somebody's edit)."""
        rows = await self._ledger.entries(f"kind:{Kind.ENROLMENT_DISABLED}")
        gone = {row.entry.subject for row in rows}
        held = {each.subject for each in await self._store.templates()}
        held |= {key.subject for key in await self._store.keys()}
        for subject in held & {row.entry.subject or "" for row in rows if row.entry.data.get("erased")}:
            log.error("%s is erased in the ledger and was not in the store: erased now", subject)
            await self._store.erase(SubjectId(subject))
        for person in list(self._store.people.values()):
            if person.subject in gone and not person.disabled:
                log.error("%s is disabled in the ledger and was not in the store: disabled now", person.subject)
                await self._store.disable(person.subject)

    async def settle(self) -> None:
        """Say of each newer version that a crash left open whether it was stored; from then on only one is good."""
        stored = {template.id: template for template in await self._store.templates()}
        for anchor in (await self._ledger.anchors()).values():
            held = stored.get(anchor.template)
            if anchor.before is None or held is None or not _is_anchored(held, anchor):
                continue
            data: dict[str, Value] = {
                "template": f"{anchor.template}@{anchor.version}",
                "kept": held.version == anchor.version,
            }
            await self._ledger.append(Entry(Kind.ENROLMENT_UPDATED, subject=anchor.subject, data=data))

    async def founded(self) -> AbstractSet[SubjectId | None]:
        """Return whoever was ever founded."""
        rows = await self._ledger.entries(f"kind:{Kind.ENROLMENT_FOUNDED}")
        return {row.entry.subject for row in rows}

    async def officer(self, subject: SubjectId) -> bool:
        """Whether the ledger says that this person was enrolled as an officer; the store's word alone is not enough."""
        if subject in await self.founded():
            return True
        rows = await self._ledger.entries(f"kind:{Kind.ENROLMENT_CREATED}")
        return any(row.entry.subject == subject and row.entry.data.get("role") == OFFICER for row in rows)


def anchor_of(template: SealedTemplate) -> dict[str, Value]:
    """What the ledger's row of a template says of it."""
    return {
        "template": template.reference,
        "digest": template.digest,
        "modality": template.modality,
        "finger": template.finger,
    }


def _is_anchored(template: SealedTemplate, anchor: Anchor | None) -> bool:
    return anchor is not None and anchor.holds(template.version, template.digest, template.subject)
