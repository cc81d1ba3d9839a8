"""The verifier and its child with keys: what is signed is checked, counted durably, and then believed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from authd.core.model import Candidate, Denial, Denied, Factor, Fault, Grade, Miss, ReaderId
from authd.core.ports import Clock, Given, PortError, Sample, Unavailable
from authd.service.host.frames import Start
from authd.service.host.gallery import Gallery
from authd.service.host.grants import Grants
from authd.service.host.manifest import Manifest
from authd.service.seal import SealedTemplate
from authd.service.verifier import ChildVerifier, NotAdmittedError, Sealed
from tests.service.fake_checker import signed
from tests.service.test_verifier import NONCE, A, B, InProcess, Now, Store, running
from tests.service.test_verifier import key as key  # a fixture
from tests.service.test_verifier import store as store  # a fixture

K, F = ReaderId("key-1"), ReaderId("finger-1")
HALVES = {"fido2": "tests.service.fake_checker:FakeChecker", "vein": "authd_drivers.example.comparator:ExactComparator"}
READERS = {
    K: Manifest(kind="touch", modality="fido2", capabilities=("capture", "watch", "insertion", "confirm")),
    F: Manifest(kind="touch", modality="fido2", capabilities=("verify",)),
}


class Counters:
    """Signature counters that outlive the child; `broken`: the disk is full."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.broken = False
        self.deaf = False

    async def signatures(self) -> dict[str, int]:
        return {} if self.deaf else self.kept

    async def keep_signature(self, reference: str, counter: int) -> bool:
        if self.broken:
            raise PortError("disk")
        if counter <= self.kept.get(reference, -1):
            return False
        self.kept[reference] = counter
        return True


class Child(InProcess):
    """The very gallery, with a checker in it."""

    def __init__(self, verifier: ChildVerifier) -> None:
        super().__init__(verifier)
        self.gallery = Gallery(Start(1, Grants(), comparators=HALVES, store="st"), bytes(32), cast("Any", self))


@pytest.fixture
def counters() -> Counters:
    return Counters()


@contextlib.asynccontextmanager
async def life(store: Store, key: Path, counters: Counters | None) -> AsyncGenerator[ChildVerifier, None]:
    """One life of the daemon's verifier, over the same store."""
    made = ChildVerifier(key, "st", HALVES, READERS, store.read, cast("Clock", Now()), signatures=counters)
    made.keeper = cast("Any", Child(made))
    async with running(made):
        yield made


@pytest.fixture
async def verifier(store: Store, key: Path, counters: Counters) -> AsyncIterator[ChildVerifier]:
    async with life(store, key, counters) as made:
        yield made


async def admitted(verifier: ChildVerifier, store: Store, id_: str = "k1", subject: Any = A) -> SealedTemplate:
    own = next((each for each in store.sealed.keys if each.subject == subject), None)
    sealed = await verifier.admit(subject, "fido2", "key-1", signed(id_, NONCE), NONCE, own)
    store.keep(sealed)
    await verifier.add(sealed)
    return sealed.templates[0]


def proof(data: bytes, *, silent: bool = False, insertion: str = "1-a") -> Sample:
    return Sample(K, NONCE, data, 1.0, given=Given.PROOF, insertion=insertion, silent=silent)


async def test_a_proof_is_a_candidate_bound_to_its_stay(verifier: ChildVerifier, store: Store) -> None:
    held = await admitted(verifier, store)
    found = await verifier.identify(proof(signed("k1", NONCE, 1)), [A, B])
    assert isinstance(found, Candidate)
    seen = found.evidence
    assert (found.subject, seen.factors, seen.grade) == (A, frozenset({Factor.KEY, Factor.PIN}), Grade.SIGNED)
    assert seen.factor is Factor.KEY
    assert (seen.reference, seen.nonce, seen.margin, seen.bound) == (held.reference, NONCE, 1.0, ((K, "1-a"),))
    assert verifier.credential(held.reference) == b"k1"


