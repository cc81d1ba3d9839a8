"""The verifier child's work: open sealed templates into comparators' and checkers' galleries, compare, check, enrol.

The only code that ever sees a template in clear. It has no device, file or network; what it is told arrives in frames
from core, and what it answers is a candidate, or nobody.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from authd.core.model import FINGERS, Fault, Hint
from authd.driver import Checker, Comparator, DriverError, NotAccepted, Reference
from authd.service.host import checking
from authd.service.host.channel import Channel
from authd.service.host.frames import (
    Admit,
    Answer,
    Check,
    Counted,
    Describe,
    Described,
    Ended,
    Enrol,
    Failed,
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
from authd.service.seal import SealedTemplate, SealError, WrappedKey, new_key, seal, unseal, unwrap, wrap

MAX_TEMPLATES = 1_000_000
MAX_PRESENTATIONS = 20
MAX_OPEN_LISTS = 16


@dataclass(slots=True)
class _Lists:
    """What was sent under one operation before the frame that closes it."""

    keys: dict[str, WrappedKey] = field(default_factory=dict[str, WrappedKey])
    templates: list[SealedTemplate] = field(default_factory=list[SealedTemplate])
    subjects: list[str] = field(default_factory=list[str])
    probes: list[bytes] = field(default_factory=list[bytes])
    counters: dict[str, int] = field(default_factory=dict[str, int])
    revoked: set[str] = field(default_factory=set[str])


class Gallery:
    """Serves the verifier's operations, one after the other, with the comparison in a thread so that beats go on."""

    def __init__(self, start: Start, host_key: bytes, channel: Channel) -> None:
        self._start, self._host_key, self._channel = start, host_key, channel
        self._comparators: dict[str, Comparator] = {}
        self._checkers: dict[str, Checker] = {}
        self._subjects: dict[str, dict[str, set[str]]] = {}
        """Templates, without their versions, by modality and person."""
        self._lists: dict[int, _Lists] = {}

    async def open(self) -> None:
        """Load the code of the comparators and checkers."""
        for modality, target in self._start.comparators.items():
            module, _, attribute = target.partition(":")
            make: Callable[..., Comparator | Checker] = getattr(importlib.import_module(module), attribute)
            shared = self._start.shared.get(modality)
            half = make(shared) if shared else make()
            if checking.is_checker(half):
                self._checkers[modality] = half
            else:
                self._comparators[modality] = cast("Comparator", half)
            self._subjects[modality] = {}

    async def close(self) -> None:
        """Nothing to release: the gallery goes with the process."""

    async def serve(self, frame: Frame) -> None:
        """Add to the operation's lists, or close them and answer."""
        lists, message = self._lists.setdefault(frame.op, _Lists()), frame.message
        if self._gathered(lists, message):
            if len(self._lists) > MAX_OPEN_LISTS or len(lists.templates) > MAX_TEMPLATES:
                raise DriverError(Fault.FULL, "too much at once")
            return
        del self._lists[frame.op]
        try:
            for answer in await asyncio.to_thread(self._answers, lists, message):
                self._channel.send(Frame(frame.op, answer))
                await self._channel.drained()
        except DriverError as error:
            self._channel.send(Frame(frame.op, Failed(error.fault, error.detail[:500])))

    def _gathered(self, lists: _Lists, message: Message) -> bool:
        match message:
            case WrappedKey():
                lists.keys[message.subject] = message
            case SealedTemplate():
                lists.templates.append(message)
            case Scope():
                lists.subjects += message.subjects
            case Counted():
                lists.counters |= message.counters
            case Revoked():
                lists.revoked.update(message.references)
            case Presentation() if len(lists.probes) < MAX_PRESENTATIONS:
                lists.probes.append(message.probe)
            case _:
                return False
        return True

    def _answers(self, lists: _Lists, message: Message) -> list[Message]:
        match message:
            case Load():
                return self._load(lists, message.replace)
            case Remove():
                return self._remove(message.subject, message.reference)
            case Search():
                return [self._search(message, lists)]
            case Check():
                return [checking.check(self._checker(message.modality), message, lists.subjects)]
            case Describe():
                checker = self._checker(message.modality)
                return [Described(checker.credential(message.reference), checker.name(message.reference))]
            case Admit():
                return self._admit(message, lists)
            case Known():
                return [self._known(message, lists.probes)]
            case Enrol():
                return self._enrol(message, lists)
            case Renew():
                return self._renew(message, lists)
            case _:
                raise DriverError(Fault.PROTOCOL, type(message).__name__)

    def _load(self, lists: _Lists, anew: bool) -> list[Message]:
        opened: dict[str, list[Reference]] = {modality: [] for modality in self._subjects}
        spoiled: list[Message] = []
        keys = {subject: self._key(wrapped) for subject, wrapped in lists.keys.items()}
        for template in lists.templates:
            try:
                data = unseal(keys.get(template.subject) or b"", self._start.store, template)
                opened[template.modality].append(Reference(template.subject, template.reference, data))
            except (SealError, KeyError, ValueError):
                spoiled.append(Spoiled(template.reference))
        for modality, references in opened.items():
            self._hand_over(modality, references, lists, anew)
        return [*spoiled, self._loaded()]

    def _key(self, wrapped: WrappedKey) -> bytes | None:
        """Return the person's key; None if it does not open: then none of the person's templates does."""
        try:
            return unwrap(self._host_key, self._start.store, wrapped)
        except SealError:
            return None

    def _hand_over(self, modality: str, references: list[Reference], lists: _Lists, anew: bool) -> None:
        counts, revoked = self._subjects[modality], frozenset(lists.revoked)
        good = [each for each in references if each.id not in revoked]
        if modality in self._checkers:
            good = checking.hand_over(self._checkers[modality], references, lists.counters, revoked, anew)
        elif anew:
            self._comparators[modality].load(good)
        elif good:
            self._comparators[modality].add(good)
        if anew:
            counts.clear()
        for reference in good:
            counts.setdefault(reference.subject, set()).add(reference.id.partition("@")[0])

    def _loaded(self) -> Loaded:
        return Loaded(
            {modality: sum(map(len, counts.values())) for modality, counts in self._subjects.items()},
            {modality: float(comparator.fmr) for modality, comparator in self._comparators.items()},
            {name: tuple(comparator.rosters) for name, comparator in self._comparators.items() if comparator.rosters},
            tuple(self._checkers),
        )

    def _remove(self, subject: str, reference: str) -> list[Message]:
        for modality, checker in self._checkers.items():
            held = self._subjects[modality].get(subject, set())
            if not reference:
                checker.remove(subject)
                self._subjects[modality].pop(subject, None)
            elif reference.partition("@")[0] in held:
                checker.remove(subject, reference)
                held.discard(reference.partition("@")[0])
        for modality, comparator in self._comparators.items():
            if not reference:  # of one template of a finger, a comparator is told with its next gallery
                comparator.remove(subject)
                self._subjects[modality].pop(subject, None)
        return [self._loaded()]

    def _search(self, message: Search, lists: _Lists) -> Answer:
        """Compare, and hold what the comparator found against what an answer must rest on."""
        scope, first = lists.subjects, lists.probes[0] if lists.probes else b""
        found = self._comparator(message.modality).search(message.probe, scope, first)
        if found.replayed:
            return Answer(replayed=True)
        codes = found.fingers
        if len(codes) > 1 and not (first and len(set(codes)) == len(codes) == 2 and all(codes)):
            raise DriverError(Fault.PROTOCOL, "the comparator counted one finger twice")
        best = found.best
        if best is None or (len(codes) < message.fingers and message.fingers > 1 and best.subject != message.alone):
            return Answer(another=not first and (message.fingers > 1 or found.unsure))
        if best.subject not in scope or not math.isfinite(best.score) or not math.isfinite(found.margin):
            raise DriverError(Fault.PROTOCOL, "the comparator answered what was not asked")
        return Answer(best.subject, best.reference, float(best.score), float(found.margin), fingers=codes)

    def _known(self, message: Known, probes: Sequence[bytes]) -> Answer:
        new, earlier = probes[: message.new], probes[message.new :]
        found = self._comparator(message.modality).known(new, earlier)
        best = found.best
        if best is None or found.replayed or found.again:
            return Answer(replayed=found.replayed, again=found.again)
        return Answer(best.subject, best.reference)

    def _enrol(self, message: Enrol, lists: _Lists) -> list[Message]:
        try:
            code = FINGERS.index(message.finger) + 1 if message.finger in FINGERS else 0
            made = self._comparator(message.modality).enrol(lists.probes, code)
        except ValueError as error:
            if error.args[:1] and error.args[0] in set(Hint):
                return [Refused(str(error.args[0]))]
            raise  # a bug of the comparator's: the child ends with it
        key, own = self._own_key(message.subject, lists)
        return [own, *(self._sealed(key, message, message.finger, data) for data in made), Ended()]

    def _admit(self, message: Admit, lists: _Lists) -> list[Message]:
        checker = self._checker(message.modality)
        if len(lists.probes) != 1:
            raise DriverError(Fault.PROTOCOL, "one credential is expected")
        try:
            made = checker.admit(lists.probes[0], message.nonce, message.subject)
        except NotAccepted as bad:
            return [NotAdmitted(bad.why)]
        key, own = self._own_key(message.subject, lists)
        return [own, self._sealed(key, message, message.label, made), Ended()]

    def _own_key(self, subject: str, lists: _Lists) -> tuple[bytes, WrappedKey]:
        """The person's own key, or a new one."""
        wrapped = lists.keys.get(subject)
        key = self._key(wrapped) if wrapped else new_key()
        if key is None:
            raise DriverError(Fault.PROTOCOL, "the person's key does not open")
        return key, wrapped or wrap(self._host_key, self._start.store, subject, key)

    def _renew(self, message: Renew, lists: _Lists) -> list[Message]:
        """The version counts on in the slot that is renewed; which slot that is, the comparator says."""
        made = self._comparator(message.modality).renew(message.probe, message.reference)
        if made is None:
            return [Ended()]
        wrapped = lists.keys.get(message.subject)
        key = self._key(wrapped) if wrapped else None
        name, _, version = made[0].partition("@")
        if key is None or not version.isdigit():
            raise DriverError(Fault.PROTOCOL, "the person's key does not open, or the reference names no version")
        slot = SealedTemplate(name, int(version) + 1, message.subject, message.modality, "", b"")
        return [seal(key, self._start.store, slot, made[1]), Ended()]

    def _sealed(self, key: bytes, message: Enrol | Admit, label: str, data: bytes) -> SealedTemplate:
        name = f"tpl_{os.urandom(16).hex()}"
        slot = SealedTemplate(name, 1, message.subject, message.modality, label, b"")
        return seal(key, self._start.store, slot, data)

    def _comparator(self, modality: str) -> Comparator:
        comparator = self._comparators.get(modality)
        if comparator is None:
            raise DriverError(Fault.NOT_PERMITTED, f"no comparator for {modality!r}")
        return comparator

    def _checker(self, modality: str) -> Checker:
        checker = self._checkers.get(modality)
        if checker is None:
            raise DriverError(Fault.NOT_PERMITTED, f"no checker for {modality!r}")
        return checker
