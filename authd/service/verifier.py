"""The verifier child as the path sees it (`ports.Verifier`), and as enrolment and the store see it.

The child alone holds the host key and opened templates; here pass only sealed records, probes and answers. It is
crash-only: each time it comes up, the whole gallery is given to it anew, and until then nobody can be identified.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from authd.core.model import (
    FINGERS,
    Candidate,
    Denial,
    Evidence,
    Factor,
    Fault,
    Found,
    Grade,
    Hint,
    Instant,
    Miss,
    Nonce,
    ReaderId,
    SubjectId,
)
from authd.core.ports import ONE_FINGER, SUSPECT, Asked, Clock, Given, PortError, Sample, Unavailable
from authd.service.calls import Calls
from authd.service.holdings import Holdings
from authd.service.host.frames import (
    Admit,
    Answer,
    Check,
    Counted,
    Describe,
    Described,
    Enrol,
    Frame,
    Known,
    Load,
    Loaded,
    Message,
    NotAdmitted,
    Presentation,
    Refused,
    Remove,
    Renew,
    Revoked,
    Scope,
    Search,
    Spoiled,
    Start,
)
from authd.service.host.grants import Grants, Limits
from authd.service.host.manifest import Manifest
from authd.service.host.process import Plan
from authd.service.host.supervisor import Keeper
from authd.service.proofs import Proofs, Signatures
from authd.service.seal import SealedTemplate, WrappedKey

ANSWER_SECONDS = 10.0
LOAD_SECONDS = 60.0
SCOPE_PART = 500
LIMITS = Limits(memory_mb=2048, files=32, threads=4)

T = TypeVar("T")

log = logging.getLogger("authd.verifier")


class NoTemplate(Exception):
    """The presentations do not make a template; `hint` is for the person."""

    def __init__(self, hint: Hint) -> None:
        super().__init__(hint.value)
        self.hint = hint


class NotAdmittedError(Exception):
    """What a key or card offered at enrolment is not good enough."""

    def __init__(self, why: Denial) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Sealed:
    """Keys and templates as the store keeps them; `revoked`: references among them that count no more."""

    keys: Sequence[WrappedKey]
    templates: Sequence[SealedTemplate]
    revoked: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Resembling:
    """Whom some probes resemble, and by which reference.

    replayed: one of them is no new touch; again: it is one of the other fingers of the sitting.
    """

    subject: SubjectId | None
    reference: str = ""
    replayed: bool = False
    again: bool = False


Gallery = Callable[[], Awaitable[Sealed]]
"""Reads every person's records from the store, those left out whose digest is not the anchored one."""


