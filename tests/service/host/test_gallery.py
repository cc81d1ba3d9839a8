from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import pytest

from authd.core.model import Fault, Hint
from authd.driver import Candidates, Checked, Checker, DriverError, Known, Scored
from authd.service.host import checking
from authd.service.host.channel import Channel
from authd.service.host.frames import (
    Answer,
    Cancel,
    Check,
    Ended,
    Enrol,
    Failed,
    Frame,
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
    Verdict,
)
from authd.service.host.frames import Known as Look
from authd.service.host.gallery import Gallery
from authd.service.host.grants import Grants
from authd.service.seal import SealedTemplate, WrappedKey
from authd_drivers.example.comparator import ExactComparator

PROBE, OTHER = b"a" * 32, b"b" * 32
COMPARATORS = {"vein": "authd_drivers.example.comparator:ExactComparator"}


class Told:
    """The verifier child without a process: what it is told, and what it answers."""

    def __init__(self, host_key: bytes = bytes(32)) -> None:
        self.sent: list[Frame] = []
        self.gallery = Gallery(Start(1, Grants(), comparators=COMPARATORS, store="st"), host_key, cast("Channel", self))
        self.op = 0

    def send(self, frame: Frame) -> bool:
        self.sent.append(frame)
        return True

    async def drained(self) -> None:
        return

    async def ask(self, *messages: Message) -> list[Message]:
        self.op += 1
        for message in messages:
            await self.gallery.serve(Frame(self.op, message))
        return [frame.message for frame in self.sent if frame.op == self.op]

    async def enrolled(self, subject: str = "sub_a", probe: bytes = PROBE) -> tuple[WrappedKey, SealedTemplate]:
        key, template, _ = await self.ask(*[Presentation(probe)] * 3, Enrol(subject, "vein", "ri"))
        assert isinstance(key, WrappedKey)
        assert isinstance(template, SealedTemplate)
        return key, template


@pytest.fixture
async def told() -> Told:
    told = Told()
    await told.gallery.open()
    return told


async def test_what_was_enrolled_is_found_once_it_is_loaded(told: Told) -> None:
    key, template = await told.enrolled()
    assert PROBE not in template.sealed
    assert await told.ask(Scope(("sub_a",)), Search("vein", PROBE)) == [Answer()]
    assert await told.ask(key, template, Load(replace=True)) == [Loaded({"vein": 1}, {"vein": 1e-9})]
    assert await told.ask(Scope(("sub_b",)), Scope(("sub_a",)), Search("vein", PROBE)) == [
        Answer("sub_a", template.reference, 1.0, 1.0)
    ]
    assert await told.ask(Scope(("sub_b",)), Search("vein", PROBE)) == [Answer()]
    assert await told.ask(Remove("sub_a")) == [Loaded({"vein": 0}, {"vein": 1e-9})]
    assert await told.ask(Scope(("sub_a",)), Search("vein", PROBE)) == [Answer()]


async def test_a_second_finger_is_sealed_under_the_same_key(told: Told) -> None:
    key, first = await told.enrolled()
    answers = await told.ask(key, *[Presentation(OTHER)] * 3, Enrol("sub_a", "vein", "left_index"))
    assert answers[0] == key
    loaded = await told.ask(key, first, cast("SealedTemplate", answers[1]), Load(replace=True))
    assert loaded == [Loaded({"vein": 2}, {"vein": 1e-9})]


async def test_a_template_moved_to_another_person_is_spoiled_and_the_rest_is_loaded(told: Told) -> None:
    key_a, of_a = await told.enrolled()
    key_b, of_b = await told.enrolled("sub_b", OTHER)
    moved = SealedTemplate(of_b.id, 1, "sub_b", "vein", "ri", of_a.sealed)
    answers = await told.ask(key_a, key_b, of_a, moved, Load(replace=True))
    assert answers == [Spoiled(of_b.reference), Loaded({"vein": 1}, {"vein": 1e-9})]
    assert await told.ask(Scope(("sub_a", "sub_b")), Search("vein", OTHER)) == [Answer()]


async def test_a_key_given_to_another_person_opens_nothing(told: Told) -> None:
    key, template = await told.enrolled()
    stolen = WrappedKey("sub_b", key.wrapped)
    as_b = SealedTemplate(template.id, 1, "sub_b", "vein", "ri", template.sealed)
    assert (await told.ask(stolen, as_b, Load(replace=True)))[0] == Spoiled(template.reference)


