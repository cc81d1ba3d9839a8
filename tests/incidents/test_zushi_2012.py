"""Zushi, 2012: a terminal that somebody had logged in and left, a caller who pretended, an address read out.

The city knew which password had been used and never which person; a clerk who may have been innocent could not be
cleared. Here is what must not be possible any more, and what must be answered; the drill replays the whole afternoon.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authd.cli import who
from authd.core.model import EndReason, Miss, SeatState, SubjectId
from authd.core.seat import Activity, Pressed, Sensed, Verdict
from authd.core.seat.table import RULES
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.staff import PersonRecord
from authd.service.store_file import StoreFile
from tests.core.playbook import AOKI, BABA, in_state, opened, pass_time, quietly, recorded, touch
from tests.incidents.drilling import Drilled, answered
from tests.service import ledgers
from tests.service.ledgers import HandClock, ended, started

DRILL = "zushi"
AT_THE_DESK = PersonRecord(SubjectId("sub_a"), "1003", "青木 一", "あおき はじめ", "tax")
INNOCENT = PersonRecord(SubjectId("sub_b"), "1005", "馬場 花", "ばば はな", "tax")
DAY = ("2025-11-22T00:00:00+00:00", "2025-11-22T09:00:00+00:00")
CALL = ("2025-11-22T01:05:00+00:00", "2025-11-22T01:20:00+00:00")
Answer = list[dict[str, Any]]


@pytest.mark.real
def test_the_drill_answers_every_question(play: Callable[[str], Drilled]) -> None:
    done = answered(
        play(DRILL),
        {
            "names_the_person",
            "clears_the_other",
            "who_opened_it",
            "saw_the_warning",
            "the_other_opened_nothing",
            "what_the_caller_was_told",
            "the_refusal_tells_nothing",
        },
    )
    assert "この記録は支援措置により保護されています" in done.story
    assert "caller=family" in done.story


class TestTheTerminalThatWasLeft:
    """The terminal was logged in by somebody, who went away."""

    def test_it_locks_by_absence_where_a_sensor_sees_it(self) -> None:
        assert (
            opened(AOKI)
            >> quietly(Sensed(present=False), pass_time(6))
            >> pass_time(4)
            << "write session.ended aoki absence"
            << "show locked locked"
            << "arm n3"
        )

    def test_it_locks_by_idle_where_no_sensor_does(self) -> None:
        book = opened(AOKI, after=3) >> quietly(pass_time(56))
        assert book >> pass_time(1) << "write session.ended aoki idle" << "show locked locked" << "arm n3"

    @pytest.mark.parametrize("sitting_down", [Sensed(present=True), Activity()])
    def test_whoever_sits_down_while_it_fades_gets_nothing(self, sitting_down: Sensed | Activity) -> None:
        book = opened(AOKI) >> quietly(Sensed(present=False), pass_time(6), sitting_down)
        assert book >> pass_time(4) << "write session.ended aoki absence" << "show locked locked" << "arm n3"

    def test_a_colleague_who_touches_it_works_as_themselves(self) -> None:
        book = opened(AOKI) >> quietly(touch(BABA), recorded())
        assert in_state(book, SeatState.ACTIVE)
        assert book.seat.owner is not None
        assert book.seat.owner.subject == BABA

    def test_an_unknown_finger_opens_nothing(self) -> None:
        book = opened(AOKI) >> quietly(Pressed(), touch(Miss.NOBODY))
        assert in_state(book, SeatState.LOCKED)

    def test_nothing_but_the_verdict_on_a_touch_leads_to_a_session(self) -> None:
        """No password, no account, no button, no message from outside."""
        assert {rule.event for rule in RULES if rule.to is SeatState.GRANTING} == {Verdict}


# Afterwards: who was it?


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """The one who told sat there from 01:00 to 01:30; the other one before, and again in the afternoon."""
    clock = HandClock()
    async with ledgers.opened(tmp_path / "ledger", clock) as ledger:
        for number, (subject, minutes) in enumerate(
            [("sub_b", 50), (None, 10), ("sub_a", 30), (None, 60), ("sub_b", 5)]
        ):
            if subject is not None:
                await ledger.append(started(number, subject=subject, at=clock.at, reader="vein-1"))
            clock.step(minutes * 60)
            if subject is not None:
                await ledger.append(ended(number, subject=subject, at=clock.at, why=EndReason.ABSENCE))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ledger.key").write_bytes(bytes(range(32)))
    return tmp_path


@pytest.fixture
def ask(state: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Ask the ledger's files, with a store whose people are these."""

    def asked(span: tuple[str, str], *staff: PersonRecord) -> Answer:
        names = state / f"store-{len(list(state.glob('store-*.sqlite')))}.sqlite"
        store = StoreFile.open(names)
        for each in staff:
            template = SealedTemplate(f"tpl_{each.staff_number}", 1, each.subject, "vein", "right-index", b"sealed")
            store.enrol(each, [WrappedKey(each.subject, b"key")], [template])
        store.close()
        parser = argparse.ArgumentParser()
        who.register(parser.add_subparsers(required=True))
        words = ["who", "--seat", "counter-1", "--from", span[0], "--to", span[1], "--json"]
        args = parser.parse_args([*words, "--ledger", str(state / "ledger"), "--store", str(names)])
        assert args.run(args) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return asked


def _stays(answer: Answer) -> Answer:
    """Without the hours behind the last row, which nobody knows."""
    return [line for line in answer if line["subject"] is not None]


class TestTheQuestionAfterwards:
    """The city could not say who it had been, nor who it had not been."""

    def test_the_answer_is_a_person_with_times_and_evidence(self, ask: Callable[..., Answer]) -> None:
        (stay,) = ask(CALL, AT_THE_DESK, INNOCENT)
        assert (stay["subject"], stay["person"]["name"], stay["seat"]) == ("sub_a", "青木 一", "counter-1")
        assert (stay["seconds"], stay["reason"], stay["grade"]) == (1800, "absence", "B")

    def test_the_clerk_who_was_not_there_has_no_stay(self, ask: Callable[..., Answer]) -> None:
        answer = ask(CALL, AT_THE_DESK, INNOCENT)
        assert [(line["subject"], line["unknown"]) for line in answer] == [("sub_a", None)], "and all of it is known"
        assert [stay["subject"] for stay in _stays(ask(DAY, AT_THE_DESK, INNOCENT))] == ["sub_b", "sub_a", "sub_b"]

    def test_names_swapped_in_the_store_do_not_change_whom_the_ledger_names(self, ask: Callable[..., Answer]) -> None:
        right = _stays(ask(DAY, AT_THE_DESK, INNOCENT))
        other = replace(AT_THE_DESK, name=INNOCENT.name, kana=INNOCENT.kana), replace(INNOCENT, name=AT_THE_DESK.name)
        swapped = _stays(ask(DAY, *other))
        named = [stay["person"]["name"] for stay in right], [stay["person"]["name"] for stay in swapped]
        assert named == (["馬場 花", "青木 一", "馬場 花"], ["青木 一", "馬場 花", "青木 一"])
        for before, after in zip(right, swapped, strict=True):
            assert {**before, "person": None} == {**after, "person": None}

    def test_a_person_removed_from_the_store_stays_in_the_answer(self, ask: Callable[..., Answer]) -> None:
        (stay,) = ask(CALL, INNOCENT)
        assert (stay["subject"], stay["person"]) == ("sub_a", None)
