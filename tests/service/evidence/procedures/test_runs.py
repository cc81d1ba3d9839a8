"""A procedure on a seat: in its order, within its session, and durable before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from authd.core.model import (
    Epoch,
    Evidence,
    Factor,
    Grade,
    Instant,
    Kind,
    Limits,
    Nonce,
    ReaderId,
    SeatId,
    Session,
    SessionId,
    SubjectId,
)
from authd.core.ports import LedgerDown
from authd.service.bus.house import Refused
from authd.service.evidence.ground import Ground
from authd.service.evidence.procedures import LOOK_BACK_MS, Procedures, Result, Run
from authd.service.ledger import Ledger
from tests.service.ledgers import HandClock, RealClock, ended, opened

ONE = SeatId("counter-1")
SEEN = Evidence(ReaderId("vein-1"), Factor.VEIN, Grade.MATCHED, Nonce("n"), Instant(0), "tpl_1@1")
AOKI = Session(SessionId("ses_1"), SubjectId("sub_a"), ONE, Epoch(3), SEEN, Limits(), Instant(0), Instant(0))
BABA = replace(AOKI, id=SessionId("ses_2"), subject=SubjectId("sub_b"))
GOOD = {
    "silent": "nothing_told",
    "caller": "authority",
    "basis": "noted",
    "hung_up": "ended",
    "call_back": "record",
    "reached": "confirmed",
    "superior": "agreed",
    "screen": "read",
}


@dataclass
class Clock(HandClock):
    """As much of the daemon's clock as procedures need."""

    @property
    def time(self) -> SimpleNamespace:
        return SimpleNamespace(now=self.now, wall_ms=self.wall)


@dataclass
class Office:
    """Two seats, and whoever a test seats there."""

    ledger: Ledger
    clock: Clock
    owners: dict[SeatId, Session] = field(default_factory=lambda: {ONE: AOKI})

    @property
    def ground(self) -> Ground:
        seats = {ONE: SimpleNamespace(section="tax")}
        config = SimpleNamespace(policy=None, settings=None, seats=seats)
        states = _States(self.owners)
        plain = SimpleNamespace(config=config, clock=self.clock.time, ledger=self.ledger)
        plain.owner = partial(Ground.owner, cast("Ground", SimpleNamespace(pipeline=states)))
        return cast("Ground", plain)

    async def rows(self) -> list[Any]:
        kinds = (Kind.PROCEDURE_STARTED, Kind.PROCEDURE_ANSWERED, Kind.PROCEDURE_FINISHED)
        found = [row for kind in kinds for row in await self.ledger.entries(f"kind:{kind}")]
        return [row.entry for row in sorted(found, key=lambda row: row.seq)]


class _States:
    def __init__(self, owners: dict[SeatId, Session]) -> None:
        self.owners = owners

    @property
    def seats(self) -> dict[SeatId, SimpleNamespace]:
        return {seat: SimpleNamespace(owner=owner) for seat, owner in self.owners.items()}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncGenerator[Office]:
    real = RealClock()
    async with opened(tmp_path / "ledger", real) as ledger:
        yield Office(ledger, Clock(wall_ms=real.wall()))


@pytest.fixture
async def part(office: Office) -> Procedures:
    made = Procedures(office.ground)
    await made.begin()
    return made


async def go_through(part: Procedures, office: Office, seconds: float = 3.0, other: Mapping[str, str] = {}) -> Run:
    """Answer every step; returns the run as it was last."""
    run = await part.start(ONE, AOKI.id, "phone")
    while run.step is not None:
        office.clock.step(seconds)
        step = run.step.id
        run = await part.answer(ONE, run.id, step, {**GOOD, **other}[step])
    return run


async def until_finished(office: Office) -> None:
    async for row in office.ledger.follow(0):
        if row.entry.kind is Kind.PROCEDURE_FINISHED:
            return


