"""Template update: on the rules' word, the ledger first, and never by whoever is only near the threshold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authd.core import ports as port
from authd.core.model import (
    HOUR,
    Action,
    Candidate,
    Decision,
    Entry,
    Epoch,
    Evidence,
    Face,
    Factor,
    Found,
    Grade,
    Instant,
    Kind,
    Miss,
    Nonce,
    Request,
    SessionId,
    SubjectId,
)
from authd.service.anchored import Anchored, anchor_of
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.store import StoreError
from authd.service.update import Bench, Matched, Updates
from authd.service.verifier import Sealed
from tests.core.playbook import PERMIT
from tests.service.desks import ONE, READERS, REFUSE, World, host

NONCE = Nonce("n1")


class Desk:
    """An update's bench: ledger and store are real, the verifier renews what it is told to, the clock stands."""

    def __init__(self, world: World, subject: SubjectId) -> None:
        self.world, self.subject = world, subject
        self.on = True
        self.clear = True
        self.decision: Decision = PERMIT
        self.asked: list[Request] = []
        self.told: list[Sealed] = []
        self.events: list[Entry] = []
        self.time = Instant(HOUR)
        self.found: Found = Miss.NOBODY
        self.renewed: dict[str, Any] = {}
        itself: Any = self
        bench = Bench(itself, itself, world.ledger, world.store, itself)
        self.updates = Updates(bench, itself, lambda reader: "vein", lambda: self.on)

    # The verifier, the policy, the clock, the followers.

    async def identify(self, *_: object) -> Found:
        return self.found

    async def renew(
        self, subject: str, modality: str, reference: str, probe: bytes, key: WrappedKey
    ) -> SealedTemplate | None:
        if not self.clear:
            return None
        name, _, version = reference.partition("@")
        made = SealedTemplate(name, int(version) + 1, subject, modality, "", b"new " + probe)
        return replace(made, **self.renewed)

    async def add(self, sealed: Sealed) -> None:
        self.told.append(sealed)

    async def reload(self) -> None:
        raise AssertionError

    def decide(self, request: Request) -> Decision:
        self.asked.append(request)
        return self.decision

    def now(self) -> Instant:
        return self.time

    def event(self, entry: Entry) -> None:
        self.events.append(entry)

    def face(self, face: Face) -> None:
        raise AssertionError

    # What happens.

    async def held(self) -> SealedTemplate:
        (template,) = [each for each in await self.world.store.templates() if each.subject == self.subject]
        return template

    async def matched(self, *fingers: str) -> Matched:
        """This person's one finger has just opened a session."""
        template = await self.held()
        sample = port.Sample(READERS[ONE], NONCE, b"probe", 0.9)
        seen = Evidence(READERS[ONE], Factor.VEIN, Grade.MATCHED, NONCE, Instant(0), template.reference, 0.6, 0.4)
        found = Candidate(self.subject, replace(seen, fingers=fingers or (template.finger,)))
        data: dict[str, Any] = {"nonce": NONCE}
        return Matched(
            sample, found, Entry(Kind.SESSION_STARTED, ONE, Epoch(1), self.subject, SessionId("ses_1"), data=data)
        )

    async def rows(self) -> list[Entry]:
        await self.world.ledger.append(Entry(Kind.POLICY_LOADED))  # what was queued before it is durable too
        return [row.entry for row in await self.world.ledger.entries(f"kind:{Kind.ENROLMENT_UPDATED}")]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with host(tmp_path) as world:
        chief, _ = await world.founders()
        yield Desk(world, chief)


async def current(desk: Desk) -> str:
    """The version that a verifier would be given now."""
    await desk.rows()
    anchored = Anchored(desk.world.store, desk.world.ledger)
    good = [each for each in (await anchored.read()).templates if each.subject == desk.subject]
    return good[0].reference.partition("@")[2] if good else "none"


async def test_a_clear_match_follows_an_older_template(desk: Desk) -> None:
    before = await desk.held()
    assert await desk.updates.consider(await desk.matched())
    after = await desk.held()
    assert (after.id, after.version, after.finger) == (before.id, 2, before.finger)
    asked, said = await desk.rows()
    assert dict(asked.data) == anchor_of(after) | {"session": "ses_1", "score": 0.6}
    assert dict(said.data) == {"template": after.reference, "kept": True}
    assert [each.templates for each in desk.told] == [[after]]
    assert await current(desk) == "2"
    (request,) = desk.asked
    assert (request.action, request.subject, request.owner) == (Action.UPDATE_TEMPLATE, desk.subject, desk.subject)


async def test_nothing_changes_without_the_rules_word(desk: Desk) -> None:
    desk.decision = REFUSE
    assert not await desk.updates.consider(await desk.matched())
    assert (await desk.rows(), (await desk.held()).version, desk.told) == ([], 1, [])


async def test_whoever_is_near_the_threshold_changes_nothing(desk: Desk) -> None:
    desk.clear = False
    assert not await desk.updates.consider(await desk.matched())
    assert (await desk.rows(), (await desk.held()).version) == ([], 1)


