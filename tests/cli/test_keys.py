"""`authd enroll --key`, `keys`, `revoke`, `breakglass`: what an officer at a terminal reads and types."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from authd.core.model import Denial, Hint, SubjectId
from authd.locale import text
from authd.service.bus.house import BreakGlass, Enrolment, EnrolStep, Error, Means, Refused
from tests.cli.conftest import Authd
from tests.service.bus.fakes import SATO, World, world

WORDS = ("enroll", "--seat", "counter-1", "--number", "1007", "--add")


@pytest.fixture
def host(folder: Path) -> World:
    return world(folder, frozenset({os.geteuid()}))


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person will type, in order; the prompts they saw are put behind it."""
    typed = list[str]()

    def ask(prompt: str) -> str:
        typed.append(prompt)
        return typed.pop(0)

    monkeypatch.setattr(getpass, "getpass", ask)
    return typed


async def test_a_key_is_enrolled_with_its_pin(host: World, authd: Authd, hands: list[str]) -> None:
    orders = list[Enrolment]()

    async def enrol(order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        orders.append(order)
        yield EnrolStep("key")
        yield EnrolStep("key_touch")
        yield EnrolStep("key_touch")
        yield EnrolStep("pin", left=2, again=True)
        yield EnrolStep("hint", hint=Hint.PIN_WRONG)
        yield EnrolStep("done", 1.0, subject=SubjectId("sub_new"))

    host.house.enrol = enrol  # type: ignore[method-assign]
    hands += ["1234"]
    async with host.serving():
        said = await authd(*WORDS, "--key")
    assert (said.code, said.out) == (0, "sub_new\n")
    assert len(said.err.splitlines()) == 4
    assert host.house.typed == ["1234"]
    assert hands == ["PIN of the key (card) (That PIN was wrong, 2 tries left): "]
    assert "1234" not in said.err
    assert [(order.means, order.adding) for order in orders] == [(Means.KEY, True)]


async def test_a_new_pin_is_typed_twice_until_both_are_the_same(host: World, authd: Authd, hands: list[str]) -> None:
    async def enrol(order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        yield EnrolStep("new_pin")
        yield EnrolStep("done", 1.0, subject=SubjectId("sub_new"))

    host.house.enrol = enrol  # type: ignore[method-assign]
    hands += ["1234", "1243", "", "123456", "123456"]
    async with host.serving():
        said = await authd(*WORDS, "--key")
    assert said.code == 0
    assert host.house.typed == ["123456"]


@pytest.mark.parametrize("words", [("--key", "--finger", "right_index"), ("--key", "--card")])
async def test_a_key_has_no_finger_and_is_no_card(words: tuple[str, ...], authd: Authd) -> None:
    assert (await authd(*WORDS, *words)).code == 2


async def test_what_somebody_holds_is_a_line_each(host: World, authd: Authd) -> None:
    async with host.serving():
        said = await authd("keys", "1001")
        by_subject = await authd("keys", SATO, "--json")
        nobody = await authd("keys", "9999")
    assert said.out.splitlines() == ["key-1\tfido2\ttpl_1@1", "key-2\tfido2\ttpl_2@1\trevoked"]
    assert [json.loads(line)["revoked"] for line in by_subject.out.splitlines()] == [False, True]
    assert nobody.code == 2


@pytest.mark.parametrize("which", [("--credential", "tpl_1@1"), ("--number", "1001", "--key", "key-1")])
async def test_a_key_is_revoked_by_name_or_by_label(which: tuple[str, ...], host: World, authd: Authd) -> None:
    async with host.serving():
        said = await authd("revoke", "--seat", "counter-1", *which)
    assert (said.code, said.out) == (0, "tpl_1@1\n")
    assert host.house.calls == [("revoke", "tpl_1@1", "counter-1")]


@pytest.mark.parametrize(
    "which",
    [("--key", "key-1"), ("--credential", "tpl_1@1", "--number", "1001"), ("--number", "1001", "--key", "key-2")],
)
async def test_nothing_else_is_revoked(which: tuple[str, ...], host: World, authd: Authd) -> None:
    async with host.serving():
        said = await authd("revoke", "--seat", "counter-1", *which)
    assert said.code == 2
    assert host.house.calls == []


async def test_what_waits_for_a_review_is_said_and_late_is_bad_news(host: World, authd: Authd) -> None:
    async with host.serving():
        said = await authd("breakglass")
        status = await authd("status", "--json")
    assert said.code == 1
    assert said.out == ("2026-11-22T00:00:00.000Z\tcounter-1\tses_1\tsub_sato\tsub_ito\treview due 2026-11-24\tlate\n")
    assert json.loads(status.out)["reviews_due"] == {"ses_1": "2026-11-24 (late)"}


async def test_a_review_is_recorded(host: World, authd: Authd) -> None:
    async def none() -> list[BreakGlass]:
        return []

    async with host.serving():
        said = await authd("breakglass", "review", "ses_1", "--seat", "counter-1")
        host.house.broken_glass = none  # type: ignore[method-assign]
        over = await authd("breakglass", "--json")
        short = await authd("breakglass", "review", "ses_1")
    assert (said.code, over.code, over.out, short.code) == (0, 0, "", 2)
    assert host.house.calls == [("review", "ses_1", "counter-1")]


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("not_allowed: this model is not on the list", text(Denial.NOT_ALLOWED, "en")),
        ("nothing came of it within two minutes", "refused: nothing came of it within two minutes"),
    ],
)
async def test_why_a_key_is_not_taken_is_said_in_the_officers_words(
    host: World, authd: Authd, detail: str, said: str
) -> None:
    async def enrol(order: Enrolment) -> AsyncGenerator[EnrolStep, None]:
        yield EnrolStep("key")
        raise Refused(Error.REFUSED, detail)

    host.house.enrol = enrol  # type: ignore[method-assign]
    async with host.serving():
        answer = await authd(*WORDS, "--key")
    assert (answer.code, answer.err.splitlines()[-1]) == (4, f"authd: {said}")