async def test_under_another_host_key_or_without_a_key_nothing_opens(told: Told) -> None:
    key, template = await told.enrolled()
    other = Told(host_key=b"\1" * 32)
    await other.gallery.open()
    assert (await other.ask(key, template, Load(replace=True)))[0] == Spoiled(template.reference)
    assert (await told.ask(template, Load(replace=True)))[0] == Spoiled(template.reference)


async def test_presentations_that_do_not_agree_are_a_hint(told: Told) -> None:
    answers = await told.ask(Presentation(PROBE), Presentation(PROBE), Presentation(OTHER), Enrol("s", "vein", "ri"))
    assert answers == [Refused(Hint.REMOVE_AND_RETRY.value)]


async def test_a_malformed_probe_and_an_unknown_modality_are_faults(told: Told) -> None:
    for message in (Search("vein", b"short"), Search("iris", PROBE), Enrol("s", "iris", "ri")):
        (answer,) = await told.ask(message)
        assert isinstance(answer, Failed)


async def test_a_wrong_key_at_enrolment_is_a_fault_and_not_a_new_key(told: Told) -> None:
    key, _ = await told.enrolled()
    (answer,) = await told.ask(
        WrappedKey("sub_b", key.wrapped), *[Presentation(PROBE)] * 3, Enrol("sub_b", "vein", "r")
    )
    assert answer == Failed(Fault.PROTOCOL, "the person's key does not open")


async def test_more_presentations_or_lists_than_anyone_needs_are_refused(told: Told) -> None:
    assert isinstance((await told.ask(*[Presentation(PROBE)] * 21))[-1], Failed)
    for _ in range(16):
        await told.ask(Presentation(PROBE))
    with pytest.raises(DriverError):
        await told.ask(Presentation(PROBE))


async def test_what_it_does_not_serve_is_a_fault(told: Told) -> None:
    (answer,) = await told.ask(Cancel())
    assert isinstance(answer, Failed)