class TestGoingThrough:
    async def test_every_step_in_its_order_and_then_it_is_passed(self, part: Procedures, office: Office) -> None:
        run = await go_through(part, office)
        assert run.result is Result.PASSED
        rows = await office.rows()
        assert [row.data["step"] for row in rows if row.kind is Kind.PROCEDURE_ANSWERED] == list(GOOD)
        assert {(row.subject, row.session, row.seat, row.grade) for row in rows} == {("sub_a", "ses_1", ONE, "B")}

    async def test_how_long_it_took_stands_in_the_ledger(self, part: Procedures, office: Office) -> None:
        await go_through(part, office, seconds=3)
        *answers, end = (await office.rows())[1:]
        assert {row.data["ms"] for row in answers} == {3000}
        assert (end.data["result"], end.data["ms"], end.data["answered"]) == ("passed", 3000 * len(GOOD), len(GOOD))
        assert end.data["version"] == "2026.1+section/tax.2026.1"
        assert len(end.data["digest"]) == 64

    @pytest.mark.parametrize(("step", "answer"), [("caller", "family"), ("call_back", "caller"), ("screen", "doubt")])
    async def test_an_answer_that_does_not_go_on_ends_it(
        self, part: Procedures, office: Office, step: str, answer: str
    ) -> None:
        run = await go_through(part, office, other={step: answer})
        assert (run.result, run.done) == (Result.REFUSED, list(GOOD).index(step) + 1)
        assert part.passed(AOKI.id) is None
        assert (await office.rows())[-1].data["result"] == "refused"

    async def test_no_step_is_skipped_and_none_answered_twice(self, part: Procedures, office: Office) -> None:
        run = await part.start(ONE, AOKI.id, "phone")
        with pytest.raises(Refused, match="another step"):
            await part.answer(ONE, run.id, "screen", "read")
        await part.answer(ONE, run.id, "silent", "nothing_told")
        with pytest.raises(Refused, match="another step"):
            await part.answer(ONE, run.id, "silent", "nothing_told")
        assert len(await office.rows()) == 2

    async def test_two_answers_at_once_are_one(self, part: Procedures, office: Office) -> None:
        run = await part.start(ONE, AOKI.id, "phone")
        both = [part.answer(ONE, run.id, "silent", each) for each in ("nothing_told", "told")]
        done = await asyncio.gather(*both, return_exceptions=True)
        assert [isinstance(each, Refused) for each in done] == [False, True]
        assert len(await office.rows()) == 2

    async def test_a_call_back_is_not_believed_before_anybody_could_have_rung(
        self, part: Procedures, office: Office
    ) -> None:
        run = await part.start(ONE, AOKI.id, "phone")
        for step in list(GOOD)[:4]:
            run = await part.answer(ONE, run.id, step, GOOD[step])
        with pytest.raises(Refused, match="too soon"):
            await part.answer(ONE, run.id, "call_back", "record")
        office.clock.step(2)
        assert (await part.answer(ONE, run.id, "call_back", "record")).done == 5

    async def test_what_is_not_there_is_refused(self, part: Procedures) -> None:
        with pytest.raises(Refused, match="not_found"):
            await part.start(ONE, AOKI.id, "fax")
        run = await part.start(ONE, AOKI.id, "phone")
        with pytest.raises(Refused, match="bad_request"):
            await part.answer(ONE, run.id, "silent", "yes")
        with pytest.raises(Refused, match="not_found"):
            await part.answer(ONE, "run_other", "silent", "nothing_told")


