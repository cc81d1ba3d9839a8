"""What a bundle holds, shows, and admits that it does not show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from authd.core.model import Instant, Kind, Value
from authd.service.evidence.bundle import Ask, save
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.ledger import published
from tests.service.evidence.bundle.hall import (
    HERS,
    HOUR,
    ITO,
    KEY,
    ONE,
    OTHERS,
    SATO,
    TWO,
    DayClock,
    Hall,
    asked,
    bundle_of,
    judged,
    members_of,
)
from tests.service.ledgers import opened


def ids(said: list[face.Said]) -> list[str]:
    return [what for what, _ in said]


def test_the_same_ledger_and_question_give_the_same_bytes(folder: Path) -> None:
    question = asked(seat=ONE)
    assert bundle_of(folder, question).data == bundle_of(folder, question).data


def test_a_seat_shows_who_sat_there_and_what_they_opened(folder: Path) -> None:
    found = judged(bundle_of(folder, asked(seat=ONE)).data).found
    assert found is not None
    assert found.whole.shown
    assert [stay.start.subject for stay in found.answer.stays] == [SATO]
    assert [row.record for row in found.answer.lines if row.kind == "view.opened"] == [HERS, OTHERS]
    assert face.conclusions(found)[0] == ("counts", (4, 2, 1))


def test_a_record_shows_who_opened_it(folder: Path) -> None:
    found = judged(bundle_of(folder, asked(record=OTHERS)).data).found
    assert found is not None
    assert [(row.subject, row.seat) for row in found.answer.lines] == [(SATO, ONE), (ITO, TWO)]
    assert not found.answer.doubts


def test_a_line_says_what_its_grade_means(folder: Path) -> None:
    bundle = bundle_of(folder, asked(record=HERS))
    (row,) = bundle.found.answer.lines
    assert face.evidence_of(row, bundle.found, "en") == (
        "B: finger vein matched at this seat at 2025-11-22 19:00:00; "
        "that the record was opened is what 住民記録 reported (D)"
    )


def test_who_is_cleared_of_a_record_and_of_a_seat(folder: Path) -> None:
    found = bundle_of(folder, asked(Ask.CLEAR, subject=ITO, record=HERS, seat=ONE)).found
    assert ids(face.conclusions(found)) == ["clear_record", "clear_seat"]
    assert {"no_borrowed", "no_report", "no_elsewhere", "no_record", "no_witness"} <= set(ids(face.not_shown(found)))


def test_who_opened_it_is_not_cleared(folder: Path) -> None:
    found = bundle_of(folder, asked(Ask.CLEAR, subject=SATO, record=HERS)).found
    assert ids(face.conclusions(found)) == ["not_clear"]


def test_a_session_that_began_before_the_interval_clears_nobody(folder: Path) -> None:
    question = asked(Ask.CLEAR, since=10 * HOUR + 40_000, until=10 * HOUR + 50_000, subject=SATO, seat=ONE)
    assert ids(face.conclusions(bundle_of(folder, question).found)) == ["not_clear"]


def test_an_interval_beyond_the_end_of_the_ledger_is_not_answered_for(folder: Path) -> None:
    found = bundle_of(folder, asked(Ask.CLEAR, until=99 * HOUR, subject=ITO, record=HERS)).found
    assert "whole_until" in ids(face.not_shown(found))


def test_rows_that_were_chosen_clear_nobody(folder: Path) -> None:
    found = bundle_of(folder, asked(Ask.CLEAR, subject=ITO, record=HERS), whole=False).found
    assert ids(face.conclusions(found)) == ["not_whole"]


def test_a_resident_is_told_of_views_and_of_nothing_that_tells_of_a_flag(folder: Path) -> None:
    bundle = bundle_of(folder, asked(Ask.RESIDENT, record=HERS))
    assert [row.kind for row in bundle.found.answer.lines] == ["view.opened"]
    assert "address" not in bundle.pages["ja"].decode()


async def test_a_view_that_was_taken_back_is_marked_and_not_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, clock := DayClock()) as ledger:
        hall = Hall(ledger, clock)
        await hall.quiet(10 * 60)
        await hall.sits(ONE, SATO)
        await hall.opens(ONE, HERS)
        await hall.opens(ONE, HERS)
        view = ledger.head
        sitting = hall.open[ONE]
        await hall.leaves(ONE)
        data: dict[str, Value] = {"record": HERS, "system": "resident", "why": "ended", "view": view}
        await ledger.append(replace(sitting, kind=Kind.VIEW_REFUSED, at=Instant(clock.at), grade=None, data=data))
        await hall.quiet(24 * 60)
    for question in (asked(Ask.RESIDENT, record=HERS), asked(record=HERS)):
        found = bundle_of(tmp_path, question).found
        marked = [row.seq for row in found.answer.lines if "nothing was shown" in face.what_of(row, found, "en")]
        assert marked == [view]
        assert face.conclusions(found)[0] in {("opened_times", (1, 1)), ("counts", (3, 1, 1))}


def test_a_residents_paper_is_whole_for_there_is_no_bundle_to_look_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face, "MOST_LINES", 1)
    question = asked(Ask.RESIDENT, record=OTHERS)
    for language, page in bundle_of(folder, question).pages.items():
        assert page.decode().count('<tr><td class="t">') == 2
        assert "bundle and verify_evidence.py" not in page.decode()
        assert face.say("more", language, 1) not in page.decode()


def test_nobody_is_named_who_does_not_occur(folder: Path) -> None:
    members = members_of(bundle_of(folder, asked(record=HERS), whole=False).data)
    assert ITO not in members["names.json"].decode()


def test_a_bundle_is_never_overwritten(tmp_path: Path) -> None:
    save(tmp_path / "case.zip", b"one")
    with pytest.raises(FileExistsError):
        save(tmp_path / "case.zip", b"two")
    assert (tmp_path / "case.zip").read_bytes() == b"one"


def test_an_anchor_kept_outside_is_compared(folder: Path) -> None:
    note = published(folder) or ""
    bundle = bundle_of(folder, asked(record=HERS))
    verdict = judged(bundle.data, face.Trust(face.read_key(KEY), anchor=note.encode()))
    assert ("r_anchor", (11,)) in verdict.compared
