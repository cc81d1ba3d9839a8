from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from authd.core.model import Candidate, Factor, Fault, Grade, Hint, Instant, Miss, Nonce, ReaderId, SubjectId
from authd.core.ports import Clock, PortError, Sample, Unavailable
from authd.service.host.channel import Channel
from authd.service.host.frames import Answer, Frame, Message, Search, Start
from authd.service.host.gallery import Gallery
from authd.service.host.grants import Grants
from authd.service.host.manifest import Manifest
from authd.service.seal import SealedTemplate
from authd.service.verifier import ChildVerifier, NoTemplate, Sealed

R = ReaderId("vein-1")
NONCE = Nonce("01" * 16)
A, B = SubjectId("sub_a"), SubjectId("sub_b")
PROBE, OTHER = b"a" * 32, b"b" * 32
COMPARATORS = {"vein": "authd_drivers.example.comparator:ExactComparator"}
TOUCH = Manifest(kind="touch", modality="vein", capabilities=("capture",), pad_level="heuristic")


class Now:
    boot = "boot"

    def now(self) -> Instant:
        return Instant(7)


class Store:
    """What the store would give; `broken` makes it fail."""

    def __init__(self) -> None:
        self.sealed = Sealed([], [])
        self.broken = False
        self.asked: asyncio.Queue[None] = asyncio.Queue()

    def keep(self, more: Sealed) -> None:
        self.sealed = Sealed([*self.sealed.keys, *more.keys], [*self.sealed.templates, *more.templates])

    async def read(self) -> Sealed:
        self.asked.put_nowait(None)
        if self.broken:
            raise PortError("disk")
        return self.sealed


class InProcess:
    """The keeper of a child that is no process: the very gallery, called in order."""

    def __init__(self, verifier: ChildVerifier) -> None:
        self.verifier = verifier
        self.recycled: list[Fault] = []
        self.given_up = asyncio.Event()
        self.muted = False
        self._inbox: asyncio.Queue[Frame] = asyncio.Queue()
        start = Start(1, Grants(), comparators=COMPARATORS, store="st")
        self.gallery = Gallery(start, bytes(32), cast("Channel", self))

    async def run(self) -> None:
        await self.gallery.open()
        self.verifier.up(cast("Any", self))
        while True:
            await self.gallery.serve(await self._inbox.get())

    def send(self, what: Any, message: Message | None = None) -> bool:
        """Both ends: `send(op, message)` is core's, `send(frame)` the child's."""
        if message is not None:
            if not self.muted:
                self._inbox.put_nowait(Frame(what, message))
        else:
            self.verifier.frame(what)
        return True

    async def drained(self) -> None:
        return

    def recycle(self, fault: Fault, detail: str) -> None:
        assert detail
        self.recycled.append(fault)
        self.given_up.set()
        self.verifier.down(fault, detail)


@contextlib.asynccontextmanager
async def running(verifier: ChildVerifier) -> AsyncGenerator[ChildVerifier, None]:
    task = asyncio.ensure_future(verifier.run())
    try:
        async with asyncio.timeout(60):
            await verifier.ready.wait()
        yield verifier
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def key() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "host.key")
        path.write_bytes(bytes(32))
        yield path


@pytest.fixture
def made(store: Store, key: Path) -> ChildVerifier:
    return ChildVerifier(key, "st", COMPARATORS, {R: TOUCH}, store.read, cast("Clock", Now()))


@pytest.fixture
async def verifier(made: ChildVerifier) -> AsyncIterator[ChildVerifier]:
    made.keeper = cast("Any", InProcess(made))
    async with running(made):
        yield made


def child(verifier: ChildVerifier) -> InProcess:
    return cast("InProcess", verifier.keeper)


def sample(probe: bytes = PROBE, claim: SubjectId | None = None, pad: float | None = None) -> Sample:
    return Sample(R, NONCE, probe, 1.0, pad, claim)


async def enrolled(
    verifier: ChildVerifier, store: Store, subject: SubjectId = A, probe: bytes = PROBE
) -> SealedTemplate:
    sealed = await verifier.enrol(subject, "vein", "ri", [probe] * 3, None)
    store.keep(sealed)
    await verifier.add(sealed)
    return sealed.templates[0]


