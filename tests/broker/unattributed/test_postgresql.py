"""What a row of `pg_stat_activity` says; the real one is in tests/e2e/wiring."""

from __future__ import annotations

import pytest

from authd.broker.unattributed.compare import LOCAL, Access
from authd.broker.unattributed.postgresql import access_of, first_line

SESSION = "ses_0123456789abcdef0123456789abcdef"


def row(dn: str = "", address: str | None = None) -> tuple[object, ...]:
    return 7, "2026-11-24 13:05:00.123456+09", "staff_1001", "resident", address, 12.5, dn


def test_a_connection_is_there_for_its_age() -> None:
    assert access_of(row(), 100_000, "residents") == Access(
        "staff_1001", LOCAL, "residents/resident", 87_500, 100_000, "", "7 2026-11-24 13:05:00.123456+09"
    )
    assert access_of(row(address="10.0.0.5"), 100_000, "residents").address == "10.0.0.5"


def test_no_name_in_the_database_says_what_the_door_would_not_take() -> None:
    _, began, _, _, address, age, dn = row()
    found = access_of((7, began, "a\u202e\n" + "b" * 60, "d" * 63, address, age, dn), 100_000, "r" * 40)
    assert len(found.place) <= 100
    assert found.account.isprintable()


@pytest.mark.parametrize(
    ("dn", "session"),
    [
        (f"/OU={SESSION}/CN=staff_1001", SESSION),
        (f"/CN=staff_1001/OU={SESSION}", SESSION),
        (f"CN=staff_1001,OU={SESSION}", SESSION),
        ("/OU=city/CN=staff_1001", ""),
        (f"/CN=staff_1001 OU={SESSION}", ""),
    ],
)
def test_a_certificate_names_its_session(dn: str, session: str) -> None:
    assert access_of(row(dn), 100_000, "residents").session == session


def test_what_a_server_says_is_one_bounded_line() -> None:
    assert first_line(Exception("FATAL: \x1b[31mno\nDETAIL: more")) == "FATAL: [31mno"
    assert len(first_line(Exception("x" * 1_000))) == 200
    assert first_line(ValueError("")) == "ValueError"
