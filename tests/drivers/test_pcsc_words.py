"""Every status word and every PC/SC code has one outcome."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from authd.driver import Denial, Fault, Hint
from authd_drivers.pcsc import words
from authd_drivers.pcsc.words import CODES, OK, RETRY, STATUS, rows, scard, status, tries_left


def test_every_word_has_exactly_one_outcome() -> None:
    ranges = sorted(STATUS)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 0xFFFF
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(ranges))
    for word in range(0x10000):
        (expected,) = {STATUS[each][0] for each in ranges if each[0] <= word <= each[1]}
        assert status(word) == expected
        assert expected in (OK, RETRY) or isinstance(expected, Hint | Fault | Denial)


def test_only_success_is_success() -> None:
    done = {word for word in range(0x10000) if status(word) == OK}
    assert done == {0x9000, *range(0x6100, 0x6200)}
    assert {word for word in range(0x10000) if status(word) == RETRY} == set(range(0x6C00, 0x6D00))


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        (0x63C2, Hint.PIN_WRONG),
        (0x63C0, Denial.BLOCKED),
        (0x6300, Hint.PIN_WRONG),
        (0x6982, Denial.UNVERIFIED),
        (0x6983, Denial.BLOCKED),
        (0x6985, Denial.ABSENT),
        (0x6A82, Denial.UNKNOWN),
        (0x6A80, Fault.PROTOCOL),
        (0x6D00, Denial.UNKNOWN),
        (0x6F00, Fault.PROTOCOL),
        (0x6282, Fault.PROTOCOL),
        (0x0000, Fault.PROTOCOL),
        (0x9001, Fault.PROTOCOL),
    ],
)
def test_words_that_matter(word: int, outcome: object) -> None:
    assert status(word) is outcome


def test_tries_left_are_said_by_63cx_and_by_a_blocked_pin_alone() -> None:
    said = {word: left for word in range(0x10000) if (left := tries_left(word)) is not None}
    assert said == {0x63C0 + left: left for left in range(16)} | {0x6983: 0, 0x6984: 0}


def test_every_code_of_pcsc_has_an_outcome() -> None:
    scard_module = pytest.importorskip("smartcard.scard", exc_type=ImportError)
    names = [name for name in dir(scard_module) if re.match(r"SCARD_[EWFPS]_", name)]
    codes = {getattr(scard_module, name) & 0xFFFFFFFF for name in names}
    assert len(codes) > 50
    assert codes <= set(CODES)


def test_every_code_of_the_installed_header_has_an_outcome() -> None:
    header = Path("/usr/include/PCSC/pcsclite.h")
    if not header.exists():
        pytest.skip("libpcsclite-dev is not installed")
    codes = {int(code, 16) for code in re.findall(r"\(LONG\)(0x801000[0-9A-F]{2})", header.read_text())}
    assert codes <= set(CODES)


def test_an_unheard_of_code_is_a_fault() -> None:
    assert scard(0x80100FFF) is Fault.PROTOCOL
    assert scard(-1) is Fault.PROTOCOL
    assert scard(0x8010000B - 0x100000000) is Fault.BUSY  # as C's LONG may come


def test_the_pages_rows_are_complete() -> None:
    listed = list(rows())
    assert len(listed) == len(STATUS) + len(CODES)
    assert len({code for code, _, _ in listed}) == len(listed)
    assert all(meaning for _, _, meaning in listed)
    assert words.OK in {outcome for _, outcome, _ in listed}