async def test_a_match_is_a_candidate_with_its_evidence(verifier: ChildVerifier, store: Store) -> None:
    template = await enrolled(verifier, store)
    found = await verifier.identify(sample(pad=0.75), [A, B])
    assert isinstance(found, Candidate)
    assert found.subject == A
    evidence = found.evidence
    assert (evidence.reader, evidence.factor, evidence.grade) == (R, Factor.VEIN, Grade.MATCHED)
    assert (evidence.nonce, evidence.captured_at, evidence.reference) == (NONCE, 7, template.reference)
    assert (evidence.score, evidence.margin) == (1.0, 1.0)
    assert (evidence.pad_level, evidence.pad) == ("heuristic", 0.75)


@pytest.mark.parametrize("claim", [None, A])
async def test_what_the_reader_takes_for_an_attack_is_nobody(
    verifier: ChildVerifier, store: Store, claim: SubjectId | None
) -> None:
    await enrolled(verifier, store)
    assert await verifier.identify(sample(claim=claim, pad=0.49), [A, B]) is Miss.ATTACK
    assert isinstance(await verifier.identify(sample(claim=claim, pad=0.5), [A, B]), Candidate)


async def test_a_reader_that_cannot_tell_has_no_level(verifier: ChildVerifier, store: Store) -> None:
    await enrolled(verifier, store)
    found = await verifier.identify(sample(), [A])
    assert isinstance(found, Candidate)
    assert (found.evidence.pad_level, found.evidence.pad) == ("none", None)


async def test_nobody_out_of_scope_is_found(verifier: ChildVerifier, store: Store) -> None:
    await enrolled(verifier, store)
    assert await verifier.identify(sample(), [B]) is Miss.NOBODY
    assert await verifier.identify(sample(), []) is Miss.NOBODY
    assert await verifier.identify(sample(OTHER), [A]) is Miss.NOBODY


async def test_a_claim_is_compared_with_that_person_alone(verifier: ChildVerifier, store: Store) -> None:
    await enrolled(verifier, store)
    assert isinstance(await verifier.identify(sample(claim=A), [B]), Candidate)
    assert await verifier.identify(sample(claim=B), [A]) is Miss.NOT_CLAIMED


async def test_a_wide_scope_goes_in_parts(verifier: ChildVerifier, store: Store) -> None:
    await enrolled(verifier, store)
    scope = [SubjectId(f"sub_{n:032}") for n in range(5_000)]
    assert isinstance(await verifier.identify(sample(), [*scope, A]), Candidate)


async def test_one_open_verification_a_reader(verifier: ChildVerifier, store: Store) -> None:
    await enrolled(verifier, store)
    found = await asyncio.gather(
        *[verifier.identify(sample(), [A])] * 1, verifier.identify(sample(), [A]), return_exceptions=True
    )
    assert isinstance(found[0], Candidate)
    assert isinstance(found[1], Unavailable)
    assert isinstance(await verifier.identify(sample(), [A]), Candidate)


async def test_a_reader_that_is_not_known_is_refused(verifier: ChildVerifier) -> None:
    with pytest.raises(Unavailable):
        await verifier.identify(Sample(ReaderId("other"), NONCE, PROBE, 1.0), [A])


async def test_a_malformed_probe_is_nobodys_fault(verifier: ChildVerifier) -> None:
    with pytest.raises(Unavailable):
        await verifier.identify(sample(b"short"), [A])


