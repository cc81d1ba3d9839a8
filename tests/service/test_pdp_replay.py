"""`pdp.replay`: the ledger's questions, put to another bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from authd.core.model import Entry, Kind, Request, SeatId, Value
from authd.service.pdp import Bundle, PersonAttrs, read
from authd.service.pdp.replay import EXAMPLES, Past, past, replay
from tests.service.pdp_help import CLERK, LOGIN, OTHER, STEP_UP, pdp, shipped, site

CLOSED = '@id("site.closed")\nforbid (principal, action == Action::"open_session", resource);\n'
OPENED = '@id("site.open")\npermit (principal, action == Action::"open_session", resource);\n'


@pytest.fixture
def closed(tmp_path: Path) -> Bundle:
    return read(site(tmp_path, CLOSED))


def row(request: Request, kind: Kind = Kind.GRANT, seq: int = 1, **more: Value) -> Past:
    decision = pdp().decide(request)
    data: dict[str, Value] = {"rules": ",".join(decision.rules), "policy": decision.bundle, "asked": decision.asked}
    found = past(seq, 1_000 * seq, Entry(kind, SeatId("counter-1"), subject=request.subject, data={**data, **more}))
    assert found is not None
    return found


def test_under_the_same_rules_everything_comes_out_the_same() -> None:
    refused = row(replace(LOGIN, subject=OTHER), Kind.ATTEMPT_REFUSED)
    diff = replay([row(LOGIN), row(STEP_UP, Kind.SESSION_STEPPED_UP), refused], shipped())
    assert (diff.decided, diff.same, diff.changes) == (3, 3, [])
    assert diff.asked == {"open_session": 2, "step_up": 1}


def test_what_would_be_refused_says_by_which_rules(closed: Bundle) -> None:
    diff = replay([row(LOGIN, seq=n) for n in range(1, 9)] + [row(STEP_UP, Kind.SESSION_STEPPED_UP)], closed)
    (change,) = diff.changes
    assert (change.what, change.action, change.count, change.subjects) == ("refused", "open_session", 8, {CLERK})
    assert (change.before, change.after) == (("base.seat.own-section",), ("site.closed",))
    assert [each.seq for each in change.examples] == list(range(1, EXAMPLES + 1))
    assert (diff.same, diff.changed) == (1, 8)


def test_what_would_be_permitted(tmp_path: Path) -> None:
    diff = replay([row(replace(LOGIN, subject=OTHER), Kind.ATTEMPT_REFUSED)], read(site(tmp_path, OPENED)))
    (change,) = diff.changes
    assert (change.what, change.before, change.after) == ("permitted", ("pdp.no-permit",), ("site.open",))


def test_the_new_bundles_settings_count(tmp_path: Path) -> None:
    bundle = read(site(tmp_path, settings='[hours.default]\nfrom = "13:00"\nuntil = "14:00"\n'))
    (change,) = replay([row(LOGIN)], bundle).changes
    assert change.after == ("base.hours.duty",)


def test_two_bundles_differ_in_their_limits_too(tmp_path: Path) -> None:
    bundle = read(site(tmp_path, settings="[seat.counter]\nidle_s = 30\n"))
    assert replay([row(LOGIN)], bundle).changes == []  # the row does not say what the limits were
    (change,) = replay([row(LOGIN)], bundle, shipped()).changes
    assert (change.what, change.count) == ("limits", 1)


def test_people_are_judged_as_they_were() -> None:
    point = pdp()
    point.directory.update(PersonAttrs(OTHER, "resident"))
    asked = point.decide(replace(LOGIN, subject=OTHER)).asked
    moved = replace(row(LOGIN), asked=asked)  # OTHER is of the tax section by now
    assert replay([moved], shipped()).same == 1


def test_rows_without_the_question_are_counted_and_not_guessed(closed: Bundle) -> None:
    old = [replace(row(LOGIN, seq=n), asked="") for n in (1, 2)]
    newer = replace(row(LOGIN), asked='{"action":"teleport"}')
    diff = replay([*old, newer], closed)
    assert (diff.decided, diff.changes, diff.unreadable) == (0, [], 1)
    assert (diff.without, diff.without_last_ms) == ({Kind.GRANT: 2}, 2_000)


@pytest.mark.parametrize(
    ("kind", "data", "decision"),
    [
        (Kind.GRANT, {}, True),
        (Kind.SESSION_KEPT, {"by": "touch"}, True),
        (Kind.SESSION_KEPT, {"by": "activity"}, False),
        (Kind.ATTEMPT_REFUSED, {"rules": "r"}, True),
        (Kind.ATTEMPT_REFUSED, {"why": "cloned"}, False),
        (Kind.CARRYOUT_GRANTED, {}, True),
        (Kind.CARRYOUT_REFUSED, {}, True),
        (Kind.SESSION_STARTED, {"rules": "r"}, False),
        (Kind.VOID, {}, False),
    ],
)
def test_which_rows_are_decisions(kind: Kind, data: dict[str, Value], decision: bool) -> None:
    assert (past(1, 1, Entry(kind, data=data)) is not None) == decision
