"""Template update: a touch that was matched clearly may follow an older template of its finger, on a policy's word.

Nothing here happens on its own. Once a session has started by one finger, the rules are asked (`update_template`; the
shipped ones say no); then the verifier seals what it finds clear enough as the next version of a template. The ledger
anchors that version first, then the store keeps it, then the ledger says so, then the gallery has it. Wherever that is
cut off, one of the two versions is good, and never an older one (`Anchored.settle`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from authd.core.model import (
    HOUR,
    Action,
    Candidate,
    Entry,
    Evidence,
    Face,
    Found,
    Instant,
    Kind,
    ReaderId,
    Request,
    SubjectId,
    Value,
)
from authd.core.ports import ONE_FINGER, Asked, Clock, Policy, PortError, Publish, Sample
from authd.service.anchored import anchor_of
from authd.service.ledger import Ledger
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.store import Store
from authd.service.verifier import ChildVerifier, Sealed

AT_MOST_EVERY: Final = 20 * HOUR
"""A finger's templates follow its seasons, not its day."""
FORGOTTEN_AFTER_S: Final = 10.0
WAITING: Final = 16
Modality = Callable[[ReaderId], str]
"""Modality of a reader's samples."""
Allowed = Callable[[], bool]
"""Whether the settings in force allow any update at all."""
log = logging.getLogger("authd.update")


@dataclass(frozen=True, slots=True)
class Matched:
    """A sample that opened a session."""

    sample: Sample
    found: Candidate
    started: Entry


@dataclass(frozen=True, slots=True)
class Bench:
    """What an update works with."""

    verifier: ChildVerifier
    policy: Policy
    ledger: Ledger
    store: Store
    clock: Clock


class Updates:
    """Stands between the pipeline and its verifier and publisher: it sees who was matched and which session began.

    A sample is kept only while the settings allow updates, one a reader, and for ten seconds.
    """

    def __init__(self, bench: Bench, publish: Publish, modality: Modality, allowed: Allowed) -> None:
        self._bench, self._publish, self._modality, self._allowed = bench, publish, modality, allowed
        self._seen: dict[ReaderId, tuple[Sample, Candidate]] = {}
        self._waiting: asyncio.Queue[Matched] = asyncio.Queue(WAITING)
        self._last: dict[tuple[SubjectId, str], Instant] = {}

    # What the pipeline says and asks, passed on.

    async def identify(self, sample: Sample, scope: Sequence[SubjectId], asked: Asked = ONE_FINGER) -> Found:
        """Part of `ports.Verifier`."""
        self._seen.pop(sample.reader, None)
        found = await self._bench.verifier.identify(sample, scope, asked)
        if isinstance(found, Candidate) and self._allowed() and len(found.evidence.fingers) == 1:
            self._seen[sample.reader] = (sample, found)
            asyncio.get_running_loop().call_later(FORGOTTEN_AFTER_S, self._forget, sample)
        return found

    def event(self, entry: Entry) -> None:
        """Part of `ports.Publish`."""
        self._publish.event(entry)
        if entry.kind is Kind.SESSION_STARTED:
            self._heed(entry)

    def face(self, face: Face) -> None:
        """Part of `ports.Publish`."""
        self._publish.face(face)

    def _forget(self, sample: Sample) -> None:
        kept = self._seen.get(sample.reader)
        if kept is not None and kept[0] is sample:
            del self._seen[sample.reader]

    def _heed(self, entry: Entry) -> None:
        """Keep for `run` what opened this session; where too many wait, this one changes nothing."""
        for sample, found in list(self._seen.values()):
            if sample.nonce == entry.data.get("nonce") and found.subject == entry.subject:
                self._forget(sample)
                if not self._waiting.full():
                    self._waiting.put_nowait(Matched(sample, found, entry))

    # The work.

    async def run(self) -> None:
        """Carry out what waits, one after the other. Belongs into the daemon's TaskGroup."""
        while True:
            matched = await self._waiting.get()
            try:
                await self.consider(matched)
            except PortError as error:
                log.warning("no template was updated: %s", error)

    async def consider(self, matched: Matched) -> bool:
        """Update a template by this sample, if everybody agrees; returns whether one was. Raises `PortError`."""
        subject, seen = matched.found.subject, matched.found.evidence
        finger, now = (subject, seen.fingers[0]), self._bench.clock.now()
        if now - self._last.get(finger, -AT_MOST_EVERY) < AT_MOST_EVERY:
            return False
        if not self._bench.policy.decide(_request(matched, seen)).permitted:
            return False
        made = await self._made(subject, seen, matched.sample)
        if made is None:
            return False
        key, template = made
        self._last[finger] = now
        await asyncio.shield(self._keep(template, key, matched))  # once the ledger is asked, the store must follow
        return True

    async def _made(
        self, subject: SubjectId, seen: Evidence, sample: Sample
    ) -> tuple[WrappedKey, SealedTemplate] | None:
        """The next version of a template that the store holds, sealed; None: it is not clear enough, or not that."""
        bench, modality = self._bench, self._modality(sample.reader)
        person = bench.store.people.get(subject)
        key = next((each for each in await bench.store.keys() if each.subject == subject), None)
        if key is None or person is None or person.disabled:
            return None
        made = await bench.verifier.renew(subject, modality, seen.reference, sample.probe, key)
        if made is None:
            return None
        held = next((each for each in await bench.store.templates() if each.id == made.id), None)
        if held is None or _place(held) != (made.version - 1, made.subject, made.modality, seen.fingers[0]):
            log.error("an update of %s is of no template that is stored: nothing is changed", made.reference)
            return None
        return key, replace(made, finger=held.finger)

    async def _keep(self, template: SealedTemplate, key: WrappedKey, matched: Matched) -> None:
        """Ledger, store, ledger, gallery: a template that is not anchored is never stored, and none is left open."""
        bench, entry = self._bench, matched.started
        why: dict[str, Value] = {"session": entry.session, "score": round(matched.found.evidence.score, 4)}
        row = Entry(Kind.ENROLMENT_UPDATED, entry.seat, subject=matched.found.subject, at=bench.clock.now())
        await bench.ledger.append(replace(row, data=anchor_of(template) | why))
        kept = False
        try:
            await bench.store.save_template(template)
            kept = True
        finally:
            bench.ledger.write(replace(row, data={"template": template.reference, "kept": kept}))
        log.info("template %s follows an older one", template.reference)
        try:
            await bench.verifier.add(Sealed([key], [template]))
        except PortError as error:
            log.warning("the verifier is given its gallery anew: %s", error)
            await bench.verifier.reload()


def _place(held: SealedTemplate) -> tuple[int, str, str, str]:
    return held.version, held.subject, held.modality, held.finger


def _request(matched: Matched, seen: Evidence) -> Request:
    """What the policy is asked: of the person whose session this touch has just opened."""
    assert matched.started.seat is not None
    return Request(
        action=Action.UPDATE_TEMPLATE,
        subject=matched.found.subject,
        seat=matched.started.seat,
        factors=frozenset({seen.factor}),
        shift_open=True,
        grade=seen.grade,
        margin=seen.margin,
        pad_level=seen.pad_level,
        pad=seen.pad,
        fresh=frozenset({seen.factor}),
        owner=matched.started.subject,
        fingers=seen.shown,
    )