@pytest.mark.parametrize(
    ("data", "scope", "why"),
    [
        (signed("other", NONCE, 1), [A], Denied(Denial.UNKNOWN)),
        (signed("k1", NONCE, 1), [B], Denied(Denial.UNKNOWN)),
        (signed("k1", NONCE, 1), [], Denied(Denial.UNKNOWN)),
    ],
)
async def test_a_key_of_nobody_here_is_unknown(
    verifier: ChildVerifier, store: Store, data: bytes, scope: list[Any], why: Denied
) -> None:
    await admitted(verifier, store)
    assert await verifier.identify(proof(data), scope) == why


async def test_an_answer_to_another_question_says_whose(verifier: ChildVerifier, store: Store) -> None:
    held = await admitted(verifier, store)
    found = await verifier.identify(proof(signed("k1", "ff" * 16, 1)), [A])
    assert found == Denied(Denial.REPLAYED, A, held.reference)


@pytest.mark.parametrize("counter", [4, 5])
async def test_a_counter_that_does_not_go_on_is_a_copy_though_everything_was_restarted(
    store: Store, key: Path, counters: Counters, counter: int
) -> None:
    async with life(store, key, counters) as verifier:
        held = await admitted(verifier, store)
        assert isinstance(await verifier.identify(proof(signed("k1", NONCE, 5)), [A]), Candidate)
        assert counters.kept == {held.reference: 5}
    async with life(store, key, counters) as verifier:
        assert await verifier.identify(proof(signed("k1", NONCE, counter)), [A]) == Denied(
            Denial.CLONED, A, held.reference
        )
        assert isinstance(await verifier.identify(proof(signed("k1", NONCE, 6)), [A]), Candidate)


async def test_the_store_finds_a_copy_that_the_child_has_forgotten(store: Store, key: Path, counters: Counters) -> None:
    async with life(store, key, counters) as verifier:
        held = await admitted(verifier, store)
        await verifier.identify(proof(signed("k1", NONCE, 5)), [A])
    counters.deaf = True
    async with life(store, key, counters) as verifier:
        found = await verifier.identify(proof(signed("k1", NONCE, 5)), [A])
        assert found == Denied(Denial.CLONED, A, held.reference)


async def test_nothing_is_believed_that_cannot_be_counted(
    verifier: ChildVerifier, store: Store, counters: Counters
) -> None:
    await admitted(verifier, store)
    counters.broken = True
    with pytest.raises(Unavailable, match="signatures"):
        await verifier.identify(proof(signed("k1", NONCE, 1)), [A])


async def test_without_counters_no_counting_key_is_believed(store: Store, key: Path) -> None:
    async with life(store, key, None) as verifier:
        await admitted(verifier, store)
        with pytest.raises(Unavailable):
            await verifier.identify(proof(signed("k1", NONCE, 1)), [A])
        assert isinstance(await verifier.identify(proof(signed("k1", NONCE)), [A]), Candidate)


async def test_a_revoked_key_is_known_as_revoked_also_after_a_restart(
    store: Store, key: Path, counters: Counters
) -> None:
    async with life(store, key, counters) as verifier:
        held = await admitted(verifier, store)
        other = await admitted(verifier, store, "k2")
        await verifier.identify(proof(signed("k1", NONCE)), [A])
        await verifier.remove(A, held.reference)
        revoked = Denied(Denial.REVOKED, A, held.reference)
        assert await verifier.identify(proof(signed("k1", NONCE)), [A]) == revoked
        assert isinstance(await verifier.identify(proof(signed("k2", NONCE)), [A]), Candidate)
        assert verifier.credential(held.reference) is None
        assert verifier.templates("fido2", [A]) == 1
    store.sealed = Sealed(store.sealed.keys, store.sealed.templates, [held.reference])
    async with life(store, key, counters) as verifier:
        assert await verifier.identify(proof(signed("k1", NONCE)), [A]) == revoked
        found = await verifier.identify(proof(signed("k2", NONCE)), [A])
        assert isinstance(found, Candidate)
        assert found.evidence.reference == other.reference
        assert verifier.templates("fido2", [A]) == 1


