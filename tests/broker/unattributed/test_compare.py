"""Who answers for an access, by the sessions there were."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.broker.unattributed.compare import LOCAL, Access, Known, Places, Rules, Session, groups, personal, reason

RULES = Rules("staff_{staff_number}", 3_000)
OPEN = Session("ses_a", "staff_1001", 100_000)
OVER = Session("ses_b", "staff_1002", 50_000, 100_000)


def there(account: str, began: int = 150_000, now: int = 200_000, **more: str) -> Access:
    return Access(account, more.pop("address", "10.0.0.5"), "residents", began, now, **more)


@pytest.mark.parametrize(
    ("access", "why"),
    [
        (there("staff_1001"), None),
        (there("staff_1001", began=99_100), None),
        (there("staff_1001", began=98_000), "before"),
        (there("staff_1002"), "nobody"),
        (there("staff_1002", began=60_000, now=103_000), None),
        (there("staff_1002", began=60_000, now=103_001), "nobody"),
        (there("staff_1003"), "nobody"),
        (there("juki"), "shared"),
        (there(""), "shared"),
        (there("staff_"), "shared"),
        (there("staff_1001", session="ses_a"), None),
        (there("staff_1001", session="ses_b"), "session"),
    ],
)
def test_why_nobody_answers_for_it(access: Access, why: str | None) -> None:
    assert reason(access, [OPEN, OVER], RULES) == why


def test_a_session_answers_only_where_it_comes_from() -> None:
    rules = replace(RULES, places=Places((ip_network("10.0.0.0/30"),), local=True))
    assert reason(there("staff_1001"), [OPEN], rules) == "elsewhere"
    assert reason(there("staff_1001", address="10.0.0.2"), [OPEN], rules) is None
    assert reason(there("staff_1001", address=LOCAL), [OPEN], rules) is None
    assert reason(there("staff_1001", address="no address"), [OPEN], rules) == "elsewhere"
    assert reason(there("staff_1001", address="::1"), [OPEN], rules) == "elsewhere"


def test_what_is_known_is_known_from_its_own_place_only() -> None:
    backup = Known("backup", "nightly", Places((ip_network("10.0.0.9/32"),)))
    rules = replace(RULES, known=(backup, Known("monitor", "watches")))
    assert reason(there("backup", address="10.0.0.9"), [], rules) is None
    assert reason(there("backup"), [], rules) == "shared"
    assert reason(there("monitor"), [], rules) is None


def test_without_a_pattern_every_account_is_shared() -> None:
    assert reason(there("staff_1001"), [OPEN], replace(RULES, pattern="")) == "shared"
    assert not personal("staff_1001x\n", RULES.pattern)
    assert not personal("xstaff_1001", RULES.pattern)
    assert personal("a.1001-b", "a.{staff_number}-b")
    assert not personal("aX1001-b", "a.{staff_number}-b")


def test_they_are_counted_by_kind() -> None:
    found = groups(
        [there("juki", 10), there("juki", 5), there("juki", address="10.0.0.6"), there("staff_1001")], [OPEN], RULES
    )
    assert [(each.account, each.address, each.since_ms, len(each.accesses)) for each in found] == [
        ("juki", "10.0.0.5", 5, 2),
        ("juki", "10.0.0.6", 150_000, 1),
    ]


_sessions = st.builds(
    Session,
    st.sampled_from(["ses_a", "ses_b"]),
    st.sampled_from(["staff_1", "staff_2"]),
    st.integers(0, 50),
    st.none() | st.integers(0, 100),
)


@given(st.lists(_sessions, max_size=4), st.sampled_from(["staff_1", "staff_2", "juki"]), st.integers(0, 100))
def test_whoever_is_answered_for_has_a_session_of_that_name_then(
    sessions: list[Session], account: str, at: int
) -> None:
    rules = replace(RULES, grace_ms=0)
    slow = [
        replace(each, start_ms=each.start_ms * 10_000, end_ms=each.end_ms and each.end_ms * 10_000) for each in sessions
    ]
    access = there(account, at * 10_000, at * 10_000)
    if reason(access, slow, rules) is None:
        theirs = [each for each in slow if each.account == account]
        assert any(
            each.start_ms <= access.until_ms and (each.end_ms is None or access.until_ms <= each.end_ms)
            for each in theirs
        )
