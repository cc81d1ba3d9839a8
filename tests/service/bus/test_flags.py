"""Protected records through the doors: with the client, over the local socket and the router with its keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authd.client import Client, DoorError, connect
from authd.client.flags import Protection
from authd.client.values import Person
from authd.core.model import Kind
from authd.service.bus.envelope import iso
from authd.service.bus.house import Peer, Role
from tests.service.bus.fakes import ONE, TWO, World
from tests.service.bus.test_door import Talking, request
from tests.service.evidence.flags.office import Office, office

RESIDENT = Peer(Role.APPLICATION, "resident", frozenset({ONE}))


@dataclass
class Copy:
    """A linked system's own table: its record numbers, and which of them are protected."""

    marks: dict[str, str] = field(default_factory=dict[str, str])
    protected: set[str] = field(default_factory=set[str])
    heard: list[int] = field(default_factory=list[int])
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def learn(self, client: Client, *numbers: str) -> None:
        self.marks |= dict(zip(await client.flag_match(numbers), numbers, strict=True))

    async def apply(self, changes: Sequence[Protection]) -> None:
        for each in changes:
            number = self.marks.get(each.mark)
            if number is not None:
                (self.protected.add if each.protected else self.protected.discard)(number)
        self.heard.append(changes[-1].version)
        self.news.set()

    async def until(self, protected: set[str]) -> None:
        async with asyncio.timeout(60):
            while self.protected != protected:
                await self.news.wait()
                self.news.clear()


@dataclass
class Hall:
    """The doors of a host, and the office behind them."""

    host: World
    desk: Office

    def of(self, name: str) -> Client:
        pair = self.host.resident if name == "resident" else self.host.tax
        return connect(self.host.router, key=pair.secret, server_key=self.host.door.public)

    def admin(self) -> Client:
        return connect(self.host.local)

    def person(self) -> Person:
        owner = self.desk.world.pipeline.seats[ONE].owner
        assert owner is not None
        return Person(ONE, owner.id, owner.subject, owner.evidence.grade, "")


@pytest.fixture
async def hall(host: World, tmp_path: Path) -> AsyncGenerator[Hall]:
    async with office(tmp_path) as desk:
        parts: Any = SimpleNamespace(flags=desk.flags, views=desk.views, procedures=desk.procedures)
        host.house.evidence = parts
        yield Hall(host, desk)


@asynccontextmanager
async def holding(client: Client, copy: Copy, after: int = 0) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(client.hold(copy.apply, after))
        yield
        task.cancel()


async def test_a_change_is_pushed_to_every_linked_system_and_acknowledged(hall: Hall) -> None:
    copies = {"resident": Copy(), "tax": Copy()}
    async with hall.host.serving(), hall.of("resident") as resident, hall.of("tax") as tax:
        clients = {"resident": resident, "tax": tax}
        for name, client in clients.items():
            await copies[name].learn(client, "20481", "20482")
        assert copies["resident"].marks.keys().isdisjoint(copies["tax"].marks)
        async with holding(resident, copies["resident"]), holding(tax, copies["tax"]):
            version = await hall.desk.set("20481")
            for name, copy in copies.items():
                await copy.until({"20481"})
                await hall.desk.world.until(lambda name=name: hall.desk.flags.covered(name))
        assert [copy.heard for copy in copies.values()] == [[version], [version]]
    held = await hall.desk.rows(Kind.FLAG_HELD)
    assert {(row.data["system"], row.data["version"]) for row in held} == {("resident", version), ("tax", version)}


async def test_a_copy_catches_up_from_its_version_and_a_new_one_from_nothing(hall: Hall) -> None:
    first = await hall.desk.set("20481")
    async with hall.host.serving(), hall.of("tax") as tax:
        copy, new = Copy(), Copy()
        for each in (copy, new):
            await each.learn(tax, "20481", "20482")
        second = await hall.desk.set("20482")
        async with holding(tax, copy, first):
            await copy.until({"20482"})
        assert copy.heard == [second]
        async with holding(tax, new):
            await new.until({"20481", "20482"})
        assert new.heard == [first, second]


async def test_a_daemon_that_comes_back_finds_the_copy_where_it_was(hall: Hall) -> None:
    async with hall.of("tax") as tax:
        copy = Copy()
        async with hall.host.serving():
            await copy.learn(tax, "20481")
            await hall.desk.set("20481")
            async with holding(tax, copy):
                await copy.until({"20481"})
        await hall.desk.set("3")
        async with hall.host.serving(), holding(tax, copy, copy.heard[-1]):
            await hall.desk.world.until(lambda: len(copy.heard) == 2)


async def test_a_copy_that_cannot_be_kept_falls_silent(hall: Hall) -> None:
    async def full(changes: Sequence[Protection]) -> None:
        raise OSError("no space")

    async with hall.host.serving(), hall.of("tax") as tax:
        await hall.desk.set()
        with pytest.raises(OSError, match="no space"):
            await tax.hold(full, 0)
    assert not hall.desk.flags.covered("tax")


async def test_a_copy_of_another_registry_is_told_so(hall: Hall) -> None:
    async with hall.host.serving(), hall.of("tax") as tax:
        with pytest.raises(DoorError, match="another registry"):
            await tax.hold(Copy().apply, 12_345)