async def test_a_silent_answer_rests_on_nobodys_act(verifier: ChildVerifier, store: Store) -> None:
    await admitted(verifier, store)
    found = await verifier.identify(proof(signed("k1", NONCE), silent=True), [A])
    assert isinstance(found, Candidate)
    assert found.evidence.more == frozenset()


@pytest.mark.parametrize(
    "lie",
    [{"subject": "sub_b"}, {"factors": []}, {"factors": ["mind"]}, {"grade": "Z"}],
    ids=lambda lie: next(iter(lie)),
)
async def test_a_checker_that_says_what_it_may_not_is_not_believed(
    verifier: ChildVerifier, store: Store, lie: dict[str, Any]
) -> None:
    await admitted(verifier, store)
    with pytest.raises(Unavailable):
        await verifier.identify(proof(signed("k1", NONCE, **lie)), [A])


async def test_what_is_no_proof_is_nobodys_fault(verifier: ChildVerifier) -> None:
    with pytest.raises(Unavailable, match=Fault.PROTOCOL):
        await verifier.identify(proof(b"\xff"), [A])


@pytest.mark.parametrize(("claim", "miss"), [(A, Miss.NOT_CLAIMED), (None, Miss.NOBODY)])
async def test_a_services_no_is_a_miss_of_whoever_was_named(verifier: ChildVerifier, claim: Any, miss: Miss) -> None:
    no = Sample(F, NONCE, b"", 0.0, claim=claim, given=Given.CLAIMED)
    assert await verifier.identify(no, [A, B]) is miss


async def test_a_service_is_believed_of_the_person_who_was_named_alone(verifier: ChildVerifier, store: Store) -> None:
    await admitted(verifier, store, subject=B)
    yes = Sample(F, NONCE, signed("k1", NONCE, factors=["fingerprint"], grade="B"), 1.0, claim=A, given=Given.CLAIMED)
    assert await verifier.identify(yes, [A, B]) == Denied(Denial.UNKNOWN)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (signed("k1", NONCE, model="bad"), Denial.NOT_ALLOWED),
        (signed("k1", "ff" * 16), Denial.REPLAYED),
        (signed("k1", NONCE, account=B), Denial.REPLAYED),
        (signed("k2", NONCE), Denial.DUPLICATE),
    ],
)
async def test_a_key_that_is_not_good_enough_is_refused_with_its_reason(
    verifier: ChildVerifier, store: Store, made: bytes, why: Denial
) -> None:
    await admitted(verifier, store, "k2")
    with pytest.raises(NotAdmittedError) as refused:
        await verifier.admit(A, "fido2", "key-2", made, NONCE, None)
    assert refused.value.why is why


async def test_a_key_is_described_by_what_finds_it(verifier: ChildVerifier, store: Store) -> None:
    held = await admitted(verifier, store)
    said = await verifier.describe("fido2", held.reference)
    assert (said.credential, said.name) == (b"k1", f"name-{held.reference}")


async def test_a_checker_compares_nothing_and_a_comparator_checks_nothing(
    verifier: ChildVerifier, store: Store
) -> None:
    await admitted(verifier, store)
    assert verifier.checkers == {"fido2"}
    assert verifier.fmr("fido2") is None
    with pytest.raises(Unavailable):
        await verifier.enrol(A, "fido2", "right_index", [b"x"] * 3, None)
    with pytest.raises(Unavailable):
        await verifier.admit(A, "vein", "key-1", b"x", NONCE, None)


async def test_who_is_forgotten_has_no_key(verifier: ChildVerifier, store: Store) -> None:
    await admitted(verifier, store)
    await verifier.remove(A)
    assert await verifier.identify(proof(signed("k1", NONCE)), [A]) == Denied(Denial.UNKNOWN)


async def test_a_key_that_is_revoked_while_it_is_counted_is_not_believed(
    verifier: ChildVerifier, store: Store, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await admitted(verifier, store)

    async def meanwhile(reference: str, counter: int) -> bool:
        await verifier.remove(A, held.reference)
        return True

    monkeypatch.setattr(counters, "keep_signature", meanwhile)
    found = await verifier.identify(proof(signed("k1", NONCE, 1)), [A])
    assert found == Denied(Denial.REVOKED, A, held.reference)