class TestTheSession:
    async def test_nobody_runs_one_without_a_session(self, part: Procedures, office: Office) -> None:
        office.owners.clear()
        with pytest.raises(Refused, match="expired"):
            await part.start(ONE, AOKI.id, "phone")
        assert await office.rows() == []

    async def test_it_is_not_anothers(self, part: Procedures, office: Office) -> None:
        run = await part.start(ONE, AOKI.id, "phone")
        office.owners[ONE] = BABA
        with pytest.raises(Refused, match="expired"):
            await part.answer(ONE, run.id, "silent", "nothing_told")
        assert part.running(ONE, BABA.id) is None
        await part.start(ONE, BABA.id, "counter")
        assert (await office.rows())[1].data["result"] == "session_ended"
        assert (await office.rows())[1].subject == "sub_a"

    async def test_it_ends_with_the_session(self, part: Procedures, office: Office) -> None:
        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(job) for job in part.jobs()]
            await asyncio.sleep(0)
            run = await part.start(ONE, AOKI.id, "phone")
            await part.answer(ONE, run.id, "silent", "nothing_told")
            office.clock.step(7)
            await office.ledger.append(ended(1, at=office.clock.at))
            await until_finished(office)
            for job in jobs:
                job.cancel()
        end = (await office.rows())[-1]
        assert (end.data["result"], end.data["ms"]) == ("session_ended", 7000)
        with pytest.raises(Refused, match="not_found"):
            await part.answer(ONE, run.id, "caller", "office")

    async def test_another_one_gives_the_first_up(self, part: Procedures, office: Office) -> None:
        await part.start(ONE, AOKI.id, "phone")
        await part.start(ONE, AOKI.id, "letter")
        assert [row.data.get("result") for row in await office.rows()] == [None, "dropped", None]

    async def test_it_can_be_given_up(self, part: Procedures, office: Office) -> None:
        run = await part.start(ONE, AOKI.id, "phone")
        assert (await part.drop(ONE, run.id)).result is Result.DROPPED
        with pytest.raises(Refused, match="not_found"):
            await part.drop(ONE, run.id)

    async def test_a_page_that_is_loaded_anew_finds_it(self, part: Procedures) -> None:
        run = await part.start(ONE, AOKI.id, "phone")
        assert part.running(ONE, AOKI.id) == run


class TestPassed:
    async def test_it_counts_in_its_session_for_its_kind_and_a_while(self, part: Procedures, office: Office) -> None:
        run = await go_through(part, office)
        found = part.passed(AOKI.id, "phone")
        assert found is not None
        assert found.run == run.id
        assert part.passed(AOKI.id, "letter") is None
        assert part.passed(BABA.id) is None
        office.clock.step(3601)
        assert part.passed(AOKI.id) is None

    async def test_it_does_not_outlast_the_session(self, part: Procedures, office: Office) -> None:
        await go_through(part, office)
        office.owners.clear()
        assert part.passed(AOKI.id) is None


class TestTheLedgerComesFirst:
    async def test_nothing_is_answered_that_is_not_durable(
        self, part: Procedures, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = await part.start(ONE, AOKI.id, "phone")

        async def down(entry: object) -> int:
            raise LedgerDown("full")

        with monkeypatch.context() as patched:
            patched.setattr(office.ledger, "append", down)
            with pytest.raises(LedgerDown):
                await part.answer(ONE, run.id, "silent", "nothing_told")
            with pytest.raises(LedgerDown):
                await part.start(ONE, AOKI.id, "letter")
        assert part.running(ONE, AOKI.id) == run
        assert (await part.answer(ONE, run.id, "silent", "nothing_told")).done == 1

    async def test_a_restart_closes_what_was_left_open_once(self, part: Procedures, office: Office) -> None:
        await go_through(part, office)
        await part.start(ONE, AOKI.id, "letter")
        office.clock.step(30)
        for _ in range(2):
            await Procedures(office.ground).begin()
        ends = [row.data["result"] for row in await office.rows() if row.kind is Kind.PROCEDURE_FINISHED]
        assert ends == ["passed", "restarted"]

    async def test_an_old_ledger_is_not_read_whole(self, part: Procedures, office: Office) -> None:
        await part.start(ONE, AOKI.id, "letter")
        office.clock.step(LOOK_BACK_MS / 1000 + 1)
        await Procedures(office.ground).begin()
        assert len(await office.rows()) == 1


async def test_no_name_and_no_number_stands_in_the_ledger(part: Procedures, office: Office) -> None:
    await go_through(part, office)
    members = {name for row in await office.rows() for name in row.data}
    assert members == {
        *("run", "procedure", "section", "version", "digest"),
        *("step", "answer", "goes_on", "ms", "result", "answered"),
    }
