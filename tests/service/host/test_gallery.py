from __future__ import annotations

from typing import Any, cast

import pytest

from authd.core.model import Fault, Hint
from authd.driver import DriverError
from authd.service.host.channel import Channel
from authd.service.host.frames import (
    Answer,
    Cancel,
    Enrol,
    Failed,
    Frame,
    Load,
    Loaded,
    Message,
    Presentation,
    Refused,
    Remove,
    Scope,
    Search,
    Spoiled,
    Start,
)
from authd.service.host.gallery import Gallery
from authd.service.host.grants import Grants
from authd.service.seal import SealedTemplate, WrappedKey

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
