"""The roster: all of it or nothing, the ledger first, in effect on its day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from authd.core.model import Kind
from authd.core.ports import LedgerDown
from authd.core.seat import PolicyChanged
from authd.service.bus.house import Refused
from authd.service.evidence.supervision.terms import Term
from tests.service.evidence.supervision.office import CHIEF, HEAD, ITO, ONE, SATO, TERMS, TWO, Office, office

DIGEST = "a" * 64
APRIL = date(2027, 4, 1)
TO_TAX = replace(TERMS[2], section="tax", since=APRIL)


def stage(desk: Office, *terms: Term) -> None:
    desk.part.roll.stage(DIGEST, 0, [(line, term) for line, term in enumerate(terms, 2)])


async def test_a_look_changes_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        stage(desk, *TERMS)
        checked = desk.part.roll.check(DIGEST)
        assert (checked.rows, checked.faults, [each.before for each in checked.changes]) == (4, [], [None] * 4)
        assert desk.part.roll.roster is None
        assert await desk.rows(Kind.ROSTER_IMPORTED) == []
        assert not (tmp_path / "roster").exists()


async def test_an_officer_takes_it_in_and_the_ledger_has_its_digest(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        (row,) = await desk.rows(Kind.ROSTER_IMPORTED)
        assert row.entry.subject == CHIEF
        assert {name: row.entry.data[name] for name in ("digest", "rows", "new", "changed")} == {
            "digest": "0" * 64, "rows": 4, "new": 4, "changed": 0,
        }  # fmt: skip
        assert (tmp_path / "roster" / f"{row.entry.data['kept']}.json").exists()
        assert (await desk.again()).roll.roster == desk.part.roll.roster


async def test_a_restart_has_the_newest_roster(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        await desk.hire(TO_TAX)
        again = (await desk.again()).roll.roster
        assert again is not None
        assert again == desk.part.roll.roster
        assert [term.section for term in again.terms["1003"]] == ["resident", "tax"]


@pytest.mark.parametrize("who", [HEAD, None])
async def test_nobody_but_an_officer_takes_it_in(tmp_path: Path, who: object) -> None:
    async with office(tmp_path) as desk:
        stage(desk, *TERMS)
        if who is not None:
            desk.pipeline.sit(ONE, HEAD)
        with pytest.raises(Refused, match="an officer must be logged in"):
            await desk.part.roll.apply(DIGEST, ONE)
        desk.pipeline.sit(ONE, CHIEF)
        desk.pipeline.touches = False
        with pytest.raises(Refused, match="touch did not come"):
            await desk.part.roll.apply(DIGEST, ONE)
        assert desk.part.roll.roster is None


async def test_one_fault_and_nothing_is_taken(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        circle = replace(TERMS[0], reports_to="1003"), replace(TERMS[2], reports_to="1001")
        for bad, why in (
            ((*TERMS, replace(TERMS[3], staff_number="9", reports_to="777")), "supervisor_unknown"),
            ((TERMS[1], *circle), "circle"),
        ):
            stage(desk, *bad)
            assert why in {fault.why for fault in desk.part.roll.check(DIGEST).faults}
            desk.pipeline.sit(ONE, CHIEF)
            with pytest.raises(Refused, match="has faults"):
                await desk.part.roll.apply(DIGEST, ONE)
        assert await desk.rows(Kind.ROSTER_IMPORTED) == []


async def test_a_ledger_that_is_down_takes_nothing_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        before = desk.part.roll.roster

        async def down(entry: object) -> int:
            raise LedgerDown("full")

        stage(desk, TO_TAX)
        desk.pipeline.sit(ONE, CHIEF)
        with monkeypatch.context() as patch:
            patch.setattr(desk.ledger, "append", down)
            with pytest.raises(LedgerDown):
                await desk.part.roll.apply(DIGEST, ONE)
        assert desk.part.roll.roster == before
        assert (await desk.again()).roll.roster == before


async def test_a_roster_that_was_edited_is_none(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        (file,) = (tmp_path / "roster").glob("*.json")
        file.write_bytes(file.read_bytes().replace(b'"supervisor":true', b'"supervisor":false'))
        again = await desk.again()
        assert again.roll.roster is None
        assert "import the roster again" in str(again.state()["roster_trouble"])
        file.unlink()
        assert (await desk.again()).roll.roster is None


async def test_a_thousand_rows_have_an_exact_difference(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        before = [Term(f"5{n:04d}", f"職員{n}", "resident", date(2026, 4, 1)) for n in range(1_000)]
        await desk.hire(*before)
        moved = ["tax" if n % 3 == 0 else "resident" for n in range(1_000)]
        after = [replace(term, section=to, since=APRIL) for term, to in zip(before, moved, strict=True)]
        stage(desk, *after[:900], *(Term(f"6{n:04d}", f"新{n}", "tax", APRIL) for n in range(100)))
        changes = desk.part.roll.check(DIGEST).changes
        counts = [
            sum(each.before is None for each in changes),
            sum(each.fields == ("section",) for each in changes),
            sum(each.before is not None and not each.fields for each in changes),
        ]
        assert counts == [100, 300, 600]


@pytest.mark.parametrize("bad", [{"name": ""}, {"name": "a\u200bb"}, {"section": ""}, {"kana": "x" * 300}])
async def test_what_the_store_would_refuse_is_refused_before_it_is_kept(tmp_path: Path, bad: dict[str, str]) -> None:
    async with office(tmp_path) as desk:
        with pytest.raises(Refused, match="line 2"):
            stage(desk, replace(TERMS[0], **bad))  # type: ignore[arg-type]  # as the test says


async def test_names_are_kept_in_their_one_form_so_that_nothing_moves_twice(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire(replace(TERMS[2], name="か\u3099とう 花子 "))
        assert desk.store.people[SATO].name == "がとう 花子"
        assert await desk.part.roll.transfer() == 0


async def test_a_folder_that_cannot_be_written_takes_nothing_in(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        (tmp_path / "roster").touch()
        with pytest.raises(Refused, match="cannot be written"):
            await desk.hire()
        assert await desk.rows(Kind.ROSTER_IMPORTED) == []


async def test_rows_come_in_order_and_of_one_file(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        roll = desk.part.roll
        assert roll.stage(DIGEST, 0, [(2, TERMS[0])]) == 1
        for digest, at in ((DIGEST, 2), ("b" * 64, 1)):
            with pytest.raises(Refused):
                roll.stage(digest, at, [(3, TERMS[1])])
        assert roll.stage(DIGEST, 1, [(3, TERMS[1])]) == 2
        with pytest.raises(Refused):
            roll.check("b" * 64)


async def test_a_transfer_happens_on_its_day_in_ledger_store_and_policy(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-31T23:59") as desk:
        await desk.hire(*TERMS, TO_TAX)
        assert desk.store.people[SATO].section == "resident"
        desk.clock.set("2027-04-01T00:00")
        await desk.part.look()
        assert desk.store.people[SATO].section == "tax"
        assert '"tax"' in str(desk.pipeline.directory.person(SATO))
        row = (await desk.rows(Kind.ROSTER_IMPORTED))[-1].entry
        assert (row.data["effective"], row.data["people"]) == ("2027-04-01", 1)
        await desk.part.look()
        assert len(await desk.rows(Kind.ROSTER_IMPORTED)) == 2


async def test_who_sits_where_they_may_no_more_is_out_and_everybody_else_stays(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-31T23:59") as desk:
        await desk.hire(*TERMS, TO_TAX)
        desk.pipeline.sit(ONE, SATO)
        desk.pipeline.sit(TWO, ITO)
        desk.pipeline.members |= {ONE: [HEAD], TWO: [ITO, SATO]}
        desk.clock.set("2027-04-01T00:00")
        await desk.part.look()
        assert [(seat, type(event)) for seat, event in desk.pipeline.fed] == [(ONE, PolicyChanged)]


async def test_who_could_not_open_it_any_more_does_not_keep_it(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-31T23:59") as desk:
        await desk.hire(*TERMS, TO_TAX)
        desk.pipeline.sit(ONE, SATO)
        desk.pipeline.strangers = {SATO}
        desk.clock.set("2027-04-01T00:00")
        await desk.part.look()
        assert [seat for seat, _ in desk.pipeline.fed] == [ONE]


async def test_who_may_sit_there_in_their_new_section_too_stays(tmp_path: Path) -> None:
    async with office(tmp_path, "2027-03-31T23:59") as desk:
        await desk.hire(*TERMS, TO_TAX)
        desk.pipeline.sit(TWO, SATO)
        desk.pipeline.members[TWO] = [SATO]
        desk.clock.set("2027-04-01T00:00")
        await desk.part.look()
        assert desk.pipeline.fed == []


async def test_a_transfer_does_not_bring_back_who_is_disabled_meanwhile(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        person = replace(desk.store.people[SATO], section="tax")
        changing = desk.store.change([person])
        desk.store.refuse(SATO)
        await changing
        assert desk.store.people[SATO].disabled
        assert desk.store.people[SATO].section == "tax"


async def test_whoever_is_disabled_supervises_nobody(tmp_path: Path) -> None:
    async with office(tmp_path) as desk:
        await desk.hire()
        assert await desk.part.is_supervisor(HEAD)
        await desk.store.disable(HEAD)
        assert not await desk.part.is_supervisor(HEAD)
        assert desk.part.roll.chain("resident", APRIL) == [[CHIEF]]
