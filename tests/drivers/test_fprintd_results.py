"""Every word of fprintd has one outcome, and the reader does what the table says with each."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from authd.driver import (
    Claimed,
    Denial,
    Denied,
    DriverError,
    Enroll,
    Enrolled,
    Fault,
    Feedback,
    Hint,
    NoMatch,
    Progress,
    State,
    StateChange,
    Verify,
)
from authd_drivers.fprintd import READER
from authd_drivers.fprintd.results import (
    ENROLL,
    ERRORS,
    FINAL,
    GO_ON,
    NO_MATCH,
    OK,
    RETRY,
    TABLES,
    VERIFY,
    outcome,
    rows,
)
from tests.conformance.reader import NONCE, fails, running, until
from tests.drivers.fake_fprintd import FakeFprintd, fake, opened

__all__ = ["fake", "opened"]  # fixtures

DOWN = StateChange(State.NEED_TOUCH)


def test_every_outcome_is_one_of_the_words_for_it() -> None:
    for _, word, result, meaning in rows():
        assert result in (OK, GO_ON, NO_MATCH, RETRY) or isinstance(result, Hint | Fault | Denial), word
        assert meaning
    assert len(list(rows())) == sum(map(len, TABLES.values()))


def test_only_a_match_is_good_and_only_no_match_is_a_wrong_finger() -> None:
    assert [word for word, (result, _) in VERIFY.items() if result == OK] == ["verify-match"]
    assert [word for table in TABLES.values() for word, (result, _) in table.items() if result == NO_MATCH] == [
        "verify-no-match"
    ]
    assert [word for word, (result, _) in ENROLL.items() if result == OK] == ["enroll-completed"]


@pytest.mark.parametrize("table", TABLES)
def test_a_word_that_nobody_knows_is_a_fault_of_protocol(table: str) -> None:
    assert outcome(TABLES[table], "verify-matched") is Fault.PROTOCOL
    assert outcome(TABLES[table], "") is Fault.PROTOCOL


SOURCE = Path("/usr/libexec/fprintd")


@pytest.mark.real
def test_no_word_of_the_installed_fprintd_is_missing() -> None:
    said = set(
        re.findall(rb"\0((?:verify|enroll)-[a-z-]+|net\.reactivated\.Fprint\.Error\.\w+)(?=\0)", SOURCE.read_bytes())
    )
    words = {word.decode() for word in said} - {"verify-status", "enroll-status", "verify-finger-selected"}
    assert words
    assert words <= {*VERIFY, *ENROLL, *ERRORS}


@pytest.mark.parametrize("word", VERIFY)
async def test_what_each_status_of_a_verification_comes_to(fake: FakeFprintd, opened: Any, word: str) -> None:
    result = outcome(VERIFY, word)
    async with running(opened, Verify(NONCE, "sub_1")) as events:
        await until(events, DOWN)
        fake.send(fake.status(word, word in FINAL))
        if isinstance(result, Fault):
            assert (await fails(events)).fault is result
        elif result == RETRY:
            await until(events, DOWN)
            assert fake.calls.count("Claim") == 2
        else:
            wanted = Feedback(result) if isinstance(result, Hint) else Claimed if result == OK else NoMatch(NONCE)
            await until(events, wanted)


@pytest.mark.parametrize("word", ENROLL)
async def test_what_each_status_of_an_enrolment_comes_to(fake: FakeFprintd, opened: Any, word: str) -> None:
    result, fake.fingers = outcome(ENROLL, word), []
    async with running(opened, Enroll(NONCE, "sub_1", "left_thumb")) as events:
        await until(events, DOWN)
        fake.send(fake.status(word, word in FINAL, "Enroll"))
        if isinstance(result, Fault):
            assert (await fails(events)).fault is result
        elif result == RETRY:
            await until(events, DOWN)
        else:
            wanted: dict[object, object] = {OK: Enrolled, GO_ON: Progress(0.5), Denial.DUPLICATE: Denied}
            await until(events, Feedback(result) if isinstance(result, Hint) else wanted[result])


@pytest.mark.parametrize("member", ["Claim", "ListEnrolledFingers", "VerifyStart"])
@pytest.mark.parametrize("word", [*ERRORS, "org.example.Error.Unheard"])
async def test_what_each_error_comes_to(
    fake: FakeFprintd, opened: Any, monkeypatch: pytest.MonkeyPatch, member: str, word: str
) -> None:
    monkeypatch.setattr("authd_drivers.fprintd.claim.BUSY_S", 0.0)
    result = outcome(ERRORS, word)
    fake.errors[member] = word
    async with running(opened, Verify(NONCE, "sub_1")) as events:
        if result == RETRY:
            await _retried(fake, events, member)
        elif isinstance(result, Denial):
            assert await until(events, Denied, NoMatch, Claimed) == Denied(result, NONCE)
        else:
            fault = (await fails(events)).fault
            assert fault is (result if isinstance(result, Fault) else Fault.CRASHED)  # OK: nothing that a call may say


async def _retried(fake: FakeFprintd, events: Any, member: str) -> None:
    waiting = asyncio.ensure_future(until(events, DOWN))
    await fake.called(member, 2)
    del fake.errors[member]
    await waiting


@pytest.mark.parametrize("word", [word for word, (result, _) in ERRORS.items() if isinstance(result, Fault)])
async def test_what_each_error_comes_to_while_the_reader_opens(fake: FakeFprintd, word: str) -> None:
    fake.errors["GetDefaultDevice"] = word
    device = READER({"bus": str(fake.path)})
    with pytest.raises(DriverError) as caught:
        await device.open()
    assert caught.value.fault is outcome(ERRORS, word)
    await device.close()