class ChildVerifier(Holdings):
    """The supervised verifier child. `run` belongs into the daemon's TaskGroup.

    key: file of the host key; store: id of the store; comparators: modality -> `module:attribute` as the registry finds
    them; shared: texts for each; readers: the manifest of each reader whose samples will come; signatures: where keys'
    counters are kept, without which none is believed.
    """

    def __init__(
        self,
        key: Path,
        store: str,
        comparators: Mapping[str, str],
        readers: Mapping[ReaderId, Manifest],
        gallery: Gallery,
        clock: Clock,
        *,
        signatures: Signatures | None = None,
        shared: Mapping[str, tuple[str, ...]] | None = None,
        lenient: bool = False,
    ) -> None:
        super().__init__()
        self._readers, self._gallery, self._clock = readers, gallery, clock
        self._signatures = signatures
        self._modalities = {id_: each.modality for id_, each in readers.items() if each.kind == "touch"}
        start = Start(
            0, Grants(limits=LIMITS), not lenient, comparators=dict(comparators), shared=dict(shared or {}), store=store
        )
        self.keeper = Keeper(Plan("verifier", "verifier", start, key), self)
        self.ready = asyncio.Event()
        """Set while the gallery is loaded."""
        self.spoiled: set[str] = set()
        """References of records that did not open in their slot at the last load: swapped, rolled back or damaged."""
        self._up = asyncio.Event()
        self._writing = asyncio.Lock()
        self._calls = Calls(lambda: self.keeper)
        self._busy: set[ReaderId] = set()
        self._proofs = Proofs(self._modalities, signatures, self._ask_check)

    async def run(self) -> None:
        """Keep the child alive and its gallery loaded, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.keeper.run())
                while True:
                    await self._up.wait()
                    self._up.clear()
                    await self._reload()
        finally:
            self.ready.clear()

    # What its child says: the `Handler` of the supervisor.

    def up(self, keeper: Keeper) -> None:
        """The child serves, with an empty gallery."""
        del keeper
        self._up.set()

    def down(self, fault: Fault, detail: str) -> None:
        """The child is gone: what was asked has no answer."""
        del detail
        self.ready.clear()
        self._up.clear()
        self._calls.fail(fault)

    def frame(self, frame: Frame) -> None:
        """Part of an answer; what belongs to no open call came too late."""
        self._calls.take(frame)

    # The path.

    async def identify(self, sample: Sample, scope: Sequence[SubjectId], asked: Asked = ONE_FINGER) -> Found:
        """Part of `ports.Verifier`."""
        captured_at = self._clock.now()
        if sample.pad is not None and sample.pad < SUSPECT:
            return Miss.ATTACK
        if not self.ready.is_set():
            raise Unavailable("verifier: no gallery")
        wanted = [sample.claim] if sample.claim is not None else list(scope)
        nobody = Miss.NOBODY if sample.claim is None else Miss.NOT_CLAIMED
        if sample.given is Given.CLAIMED and (sample.quality == 0 or not wanted):
            return nobody  # a service's no
        if sample.given is not Given.PROBE:
            return await self._checked(sample, wanted, captured_at)
        if not wanted:
            return nobody
        asked = self._same_modality(sample, asked)
        answer = await self._search(sample, wanted, asked)
        if answer.replayed:
            return Miss.REPLAYED
        if not answer.subject:
            return Miss.ANOTHER_FINGER if answer.another else nobody
        return Candidate(SubjectId(answer.subject), self._evidence(sample, asked, answer, captured_at))

    def _same_modality(self, sample: Sample, asked: Asked) -> Asked:
        """A vein and a fingerprint are not compared together: the second of such a pair stands alone."""
        readers = [each.reader for each in (sample, asked.first) if each is not None]
        known = {self._modalities[reader] for reader in readers if reader in self._modalities}
        return asked if len(known) == 1 else replace(asked, first=None)

    def _evidence(self, sample: Sample, asked: Asked, answer: Answer, captured_at: Instant) -> Evidence:
        both = asked.first if len(answer.fingers) > 1 else None
        pads = [each.pad for each in (sample, both) if each is not None and each.pad is not None]
        return Evidence(
            sample.reader,
            Factor(self._modalities[sample.reader]),
            Grade.MATCHED,
            sample.nonce,
            captured_at,
            answer.reference,
            answer.score,
            answer.margin,
            self._readers[sample.reader].pad_level if sample.pad is not None else "none",
            min(pads, default=None),
            tuple(FINGERS[code - 1] for code in answer.fingers if 0 < code <= len(FINGERS)),
            both.nonce if both is not None else Nonce(""),
        )

    async def _search(self, sample: Sample, scope: Sequence[SubjectId], asked: Asked) -> Answer:
        if self._modalities.get(sample.reader) not in set(Factor):
            raise Unavailable(f"verifier: {sample.reader} is no reader of its")
        first = [] if asked.first is None else [Presentation(asked.first.probe)]
        search = Search(self._modalities[sample.reader], sample.probe, asked.fingers, asked.alone or "")
        async with self._only(sample.reader):
            (*_, answer) = await self._calls.ask(chain[Message](_parts(scope), first, [search]), ANSWER_SECONDS)
        if not isinstance(answer, Answer) or (answer.subject and answer.subject not in scope):
            self.keeper.recycle(Fault.PROTOCOL, "an answer to another question")
            raise Unavailable("verifier: protocol")
        return answer

    async def _checked(self, sample: Sample, scope: Sequence[SubjectId], captured_at: Instant) -> Found:
        """What a key or card signed, or a service said."""
        if sample.reader not in self._modalities:
            raise Unavailable(f"verifier: {sample.reader} is no reader of its")
        async with self._only(sample.reader):
            found = await self._proofs.judge(sample, scope, captured_at)
        if found is None:
            self.keeper.recycle(Fault.PROTOCOL, "an answer to another question")
            raise Unavailable("verifier: protocol")
        return found

    async def _ask_check(self, check: Check, scope: Sequence[SubjectId]) -> Message:
        return (await self._calls.ask(chain[Message](_parts(scope), [check]), ANSWER_SECONDS))[-1]

    def credential(self, reference: str) -> bytes | None:
        """Return what a reader needs to find this credential silently; None: it was not checked lately."""
        return self._proofs.credential(reference)

    @asynccontextmanager
    async def _only(self, reader: ReaderId) -> AsyncGenerator[None, None]:
        """One open verification a reader; a second one is refused, not queued."""
        if reader in self._busy:
            raise Unavailable("verifier: busy")
        self._busy.add(reader)
        try:
            yield
        finally:
            self._busy.discard(reader)

    # Enrolment and the store.

    async def enrol(
        self, subject: SubjectId, modality: str, finger: str, probes: Sequence[bytes], key: WrappedKey | None
    ) -> Sealed:
        """Make and seal the templates of one finger; nothing is in the gallery until `add`.

        `key`: the person's own, None for a new person. Raises `NoTemplate`, `Unavailable`.
        """
        own: list[Message] = [key] if key is not None else []
        asked = [*own, *map(Presentation, probes), Enrol(subject, modality, finger)]
        answers = await self._calls.ask(asked, ANSWER_SECONDS)
        if isinstance(answers[-1], Refused):
            raise NoTemplate(Hint(answers[-1].hint))
        return _only_of(answers, (subject, modality, finger))

    async def admit(
        self, subject: SubjectId, modality: str, label: str, made: bytes, nonce: Nonce, key: WrappedKey | None
    ) -> Sealed:
        """Seal the credential that a reader made under this nonce; nothing is known of it until `add`.

        `key`: the person's own, None for a new person. Raises `NotAdmittedError`, `Unavailable`.
        """
        own: list[Message] = [key] if key is not None else []
        answers = await self._calls.ask(
            [*own, Presentation(made), Admit(subject, modality, label, nonce)], ANSWER_SECONDS
        )
        if isinstance(answers[-1], NotAdmitted):
            raise NotAdmittedError(answers[-1].why)
        return _only_of(answers, (subject, modality, label))

    async def describe(self, modality: str, reference: str) -> Described:
        """Return how a reader finds this credential. Raises `Unavailable`."""
        (*_, answer) = await self._calls.ask([Describe(modality, reference)], ANSWER_SECONDS)
        if not isinstance(answer, Described):
            raise Unavailable("verifier: an answer to another question")
        return answer

    async def renew(
        self, subject: SubjectId, modality: str, reference: str, probe: bytes, key: WrappedKey
    ) -> SealedTemplate | None:
        """Seal a probe that has just matched as the next version of a template of its finger; its finger is left empty.

        None: it is not clear enough to change anything. Raises `Unavailable`.
        """
        answers = await self._calls.ask([key, Renew(subject, modality, reference, probe)], ANSWER_SECONDS)
        made = [each for each in answers if isinstance(each, SealedTemplate)]
        if len(made) > 1 or any((each.subject, each.modality) != (subject, modality) for each in made):
            raise Unavailable("verifier: an update of nothing, or of another")
        return made[0] if made else None

    async def known(self, modality: str, probes: Sequence[bytes], earlier: Sequence[bytes]) -> Resembling:
        """Look for each of these probes among everybody's references, and among probes of other fingers.

        Raises `Unavailable`.
        """
        asked: list[Message] = [*map(Presentation, (*probes, *earlier)), Known(modality, len(probes))]
        (*_, answer) = await self._calls.ask(asked, ANSWER_SECONDS)
        if not isinstance(answer, Answer):
            raise Unavailable("verifier: an answer to another question")
        subject = SubjectId(answer.subject) if answer.subject else None
        return Resembling(subject, answer.reference, answer.replayed, answer.again)

    async def add(self, sealed: Sealed) -> None:
        """Add records that the store already holds. While the child is away this is its next load's business."""
        async with self._writing:
            if self.ready.is_set():
                await self._load(sealed, anew=False)

    async def remove(self, subject: SubjectId, reference: str = "") -> None:
        """Forget a person whom the store has already forgotten, or know a credential of theirs as revoked."""
        if reference:
            self._proofs.revoke(reference)
        async with self._writing:
            if self.ready.is_set():
                await self._calls.ask([Remove(subject, reference)], ANSWER_SECONDS)
            self._uncount(subject, reference.partition("@")[0])

    async def reload(self) -> None:
        """Give the whole gallery anew, after a change in the store that `add` and `remove` do not tell."""
        self._up.set()

    async def _reload(self) -> None:
        async with self._writing:  # so that what is added meanwhile comes after what was read here
            try:
                await self._load(await self._gallery(), anew=True)
                self.ready.set()
            except PortError as error:
                log.error("the gallery is not loaded: %s", error)
                self.keeper.recycle(Fault.TIMEOUT, "its gallery could not be loaded")

    async def _load(self, sealed: Sealed, *, anew: bool) -> None:
        *bad, last = await self._calls.ask(await self._load_of(sealed, anew), LOAD_SECONDS)
        if not isinstance(last, Loaded):
            raise Unavailable("verifier: the gallery was not taken")
        spoiled = {each.template for each in bad if isinstance(each, Spoiled)}
        if spoiled:
            log.error("%d templates do not open in their slots: run `authd ledger verify`", len(spoiled))
        lost = spoiled | set(sealed.revoked)
        self._count([each for each in sealed.templates if each.reference not in lost], anew)
        self.spoiled = spoiled if anew else self.spoiled | spoiled
        self._measured(last.fmr, last.rosters, last.checkers)

    async def _load_of(self, sealed: Sealed, anew: bool) -> Iterable[Message]:
        """Keys, templates, how often each key has signed, what was revoked, and the word that closes it."""
        counters = dict(await self._signatures.signatures()) if anew and self._signatures is not None else {}
        counted = (Counted(dict(part)) for part in batched(list(counters.items()), SCOPE_PART))
        revoked = (Revoked(tuple(part)) for part in batched(list(sealed.revoked), SCOPE_PART))
        return chain[Message](sealed.keys, sealed.templates, counted, revoked, [Load(anew)])


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in parts of at most `size`."""
    return (items[i : i + size] for i in range(0, len(items), size))


def _parts(scope: Sequence[SubjectId]) -> Iterator[Message]:
    return (Scope(tuple(part)) for part in batched(scope, SCOPE_PART))


def _only_of(answers: Sequence[Message], slot: tuple[str, str, str]) -> Sealed:
    """What an enrolment made, which is of this person, modality and finger, and of no other."""
    keys = [each for each in answers if isinstance(each, WrappedKey)]
    made = [each for each in answers if isinstance(each, SealedTemplate)]
    if {(each.subject, each.modality, each.finger) for each in made} != {slot} or [key.subject for key in keys] != [
        slot[0]
    ]:
        raise Unavailable("verifier: an enrolment of nothing, or of another")
    return Sealed(keys, made)