async def test_an_answer_that_names_somebody_else_is_refused(
    verifier: ChildVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(_message: Search, _scope: Any) -> Answer:
        return Answer("sub_other", "tpl_x@1", 1.0, 1.0)

    monkeypatch.setattr(child(verifier).gallery, "_search", search)
    with pytest.raises(Unavailable):
        await verifier.identify(sample(), [A])
    assert child(verifier).recycled == [Fault.PROTOCOL]


async def test_an_answer_that_comes_late_or_to_nothing_is_dropped(verifier: ChildVerifier) -> None:
    for op in (0, 1, 99):
        verifier.frame(Frame(op, Answer("sub_a", "tpl_1@1", 1.0, 1.0)))
    assert await verifier.identify(sample(), [A]) is Miss.NOBODY


async def test_no_answer_in_time_costs_the_child_its_life(
    verifier: ChildVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authd.service.verifier.ANSWER_SECONDS", 0.01)
    child(verifier).muted = True
    with pytest.raises(Unavailable):
        await verifier.identify(sample(), [A])
    assert child(verifier).recycled == [Fault.TIMEOUT]


async def test_while_the_child_is_away_nobody_can_be_identified_and_then_all_is_loaded_anew(
    verifier: ChildVerifier, store: Store
) -> None:
    await enrolled(verifier, store)
    asked = asyncio.ensure_future(verifier.identify(sample(), [A]))
    await asyncio.sleep(0)
    verifier.down(Fault.CRASHED, "")
    with pytest.raises(Unavailable):
        await asked
    with pytest.raises(Unavailable):
        await verifier.identify(sample(), [A])
    verifier.up(verifier.keeper)
    async with asyncio.timeout(60):
        await verifier.ready.wait()
    assert isinstance(await verifier.identify(sample(), [A]), Candidate)


async def test_a_store_that_fails_leaves_the_seat_closed(verifier: ChildVerifier, store: Store) -> None:
    store.broken = True
    verifier.down(Fault.CRASHED, "")
    verifier.up(verifier.keeper)
    async with asyncio.timeout(60):
        await child(verifier).given_up.wait()
    assert not verifier.ready.is_set()


async def test_a_removed_person_is_gone(verifier: ChildVerifier, store: Store) -> None:
    await enrolled(verifier, store)
    await verifier.remove(A)
    assert await verifier.identify(sample(), [A]) is Miss.NOBODY
    assert verifier.templates("vein", [A]) == 0


async def test_the_bound_is_the_rate_times_the_templates_in_scope(verifier: ChildVerifier, store: Store) -> None:
    assert verifier.false_identification("iris", [A]) == 1.0
    await enrolled(verifier, store)
    await enrolled(verifier, store, B, OTHER)
    assert verifier.fmr("vein") == 1e-9
    assert verifier.templates("vein", [A, B]) == 2
    assert verifier.false_identification("vein", [A, B]) == 2e-9


async def test_presentations_that_do_not_agree_are_a_hint(verifier: ChildVerifier) -> None:
    with pytest.raises(NoTemplate) as caught:
        await verifier.enrol(A, "vein", "ri", [PROBE, PROBE, OTHER], None)
    assert caught.value.hint is Hint.REMOVE_AND_RETRY


async def test_a_second_finger_keeps_the_persons_key(verifier: ChildVerifier, store: Store) -> None:
    await enrolled(verifier, store)
    (key,) = store.sealed.keys
    assert (await verifier.enrol(A, "vein", "li", [OTHER] * 3, key)).keys == [key]


async def test_a_spoiled_record_is_named_and_not_counted(verifier: ChildVerifier, store: Store) -> None:
    mine = await enrolled(verifier, store)
    theirs = await enrolled(verifier, store, B, OTHER)
    swapped = SealedTemplate(theirs.id, 1, B, "vein", "ri", mine.sealed)
    store.sealed = Sealed(store.sealed.keys, [mine, swapped])
    verifier.ready.clear()
    await verifier.reload()
    async with asyncio.timeout(60):
        await verifier.ready.wait()
    assert verifier.spoiled == {theirs.reference}
    assert verifier.templates("vein", [A, B]) == 1


@pytest.mark.real
async def test_through_a_real_child_that_is_killed(made: ChildVerifier, store: Store) -> None:
    async with running(made) as verifier:
        await enrolled(verifier, store)
        assert isinstance(await verifier.identify(sample(), [A]), Candidate)
        assert made.keeper.pid is not None
        os.kill(made.keeper.pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            await store.asked.get()
            await store.asked.get()  # read again: another child is up
            await verifier.ready.wait()
        assert isinstance(await verifier.identify(sample(), [A]), Candidate)


@pytest.mark.real
async def test_the_key_of_another_host_opens_nothing(made: ChildVerifier, store: Store, key: Path) -> None:
    async with running(made) as verifier:
        template = await enrolled(verifier, store)
    key.write_bytes(b"\1" * 32)  # noqa: ASYNC240  # 32 bytes
    async with running(made) as verifier:
        assert verifier.spoiled == {template.reference}
        assert await verifier.identify(sample(), [A]) is Miss.NOBODY