async def test_a_comparators_bug_ends_the_child(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def enrol(_self: Any, _probes: Any, _finger: int) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("authd_drivers.example.comparator.ExactComparator.enrol", enrol)
    with pytest.raises(ValueError):
        await told.ask(Enrol("s", "vein", "ri"))


# One finger or two, and what follows an older template. The comparator here says what it is told to say.


class Scripted(ExactComparator):
    """Finds what the test wrote down."""

    found = Candidates(None, 0.0)
    seen = Known()
    firsts: ClassVar[list[bytes]] = []
    made: tuple[str, bytes] | None = None

    def search(self, probe: bytes, scope: Any, first: bytes = b"") -> Candidates:
        Scripted.firsts.append(first)
        return Scripted.found

    def known(self, probes: Any, earlier: Any = ()) -> Known:
        Scripted.firsts = [*probes, *earlier]
        return Scripted.seen

    def renew(self, probe: bytes, reference: str) -> tuple[str, bytes] | None:
        return Scripted.made


@pytest.fixture
async def scripted(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr("authd_drivers.example.comparator.ExactComparator", Scripted)
    said: dict[str, Any] = {"found": Candidates(None, 0.0), "seen": Known(), "firsts": [], "made": None}
    for name, value in said.items():
        monkeypatch.setattr(Scripted, name, value)
    told = Told()
    await told.gallery.open()
    return told


def names(*fingers: int, subject: str = "sub_a") -> Candidates:
    return Candidates(Scored(subject, "tpl_1@1", 0.9), 0.5, fingers=fingers)


SCOPE = Scope(("sub_a", "sub_b"))


async def test_one_finger_is_not_enough_where_two_are_asked(scripted: Told) -> None:
    Scripted.found = names(2)
    assert await scripted.ask(SCOPE, Search("vein", PROBE, 2)) == [Answer(another=True)]
    assert await scripted.ask(SCOPE, Presentation(OTHER), Search("vein", PROBE, 2)) == [Answer()]
    assert Scripted.firsts == [b"", OTHER]
    alone = Answer("sub_a", "tpl_1@1", 0.9, 0.5, fingers=(2,))
    assert await scripted.ask(SCOPE, Search("vein", PROBE, 2, "sub_a")) == [alone]
    assert await scripted.ask(SCOPE, Search("vein", PROBE, 2, "sub_b")) == [Answer(another=True)]
    assert await scripted.ask(SCOPE, Search("vein", PROBE)) == [alone]


async def test_two_fingers_are_enough(scripted: Told) -> None:
    Scripted.found = names(2, 8)
    two = Answer("sub_a", "tpl_1@1", 0.9, 0.5, fingers=(2, 8))
    assert await scripted.ask(SCOPE, Presentation(OTHER), Search("vein", PROBE, 2)) == [two]


async def test_an_unclear_finger_asks_for_another_once(scripted: Told) -> None:
    Scripted.found = Candidates(None, 0.0, unsure=True)
    assert await scripted.ask(SCOPE, Search("vein", PROBE)) == [Answer(another=True)]
    assert await scripted.ask(SCOPE, Presentation(OTHER), Search("vein", PROBE)) == [Answer()]


@pytest.mark.parametrize("fingers", [(2, 2), (0, 2), (2, 0), (2, 3, 4)])
async def test_a_comparator_that_counts_one_finger_twice_is_not_believed(fingers: Any, scripted: Told) -> None:
    Scripted.found = names(*fingers)
    (answer,) = await scripted.ask(SCOPE, Presentation(OTHER), Search("vein", PROBE, 2))
    assert isinstance(answer, Failed)


async def test_two_fingers_of_one_touch_are_not_believed(scripted: Told) -> None:
    Scripted.found = names(2, 8)
    (answer,) = await scripted.ask(SCOPE, Search("vein", PROBE, 2))
    assert isinstance(answer, Failed)


async def test_an_enrolment_is_held_against_everybody_and_its_own_other_fingers(scripted: Told) -> None:
    Scripted.seen = Known(Scored("sub_b", "tpl_2@1", 0.9))
    asked = (Presentation(PROBE), Presentation(OTHER), Presentation(PROBE))
    assert await scripted.ask(*asked, Look("vein", 2)) == [Answer("sub_b", "tpl_2@1")]
    assert Scripted.firsts == [PROBE, OTHER, PROBE]
    Scripted.seen = Known(again=True)
    assert await scripted.ask(*asked, Look("vein", 2)) == [Answer(again=True)]
    Scripted.seen = Known(replayed=True)
    assert await scripted.ask(*asked, Look("vein", 2)) == [Answer(replayed=True)]


async def test_a_newer_version_is_sealed_into_its_own_slot_and_stands_in_place_of_the_older(scripted: Told) -> None:
    key, template = await scripted.enrolled()
    await scripted.ask(key, template, Load(replace=True))
    Scripted.made = template.reference, OTHER
    newer, _ = await scripted.ask(key, Renew("sub_a", "vein", template.reference, OTHER))
    assert isinstance(newer, SealedTemplate)
    assert (newer.id, newer.version, newer.finger) == (template.id, 2, "")
    assert newer.sealed != template.sealed
    (loaded,) = await scripted.ask(key, newer, Load(replace=False))
    assert loaded == Loaded({"vein": 1}, {"vein": 1e-9})
    older = replace(newer, version=1)
    assert (await scripted.ask(key, older, Load(replace=True)))[0] == Spoiled(older.reference)


async def test_nothing_is_sealed_that_is_not_clear_or_without_the_persons_key(scripted: Told) -> None:
    key, template = await scripted.enrolled()
    assert await scripted.ask(key, Renew("sub_a", "vein", template.reference, OTHER)) == [Ended()]
    Scripted.made = template.reference, OTHER
    assert isinstance((await scripted.ask(Renew("sub_a", "vein", template.reference, OTHER)))[0], Failed)
    moved = WrappedKey("sub_b", key.wrapped)
    assert isinstance((await scripted.ask(moved, Renew("sub_b", "vein", template.reference, OTHER)))[0], Failed)


class Saying:
    """A checker that always says the same."""

    def __init__(self, said: Checked) -> None:
        self._said = said

    def credential(self, reference: str) -> bytes:
        return reference.encode()

    def check(self, given: bytes, nonce: str, scope: Sequence[str], *, silent: bool = False) -> Checked:
        return self._said


@pytest.mark.parametrize(
    "lie",
    [{"subject": "sub_b"}, {"factors": ("mind",)}, {"factors": ()}, {"grade": "Z"}, {"reference": ""}],
    ids=lambda lie: str(*lie),
)
def test_a_checker_is_held_to_the_scope_and_to_the_words_there_are(lie: dict[str, Any]) -> None:
    good = Checked("sub_a", "tpl_1@1", ("key",), "A", 7)
    asked = Check("fido2", b"x", "00" * 16)
    said = checking.check(cast("Checker", Saying(good)), asked, ["sub_a"])
    assert said == Verdict("sub_a", "tpl_1@1", ("key",), "A", 7, credential=b"tpl_1@1")
    with pytest.raises(DriverError):
        checking.check(cast("Checker", Saying(replace(good, **lie))), asked, ["sub_a"])
