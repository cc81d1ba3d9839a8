"""Every status of a key comes to one outcome, to a sensible one, and the reader does what the table says with each."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import aclosing, contextmanager
from typing import Any

import pytest
from fido2.ctap import CtapDevice, CtapError

from authd.driver import Capture, Denial, Denied, Enroll, Fault, Feedback, Hint
from authd_drivers.fido2 import exchange, office, status
from authd_drivers.fido2.errand import Stop
from authd_drivers.fido2.exchange import Exchange, Port
from authd_drivers.fido2.status import OK, OUTCOMES, RETRY, WORDS, name, outcome, outcome_of_word
from authd_simulators.fido_key import BIO, Key
from tests.conformance.authenticator import Person
from tests.conformance.reader import NONCE, fails, until
from tests.drivers.plugged import simulated
from tests.drivers.softkey import ANN, OFFICE
from tests.drivers.test_fido2_attestation import InProcess

PERSON = {0x27, 0x2F, 0x31, 0x33, 0x34, 0x37, 0x38, 0x3A, 0x3B, 0x3F}
KEYS_OWN_NO = {0x19, 0x22, 0x26, 0x2B, 0x2C, 0x2E, 0x32, 0x35, 0x36, 0x3C, 0x40}
AGAIN = {0x21, 0x23, 0x24, 0x2D}


@pytest.mark.parametrize("code", range(256))
def test_every_byte_has_one_outcome(code: int) -> None:
    found = outcome(code)
    if code == 0:
        assert found == OK
    elif code in PERSON:
        assert isinstance(found, Hint)
    elif code in KEYS_OWN_NO:
        assert isinstance(found, Denial)
    elif code in AGAIN:
        assert found == RETRY
    else:
        assert isinstance(found, Fault)
    assert name(code)


def test_the_librarys_names_are_all_known() -> None:
    """A status that a later library knows, and this table does not, is to be looked at."""
    missing = {each.name for each in CtapError.ERR if each.value not in OUTCOMES}
    assert missing == set()


def test_what_is_not_of_the_specification_is_the_devices_trouble() -> None:
    for code in (*range(0x41, 0x7F), *range(0x80, 0x100)):
        assert outcome(code) is Fault.PROTOCOL


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0x31, Hint.PIN_WRONG),
        (0x32, Denial.BLOCKED),
        (0x34, Hint.REMOVE_AND_RETRY),
        (0x2E, Denial.UNKNOWN),
        (0x19, Denial.DUPLICATE),
        (0x2F, Hint.TOO_SLOW),
        (0x3F, Hint.FINGER_AGAIN),
        (0x28, Fault.FULL),
        (0x06, Fault.BUSY),
    ],
)
def test_what_people_meet(code: int, expected: status.Outcome) -> None:
    assert outcome(code) is expected


class There:
    """A place where one key always is, without a transport (L0)."""

    def __init__(self, key: Key) -> None:
        self.key = key

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def look(self) -> str | None:
        return "key-1"

    async def after(self, stay: str | None) -> str | None:
        await asyncio.Event().wait()
        return stay

    @contextmanager
    def connect(self, stop: Stop) -> Generator[CtapDevice, None, None]:
        yield InProcess(self.key)


def saying(status: int, command: int) -> Key:
    """Return a key with a finger on it, which answers one command with a status."""
    key = simulated(BIO)
    key.presence.hand.auto, answer = True, key.call
    key.call = lambda request, keepalive=None: (  # type: ignore[method-assign]  # a key that says no
        bytes([status]) if request[0] == command else answer(request, keepalive)
    )
    return key


@pytest.mark.parametrize("command", [0x01, 0x02], ids=["make", "sign"])
@pytest.mark.parametrize("code", [*sorted(OUTCOMES.keys() - {0x00}), 0x41, 0xE5, 0xF3], ids="{:02x}".format)
async def test_the_reader_does_what_the_table_says(code: int, command: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(exchange, "MOST_RETRIES", 2)
    port = Port(There(saying(code, command)), office.parse(OFFICE))
    op, found = Enroll(NONCE, ANN) if command == 0x01 else Capture(NONCE), outcome(code)
    async with aclosing(Exchange(port, Person().ask).until_answered(op)) as running:
        events: Any = running
        if isinstance(found, Fault) or found == RETRY:  # which is asked again, and not for ever
            assert (await fails(events)).fault is (Fault.BUSY if found == RETRY else found)
        else:
            said = Feedback(found) if isinstance(found, Hint) else Denied(found, NONCE)  # type: ignore[arg-type]
            assert await until(events, Feedback, Denied) == said


def test_every_status_word_has_one_outcome() -> None:
    for word in range(0x10000):
        found = outcome_of_word(word)
        if word == 0x9000:
            assert found == OK
        elif word in (0x9100, 0x6401) or word >> 8 == 0x61:
            assert found == RETRY
        else:
            assert isinstance(found, Hint | Fault | Denial)
            assert word in WORDS or found is Fault.PROTOCOL
