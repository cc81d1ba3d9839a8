"""Two fingers through a real verifier child and the vein comparator: enrolled, asked for, fused, searched, renewed."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from authd.core.model import Candidate, Found, Miss, Nonce, ReaderId, SubjectId
from authd.core.ports import Asked, Clock, Sample
from authd.service.host.manifest import Manifest
from authd.service.pdp import choose
from authd.service.seal import WrappedKey
from authd.service.verifier import ChildVerifier, NoTemplate, Sealed
from authd_drivers.vein.engine.profile import PROFILES
from tests.drivers.veins import probes
from tests.service.test_verifier import Now, Store, running

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

R = ReaderId("vein-1")
ANN, BEN = SubjectId("sub_ann"), SubjectId("sub_ben")
SCOPE = [ANN, BEN]
INDEX, MIDDLE = "right_index", "left_middle"
TABLE = """
[[roster]]
people = 20
fingers = 1
threshold = {one}
margin = 0.04
fnir_percent = 2.0
bound = 5e-05
[[roster]]
people = 20
fingers = 2
threshold = 0.55
margin = 0.04
fnir_percent = 0.1
bound = 5e-06
"""


def probe(who: SubjectId, finger: str, touch: int) -> bytes:
    return probes(f"{who}-{finger}", 24)[touch]


def sample(who: SubjectId, finger: str, touch: int) -> Sample:
    return Sample(R, Nonce(secrets.token_hex(16)), probe(who, finger, touch), 0.9)


class Child:
    """A verifier child with two people of two fingers; each touch of theirs is a new one."""

    def __init__(self, verifier: ChildVerifier, store: Store) -> None:
        self.verifier, self.store = verifier, store
        self._next: dict[tuple[SubjectId, str], int] = {}

    def touch(self, who: SubjectId, finger: str) -> Sample:
        number = self._next[who, finger] = self._next[who, finger] + 1
        return sample(who, finger, number)

    async def enrol(self, who: SubjectId, finger: str, key: WrappedKey | None) -> WrappedKey:
        """By three touches that fit together; the next ones are to be recognised."""
        for first in range(8):
            with suppress(NoTemplate):
                three = [probe(who, finger, first + more) for more in range(3)]
                made = await self.verifier.enrol(who, "vein", finger, three, key)
                self._next[who, finger] = first + 2
                break
        else:
            raise AssertionError(f"{finger} of {who} never fits together")
        self.store.keep(made)
        await self.verifier.add(made)
        return made.keys[0]

    async def identify(self, touched: Sample, asked: Asked) -> Found:
        return await self.verifier.identify(touched, SCOPE, asked)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def child() -> AsyncIterator[Child]:
    store = Store()
    manifest = Manifest(kind="touch", modality="vein", capabilities=("capture",), pad_level="heuristic")
    comparators = {"vein": "authd_drivers.vein.comparator:VeinComparator"}
    profile = (PROFILES / "sim.toml").read_text("utf-8").partition("[[roster]]")[0] + TABLE.format(one=0.32)
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "host.key")
        key.write_bytes(bytes(32))  # noqa: ASYNC240 - a few bytes, before anything runs
        more: Any = {"shared": {"vein": (profile,)}}
        verifier = ChildVerifier(key, "st", comparators, {R: manifest}, store.read, cast("Clock", Now()), **more)
        async with running(verifier):
            made = Child(verifier, store)
            for who in SCOPE:
                own = await made.enrol(who, INDEX, None)
                await made.enrol(who, MIDDLE, own)
            yield made


async def test_the_table_reaches_the_rules(child: Child) -> None:
    people = child.verifier.fingers("vein", SCOPE)
    assert people == [{INDEX: 3, MIDDLE: 3}] * 2
    found = choose(child.verifier.fmr("vein") or 1.0, people, child.verifier.rosters("vein"), 1e-4)
    assert (found.fingers, found.bound, found.people, found.short) == (1, 5e-05, 2, 0)
    assert choose(1.0, people, child.verifier.rosters("vein"), 1e-5).fingers == 2


async def test_one_finger_says_its_name_where_one_is_asked(child: Child) -> None:
    found = await child.identify(child.touch(ANN, INDEX), Asked())
    assert isinstance(found, Candidate)
    assert (found.subject, found.evidence.fingers, found.evidence.first) == (ANN, (INDEX,), "")


async def test_two_fingers_where_two_are_asked(child: Child) -> None:
    first, second = child.touch(ANN, INDEX), child.touch(ANN, MIDDLE)
    assert await child.identify(first, Asked(2)) is Miss.ANOTHER_FINGER
    found = await child.identify(second, Asked(2, first))
    assert isinstance(found, Candidate)
    seen = found.evidence
    assert (found.subject, seen.fingers, seen.first, seen.nonce) == (ANN, (INDEX, MIDDLE), first.nonce, second.nonce)
    assert seen.reference.count("tpl_") == 2
    assert seen.shown == 2


async def test_the_same_finger_twice_and_anothers_second_finger_are_nobody(child: Child) -> None:
    for other in ((ANN, INDEX), (BEN, MIDDLE), (BEN, INDEX)):
        first = child.touch(ANN, INDEX)
        assert await child.identify(first, Asked(2)) is Miss.ANOTHER_FINGER
        assert await child.identify(child.touch(*other), Asked(2, first)) is Miss.NOBODY


async def test_who_sits_there_shows_one_finger(child: Child) -> None:
    found = await child.identify(child.touch(BEN, INDEX), Asked(2, alone=BEN))
    assert isinstance(found, Candidate)
    assert found.subject == BEN
    assert await child.identify(child.touch(BEN, INDEX), Asked(2, alone=ANN)) is Miss.ANOTHER_FINGER


async def test_everybody_is_searched_with_every_sample(child: Child) -> None:
    new = [sample(SubjectId("sub_new"), INDEX, touch).probe for touch in range(2)]
    known = await child.verifier.known("vein", [*new, child.touch(BEN, MIDDLE).probe], [])
    assert known.subject == BEN
    held = {each.reference: each for each in child.store.sealed.templates}
    assert held[known.reference].finger == MIDDLE
    fresh = [sample(SubjectId("sub_new"), INDEX, touch).probe for touch in range(3, 6)]
    assert (await child.verifier.known("vein", fresh, [])).subject is None
    again = [sample(SubjectId("sub_new"), INDEX, touch).probe for touch in range(6, 9)]
    assert (await child.verifier.known("vein", again, fresh)).again


async def test_a_newer_version_stands_in_place_of_the_older(child: Child) -> None:
    verifier, store = child.verifier, child.store
    key = next(each for each in store.sealed.keys if each.subject == ANN)
    reference = next(each.reference for each in store.sealed.templates if (each.subject, each.finger) == (ANN, MIDDLE))
    made = None
    while made is None:  # a touch that is clear enough; there are no more of them after a while
        made = await verifier.renew(ANN, "vein", reference, child.touch(ANN, MIDDLE).probe, key)
    made = replace(made, finger=MIDDLE)
    await verifier.add(Sealed([key], [made]))
    assert made.version == 2
    assert await verifier.renew(ANN, "vein", reference, child.touch(ANN, INDEX).probe, key) is None
    assert verifier.templates("vein", SCOPE) == 12
    others = [each for each in store.sealed.templates if each.id != made.id]
    store.sealed = Sealed(store.sealed.keys, [*others, made])
    verifier.ready.clear()
    await verifier.reload()
    await verifier.ready.wait()
    assert (verifier.templates("vein", SCOPE), verifier.spoiled) == (12, set())