async def test_the_ledger_is_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(_: Entry) -> int:
        raise port.LedgerDown("full")

    monkeypatch.setattr(desk.world.ledger, "append", down)
    with pytest.raises(port.LedgerDown):
        await desk.updates.consider(await desk.matched())
    assert ((await desk.held()).version, desk.told) == (1, [])


async def test_what_is_not_stored_is_said_and_the_old_one_is_good(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_: SealedTemplate) -> None:
        raise StoreError("full")

    monkeypatch.setattr(desk.world.store, "save_template", full)
    with pytest.raises(StoreError):
        await desk.updates.consider(await desk.matched())
    assert [row.data.get("kept") for row in await desk.rows()] == [None, False]
    assert await current(desk) == "1"


class Cut(BaseException):
    """The power fails here."""


@pytest.mark.parametrize(("where", "good"), [("save_template", "1"), ("write", "2")])
async def test_a_cut_between_the_steps_leaves_one_good_version(
    where: str, good: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(desk.world.ledger, "write", cut)
        if where == "save_template":
            patched.setattr(desk.world.store, "save_template", cut)
        with pytest.raises(Cut):
            await desk.updates.consider(await desk.matched())
    assert await current(desk) == good
    await desk.world.anchored.settle()
    assert [row.data.get("kept") for row in await desk.rows()] == [None, good == "2"]
    assert await current(desk) == good
    await desk.world.anchored.settle()
    assert len(await desk.rows()) == 2


async def test_a_rolled_back_template_is_left_out(desk: Desk) -> None:
    old = await desk.held()
    await desk.updates.consider(await desk.matched())
    desk.world.store._file.db.execute(  # pyright: ignore[reportPrivateUsage] - as an editor of the file would
        "UPDATE template SET version = 1, sealed = ? WHERE id = ?", (old.sealed, old.id)
    )
    assert await current(desk) == "none"


async def test_a_version_that_was_never_stored_is_not_good_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of what was sealed and given up on, put into the store by hand."""

    async def full(_: SealedTemplate) -> None:
        raise StoreError("full")

    with monkeypatch.context() as patched:
        patched.setattr(desk.world.store, "save_template", full)
        with pytest.raises(StoreError):
            await desk.updates.consider(await desk.matched())
    held, _ = await desk.held(), await desk.rows()
    await desk.world.store.save_template(replace(held, version=2, sealed=b"new probe"))
    assert await current(desk) == "none"


@pytest.mark.parametrize(
    "wrong", [{"id": "tpl_other"}, {"version": 3}, {"modality": "fingerprint"}, {"subject": "sub_other"}], ids=str
)
async def test_an_update_of_what_is_not_stored_changes_nothing(wrong: dict[str, Any], desk: Desk) -> None:
    desk.renewed = wrong
    assert not await desk.updates.consider(await desk.matched())
    assert await desk.rows() == []


async def test_another_finger_than_the_one_that_matched_is_never_updated(desk: Desk) -> None:
    assert not await desk.updates.consider(await desk.matched("left_little"))
    assert await desk.rows() == []


async def test_the_disabled_are_not_updated(desk: Desk) -> None:
    matched = await desk.matched()
    await desk.world.store.disable(desk.subject)
    assert not await desk.updates.consider(matched)


async def test_a_finger_is_updated_once_a_day(desk: Desk) -> None:
    assert await desk.updates.consider(await desk.matched())
    assert not await desk.updates.consider(await desk.matched())
    desk.time = Instant(desk.time + 21 * HOUR)
    assert await desk.updates.consider(await desk.matched())
    assert (await desk.held()).version == 3
    assert await current(desk) == "3"


# What it sees of the path.


async def passed(desk: Desk, matched: Matched) -> int:
    """A touch goes through, and its session starts; how many updates wait then."""
    desk.found = matched.found
    found = await desk.updates.identify(matched.sample, [desk.subject])
    assert found is matched.found
    desk.updates.event(matched.started)
    assert desk.events[-1] is matched.started
    return desk.updates._waiting.qsize()  # pyright: ignore[reportPrivateUsage]


async def test_what_opened_a_session_is_considered(desk: Desk) -> None:
    assert await passed(desk, await desk.matched()) == 1


async def test_while_no_update_is_allowed_no_sample_is_kept(desk: Desk) -> None:
    desk.on = False
    assert await passed(desk, await desk.matched()) == 0


async def test_two_fingers_or_unknown_ones_update_nothing(desk: Desk) -> None:
    two = await desk.matched("right_index", "left_index")
    assert await passed(desk, two) == 0
    bare = replace(two, found=replace(two.found, evidence=replace(two.found.evidence, fingers=())))
    assert await passed(desk, bare) == 0


async def test_another_sample_than_the_sessions_is_not_its(desk: Desk) -> None:
    matched = await desk.matched()
    other = replace(matched, sample=replace(matched.sample, nonce=Nonce("n2")))
    assert await passed(desk, other) == 0


async def test_a_sample_that_opened_nothing_is_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authd.service.update.FORGOTTEN_AFTER_S", 0.0)
    matched = await desk.matched()
    desk.found = matched.found
    await desk.updates.identify(matched.sample, [desk.subject])
    kept = desk.updates._seen  # pyright: ignore[reportPrivateUsage]
    await desk.world.until(lambda: not kept)
