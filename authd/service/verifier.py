"""The verifier child as the path sees it (`ports.Verifier`), and as enrolment and the store see it.

The child alone holds the host key and opened templates; here pass only sealed records, probes and answers. It is
crash-only: each time it comes up, the whole gallery is given to it anew, and until then nobody can be identified.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from authd.core.model import (
    FINGERS,
    Candidate,
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
from authd.core.ports import ONE_FINGER, SUSPECT, Asked, Clock, PortError, Sample, Unavailable
from authd.service.holdings import Holdings
from authd.service.host.frames import (
    Answer,
    Ended,
    Enrol,
    Failed,
    Frame,
    Known,
    Load,
    Loaded,
    Message,
    Presentation,
    Refused,
    Remove,
    Renew,
    Scope,
    Search,
    Spoiled,
    Start,
)
from authd.service.host.grants import Grants, Limits
from authd.service.host.manifest import Manifest
from authd.service.host.process import Plan
from authd.service.host.supervisor import Keeper
from authd.service.seal import SealedTemplate, WrappedKey

ANSWER_SECONDS = 10.0
LOAD_SECONDS = 60.0
SCOPE_PART = 500
LIMITS = Limits(memory_mb=2048, files=32, threads=4)
_LAST = (Answer, Loaded, Ended, Refused, Failed)

log = logging.getLogger("authd.verifier")


class NoTemplate(Exception):
    """The presentations do not make a template; `hint` is for the person."""

    def __init__(self, hint: Hint) -> None:
        super().__init__(hint.value)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Sealed:
    """Keys and templates as the store keeps them."""

    keys: Sequence[WrappedKey]
    templates: Sequence[SealedTemplate]


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


@dataclass(slots=True)
class _Call:
    done: asyncio.Future[list[Message]]
    answers: list[Message] = field(default_factory=list[Message])


class ChildVerifier(Holdings):
    """The supervised verifier child. `run` belongs into the daemon's TaskGroup.

    key: file of the host key; store: id of the store; comparators: modality -> `module:attribute` as the registry finds
    them; shared: texts for each; readers: the manifest of each reader whose samples will come.
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
        shared: Mapping[str, tuple[str, ...]] | None = None,
        lenient: bool = False,
    ) -> None:
        super().__init__()
        self._readers, self._gallery, self._clock = readers, gallery, clock
        self._factors = {id_: Factor(each.modality) for id_, each in readers.items() if each.kind == "touch"}
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
        self._calls: dict[int, _Call] = {}
        self._op = 0
        self._busy: set[ReaderId] = set()

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
        for call in self._calls.values():
            if not call.done.done():
                call.done.set_exception(Unavailable(f"verifier: {fault.value}"))

    def frame(self, frame: Frame) -> None:
        """Part of an answer; what belongs to no open call came too late."""
        call = self._calls.get(frame.op)
        if call is None or call.done.done():
            return
        call.answers.append(frame.message)
        if isinstance(frame.message, _LAST):
            call.done.set_result(call.answers)

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
        known = {self._readers[reader].modality for reader in readers if reader in self._factors}
        return asked if len(known) == 1 else replace(asked, first=None)

    def _evidence(self, sample: Sample, asked: Asked, answer: Answer, captured_at: Instant) -> Evidence:
        both = asked.first if len(answer.fingers) > 1 else None
        pads = [each.pad for each in (sample, both) if each is not None and each.pad is not None]
        return Evidence(
            sample.reader,
            self._factors[sample.reader],
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
        if sample.reader not in self._factors:
            raise Unavailable(f"verifier: {sample.reader} is no reader of its")
        parts = (Scope(tuple(scope[i : i + SCOPE_PART])) for i in range(0, len(scope), SCOPE_PART))
        first = [] if asked.first is None else [Presentation(asked.first.probe)]
        search = Search(self._readers[sample.reader].modality, sample.probe, asked.fingers, asked.alone or "")
        async with self._only(sample.reader):
            (*_, answer) = await self._ask(chain[Message](parts, first, [search]), ANSWER_SECONDS)
        if not isinstance(answer, Answer) or (answer.subject and answer.subject not in scope):
            self.keeper.recycle(Fault.PROTOCOL, "an answer to another question")
            raise Unavailable("verifier: protocol")
        return answer

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
        answers = await self._ask(asked, ANSWER_SECONDS)
        if isinstance(answers[-1], Refused):
            raise NoTemplate(Hint(answers[-1].hint))
        keys = [each for each in answers if isinstance(each, WrappedKey)]
        made = [each for each in answers if isinstance(each, SealedTemplate)]
        slots = {(each.subject, each.modality, each.finger) for each in made}
        if slots != {(subject, modality, finger)} or [each.subject for each in keys] != [subject]:
            raise Unavailable("verifier: an enrolment of nothing, or of another")
        return Sealed(keys, made)

    async def renew(
        self, subject: SubjectId, modality: str, reference: str, probe: bytes, key: WrappedKey
    ) -> SealedTemplate | None:
        """Seal a probe that has just matched as the next version of a template of its finger; its finger is left empty.

        None: it is not clear enough to change anything. Raises `Unavailable`.
        """
        answers = await self._ask([key, Renew(subject, modality, reference, probe)], ANSWER_SECONDS)
        made = [each for each in answers if isinstance(each, SealedTemplate)]
        if len(made) > 1 or any((each.subject, each.modality) != (subject, modality) for each in made):
            raise Unavailable("verifier: an update of nothing, or of another")
        return made[0] if made else None

    async def known(self, modality: str, probes: Sequence[bytes], earlier: Sequence[bytes]) -> Resembling:
        """Look for each of these probes among everybody's references, and among probes of other fingers.

        Raises `Unavailable`.
        """
        asked: list[Message] = [*map(Presentation, (*probes, *earlier)), Known(modality, len(probes))]
        (*_, answer) = await self._ask(asked, ANSWER_SECONDS)
        if not isinstance(answer, Answer):
            raise Unavailable("verifier: an answer to another question")
        subject = SubjectId(answer.subject) if answer.subject else None
        return Resembling(subject, answer.reference, answer.replayed, answer.again)

    async def add(self, sealed: Sealed) -> None:
        """Add records that the store already holds. While the child is away this is its next load's business."""
        async with self._writing:
            if self.ready.is_set():
                await self._load(sealed, anew=False)

    async def remove(self, subject: SubjectId) -> None:
        """Forget a person whom the store has already forgotten."""
        async with self._writing:
            if self.ready.is_set():
                await self._ask([Remove(subject)], ANSWER_SECONDS)
            self._uncount(subject)

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
        asked = chain[Message](sealed.keys, sealed.templates, [Load(anew)])
        *bad, last = await self._ask(asked, LOAD_SECONDS)
        if not isinstance(last, Loaded):
            raise Unavailable("verifier: the gallery was not taken")
        spoiled = {each.template for each in bad if isinstance(each, Spoiled)}
        if spoiled:
            log.error("%d templates do not open in their slots: run `authd ledger verify`", len(spoiled))
        self._count([each for each in sealed.templates if each.reference not in spoiled], anew)
        self.spoiled = spoiled if anew else self.spoiled | spoiled
        self._measured(last.fmr, last.rosters)

    async def _ask(self, messages: Iterable[Message], seconds: float) -> list[Message]:
        """Send one operation and return its answers, the last of which ends it. Raises `Unavailable`."""
        self._op += 1
        op, call = self._op, _Call(asyncio.get_running_loop().create_future())
        self._calls[op] = call
        try:
            async with asyncio.timeout(seconds):
                for message in messages:
                    if not self.keeper.send(op, message):
                        raise Unavailable("verifier: away")
                    await self.keeper.drained()
                answers = await call.done
        except TimeoutError:
            self.keeper.recycle(Fault.TIMEOUT, "no answer")
            raise Unavailable("verifier: no answer in time") from None
        finally:
            del self._calls[op]
            if not call.done.cancel() and not call.done.cancelled():
                call.done.exception()  # looked at, so that asyncio does not report it as forgotten
        if isinstance(answers[-1], Failed):
            raise Unavailable(f"verifier: {answers[-1].fault.value}: {answers[-1].detail}")
        return answers