async def test_events_say_nothing_of_who_did_it_nor_of_the_ledgers_pseudonym(hall: Hall) -> None:
    await hall.desk.set()
    talking = Talking(RESIDENT)
    async with talking.at(hall.host):
        frames = await talking.hear(request("flag_follow", after=0), 3)
        events = [frame["event"] for frame in frames if "event" in frame] or [(await talking.next(4))[3]["event"]]
    event: Any = events[0]
    assert event["type"] == "jp.authd.flag.set"
    assert set(event["data"]) == {"seq", "detail"}
    assert set(event["data"]["detail"]) == {"mark", "protected", "until", "last"}
    assert hall.desk.flags.record("20481") not in json.dumps(event)
    assert "sub_" not in json.dumps(event)


async def test_the_guard_through_the_door(hall: Hall) -> None:
    async with hall.host.serving(), hall.of("resident") as resident:
        look = await resident.look(hall.person(), "20481", screen="record", purpose="certificate")
        assert not look.masked
        await hall.desk.set("20481")
        look = await resident.look(hall.person(), "20481", screen="record", purpose="certificate")
        assert look.masked
        assert look.checklist is not None
        assert look.receipt.record == hall.desk.flags.record("20481")
        assert "go_on" not in repr(look)
        part = hall.desk.procedures.checklist("counter", "resident")
        answers = {step.id: next(each.id for each in step.answers if each.goes_on) for step in part.steps}
        said: dict[str, Any] = {"purpose": "certificate", "shown": look.notice["ja"]}
        with pytest.raises(DoorError, match="checklist"):
            await resident.unmask(look.id, **said, answers={})
        opened = await hall.desk.touched(resident.unmask(look.id, **said, answers=answers), (ONE, "chief"))
        assert (opened.session, opened.record) == (hall.person().session, look.receipt.record)
    (row,) = await hall.desk.rows(Kind.VIEW_ACKNOWLEDGED)
    assert row.data["text"] == look.notice["ja"]


@pytest.mark.parametrize("verb", ["look", "unmask"])
async def test_refusals_are_the_same_bytes_but_for_the_requests_id(hall: Hall, verb: str) -> None:
    await hall.desk.set("20481")
    frames: list[bytes] = []
    talking = Talking(RESIDENT)
    at = iso(hall.desk.ground.clock.wall_ms())
    async with talking.at(hall.host):
        for number, id_ in (("20481", 7), ("20482", 8)):
            look = (await hall.desk.look(number)).id
            members: dict[str, object] = {"session": hall.desk.one, "record": number, "at": at, "by": "phone"}
            members |= {"nonce": f"nonce-{number:>016}", "purpose": "enquiry"}
            if verb == "unmask":
                members = {"look": look, "shown": "x", "answers": {}}
            (answer,) = await talking.hear(request(verb, id_, **members))
            assert answer["error"] == "refused"
            assert "too" not in str(answer["message"])  # it is the guard's own refusal
            frames.append(json.dumps(answer | {"id": 0}, ensure_ascii=False).encode())
    assert frames[0] == frames[1]


async def test_what_two_people_do_on_the_command_line(hall: Hall) -> None:
    async with hall.host.serving(), hall.admin() as admin:
        asked = await hall.desk.touched(
            admin.flag_request(ONE, "set", "20481", also=[("tax", "77")], case="2026-17"), (ONE, "chief")
        )
        (waiting,) = await admin.flags()
        assert (waiting.waits, waiting.request, waiting.case) == (True, asked.request, "2026-17")
        done = await hall.desk.touched(admin.flag_approve(asked.request, TWO), (TWO, "second"))
        assert done.version == hall.desk.flags.version
        listed = await admin.flags()
        assert [each.waits for each in listed] == [False, False]
        found = await hall.desk.touched(admin.flag_ask(ONE, "77", "renewal", "tax"), (ONE, "chief"))
        assert found.protected
        version, systems = await admin.flag_coverage()
        assert version == done.version
        assert {each.system: (each.linked, each.covered) for each in systems} == {
            "resident": (True, False),
            "tax": (True, False),
            "mail": (False, False),
        }
        with pytest.raises(DoorError, match="until is a day"):
            await admin.flag_request(ONE, "set", "1", until="2027-02-30")
        with pytest.raises(DoorError, match="one line"):
            await admin.flag_request(ONE, "set", " ")


async def test_the_boards_answer_has_nothing_of_a_record(hall: Hall) -> None:
    await hall.desk.set("20481")
    talking = Talking(hall.host.directory.of_key(hall.host.screen_one.public))
    async with talking.at(hall.host):
        (answer,) = await talking.hear(request("flag_coverage"))
    said = json.dumps(answer)
    for record in hall.desk.flags.book.flags:
        assert record not in said
    assert "rec_" not in said
    assert "mark_" not in said


async def test_a_screen_and_an_application_that_is_not_linked_learn_of_no_protection(hall: Hall) -> None:
    mail = replace(RESIDENT, name="mail")
    for peer, error in ((mail, "linked = true"), (hall.host.directory.of_key(hall.host.screen_one.public), "role")):
        talking = Talking(peer)
        async with talking.at(hall.host):
            for verb in ("flag_follow", "flag_held", "flag_match", "look", "unmask"):
                (answer,) = await talking.hear(request(verb))
                assert answer["error"] == "not_permitted"
                assert error in str(answer["message"])
