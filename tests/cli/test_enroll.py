"""`authd enroll` and `authd disable`: what an officer at a terminal reads."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from authd.core.model import Hint, SubjectId
from authd.service.bus.house import Enrolment, EnrolStep, Error, Refused
from tests.cli.conftest import Authd
from tests.service.bus.fakes import SATO, World, world

WORDS = (
    "enroll",
    "--seat",
    "counter-1",
    "--number",
    "1007",
    "--name",
    "佐藤花子",
    "--kana",
    "さとう",
    "--section",
    "r",
)


@pytest.fixture
def host(folder: Path) -> World:
    return world(folder, frozenset({os.geteuid()}))


async def test_each_step_is_said_and_the_subject_is_the_answer(host: World, authd: Authd) -> None:
    orders = list[Enrolment]()

    async def enrol(order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        orders.append(order)
        yield EnrolStep("officer_touch")
        yield EnrolStep("touch", 0.33)
        yield EnrolStep("hint", 0.33, Hint.WET)
        yield EnrolStep("done", 1.0, subject=SubjectId("sub_new"))

    host.house.enrol = enrol  # type: ignore[method-assign]
    async with host.serving():
        said = await authd(*WORDS, "--officer")
    assert (said.code, said.out) == (0, "sub_new\n")
    assert said.err.splitlines() == [
        "The officer at this seat confirms with a touch [0 %]",
        "Touch the reader, then lift the finger [33 %]",
        "Once more (Finger is wet) [33 %]",
        "Enrolled [100 %]",
    ]
    (order,) = orders
    assert (order.staff_number, order.finger, order.officer, order.founding) == ("1007", "right_index", True, False)


async def test_several_fingers_are_taken_one_after_the_other(host: World, authd: Authd) -> None:
    orders = list[Enrolment]()

    async def enrol(order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        orders.append(order)
        for finger in order.fingers:
            yield EnrolStep("touch", finger=finger)
        yield EnrolStep("done", 1.0, subject=SubjectId("sub_new"))

    host.house.enrol = enrol  # type: ignore[method-assign]
    two = ("--finger", "right_index", "--finger", "left_middle")
    async with host.serving():
        said = await authd(*WORDS, *two)
        added = await authd(*WORDS[:5], "--add", "--finger", "left_ring")
    assert said.err.splitlines() == [
        "Touch the reader, then lift the finger: right index finger [0 %]",
        "Touch the reader, then lift the finger: left middle finger [0 %]",
        "Enrolled [100 %]",
    ]
    assert added.out == "sub_new\n"
    assert [(order.fingers, order.adding, order.name != "") for order in orders] == [
        (("right_index", "left_middle"), False, True),
        (("left_ring",), True, False),
    ]


STAYS = "--add takes --number and --finger alone: who the person is stays as it is"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (WORDS[:5], "--name is needed for a new person (--add: for one who is enrolled)"),
        ((*WORDS, "--add"), STAYS),
        (
            (*WORDS[:5], "--add", "--officer"),
            "--add takes --number and --finger alone: who the person is stays as it is",
        ),
    ],
)
async def test_a_new_person_has_a_name_and_a_known_one_keeps_it(
    words: tuple[str, ...], line: str, host: World, authd: Authd
) -> None:
    async with host.serving():
        said = await authd(*words)
    assert (said.code, said.err) == (2, f"authd: {line}\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Refused(Error.REFUSED, "this finger is enrolled already"), "refused: this finger is enrolled already"),
        (
            Refused(Error.BUSY, "another enrolment is going on"),
            "busy: another enrolment is going on; try again in a moment",
        ),
        (
            Refused(Error.LEDGER_DOWN),
            "ledger_down; nothing can be recorded now: see authd status, and the disk of the ledger",
        ),
    ],
)
async def test_a_refusal_is_one_line_and_exit_4(error: Refused, line: str, host: World, authd: Authd) -> None:
    async def enrol(order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        yield EnrolStep("officer_touch")
        raise error

    host.house.enrol = enrol  # type: ignore[method-assign]
    async with host.serving():
        said = await authd(*WORDS)
    assert (said.code, said.out) == (4, "")
    assert said.err.splitlines()[1:] == [f"authd: {line}"]


@pytest.mark.parametrize("words", [WORDS, ("disable", "--seat", "counter-1", "--number", "1")])
async def test_without_a_daemon_it_says_how_to_start_one(words: tuple[str, ...], authd: Authd, toml: Path) -> None:
    said = await authd(*words)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("authd: no daemon there: ")
    assert said.err.endswith(f"; start it with: authd run --config {toml}\n")
    assert said.err.count("\n") == 1


async def test_somebody_is_disabled_by_staff_number(host: World, authd: Authd) -> None:
    async with host.serving():
        said = await authd("disable", "--seat", "counter-1", "--number", "1001")
    assert (said.code, said.out) == (0, f"{SATO}\n")
    assert said.err == "The officer at this seat confirms with a touch\n"
    assert host.house.people_known[SATO].disabled


async def test_whoever_is_not_there_or_disabled_already_is_not_disabled(host: World, authd: Authd) -> None:
    async with host.serving():
        await authd("disable", "--seat", "counter-1", "--number", "1001")
        for number in ("1001", "9999"):
            said = await authd("disable", "--seat", "counter-1", "--number", number)
            assert (said.code, said.err) == (2, f"authd: nobody with staff number {number} can log in\n")


async def test_a_leaver_is_erased_though_disabled_already(host: World, authd: Authd) -> None:
    async with host.serving():
        for words in (("--number", "1001"), ("--number", "1001", "--erase"), ("--number", SATO, "--erase")):
            said = await authd("disable", "--seat", "counter-1", *words)
            assert (said.code, said.out) == (0, f"{SATO}\n")
        said = await authd("disable", "--seat", "counter-1", "--number", "9999", "--erase")
        assert (said.code, said.err) == (2, "authd: nobody with staff number 9999 is known\n")
    assert ("erase", SATO, "counter-1") in host.house.calls
