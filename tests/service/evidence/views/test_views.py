from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from authd.core.model import Entry, Grade, Instant, Kind, SeatId, Session, SessionId, SteppedUp
from authd.core.ports import LedgerDown
from authd.core.tlog import leaf_hash
from authd.service.bus.house import Error, Refused
from authd.service.evidence.views import Said, View, ViewRefused, Why
from authd.service.evidence.views.bounds import APPLICATION_BURST, MOST_VIEWS, OLDEST_MS, SESSION_BURST, Sitting, Tokens
from authd.service.evidence.views.look import unshown
from authd.service.evidence.views.refusals import FIRST
from authd.service.ledger import Reader, Recorded
from tests.service.evidence.views.ground import ITO, NAMES, ONE, SATO, TWO, Host, hosting

SEATS = frozenset({ONE})


@pytest.fixture
async def host(tmp_path: Path) -> AsyncGenerator[Host]:
    async with hosting(tmp_path / "ledger") as made:
        yield made


async def rows(host: Host) -> list[Recorded]:
    found: list[Recorded] = []
    async for row in host.ground.ledger.follow(0):
        found.append(row)
        if row.seq >= host.ground.ledger.head:
            return found
    return found


async def refused(host: Host, said: Said, seats: frozenset[SeatId] = SEATS) -> Why:
    with pytest.raises(ViewRefused) as caught:
        await host.views.report(said, seats)
    assert "\n" not in caught.value.told
    assert caught.value.told
    return caught.value.why


async def test_a_view_is_durable_before_anybody_is_told(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    seen: list[tuple[int, View]] = []
    host.views.on_view.append(lambda view: seen.append((host.ground.ledger.head, view)))
    view = await host.views.report(host.said(session), SEATS)
    (row,) = await rows(host)
    assert (view.seq, view.leaf, view.row) == (row.seq, 0, leaf_hash(row.bytes))
    assert seen == [(row.seq, view)]
    assert host.views.counted(session) == view.opened == 1


async def test_the_row_says_what_is_known_and_no_number_of_a_record(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    await host.views.report(host.said(session), SEATS)
    (row,) = await rows(host)
    entry = row.entry
    assert (entry.kind, entry.seat, entry.subject, entry.session) == (Kind.VIEW_OPENED, ONE, SATO, session)
    assert (entry.grade, entry.epoch) == (Grade.MATCHED, 3)
    assert entry.data == {
        "record": NAMES.record("20481"),
        "system": "resident",
        "screen": "juminhyo",
        "purpose": "certificate",
        "call": "",
        "nonce": "nonce-0000000000001",
        "factor": "vein",
        "reader": "vein-1",
        "acted": host.hand.wall_ms - 1_000,
    }
    assert b"20481" not in row.bytes


async def test_leaves_are_counted_over_other_rows(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    ledger = host.ground.ledger
    views = [host.views.report(host.said(session, f"nonce-000000000000{n}"), SEATS) for n in range(5)]
    others = [ledger.append(Entry(Kind.READER_LOST, ONE)) for _ in range(5)]
    done = await asyncio.gather(*(each for pair in zip(others, views, strict=True) for each in pair))
    stored = {row.seq: row for row in await rows(host)}
    for view in (each for each in done if isinstance(each, View)):
        assert view.leaf == view.seq - 1
        assert view.row == leaf_hash(stored[view.seq].bytes)


BAD = {
    "a session that never was": (dict[str, Any](session=SessionId("ses_x")), Why.NO_SESSION),
    "another person's session": (dict[str, Any](subject=ITO), Why.FOREIGN_SESSION),
    "from the future": (dict[str, Any](at_ms=+6_000), Why.FUTURE),
    "too old": (dict[str, Any](at_ms=-OLDEST_MS - 1), Why.LATE),
    "for nothing": (dict[str, Any](purpose=" "), Why.NO_PURPOSE),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_reports_are_refused_and_recorded(host: Host, name: str) -> None:
    other, why = BAD[name]
    session = host.open(ONE, SATO, "ses_1")
    said = host.said(session)
    other = {key: said.at_ms + value if key == "at_ms" else value for key, value in other.items()}
    assert await refused(host, host.said(session, **other)) is why
    (row,) = await rows(host)
    assert row.entry.kind is Kind.VIEW_REFUSED
    assert row.entry.data["why"] == why.value
    assert row.entry.data["record"] == said.record
    assert row.entry.subject is None, "what could not be shown is said of nobody"
    assert host.views.counted(session) == 0


async def test_another_applications_seat(host: Host) -> None:
    session = host.open(TWO, SATO, "ses_1")
    assert await refused(host, host.said(session)) is Why.FOREIGN_SEAT
    assert (await rows(host))[0].entry.seat == TWO
    never = ViewRefused(Why.NO_SESSION)
    assert ViewRefused(Why.FOREIGN_SEAT).told == never.told, "it is not even told that the session is active"


async def test_a_session_that_has_ended(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    await host.views.report(host.said(session), SEATS)
    host.end(ONE)
    assert await refused(host, host.said(session, "nonce-0000000000002")) is Why.NO_SESSION


async def test_a_session_that_ends_while_the_row_is_written_shows_nothing(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    report = asyncio.ensure_future(host.views.report(host.said(session), SEATS))
    await asyncio.sleep(0)
    host.end(ONE)
    with pytest.raises(ViewRefused, match="ended"):
        await report
    opened, taken_back = await rows(host)
    assert (opened.entry.kind, taken_back.entry.kind) == (Kind.VIEW_OPENED, Kind.VIEW_REFUSED)
    assert (taken_back.entry.data["why"], taken_back.entry.data["view"]) == ("ended", opened.seq)
    assert (taken_back.entry.subject, taken_back.entry.session) == (SATO, session)


async def test_a_view_that_is_taken_back_is_never_a_number_only(host: Host, tmp_path: Path) -> None:
    session = host.open(ONE, SATO, "ses_1")
    await flood(host, SessionId("ses_x"), FIRST)
    report = asyncio.ensure_future(host.views.report(host.said(session), SEATS))
    await asyncio.sleep(0)
    host.end(ONE)
    with pytest.raises(ViewRefused, match="ended"):
        await report
    opened, taken_back = (await rows(host))[-2:]
    assert taken_back.entry.data["view"] == opened.seq
    reader = Reader(tmp_path / "ledger")
    try:
        for of in (f"record:{NAMES.record('20481')}", f"subject:{SATO}", f"seat:{ONE}"):
            assert unshown(reader, of, 0, opened.wall_ms) == {opened.seq}, of
        assert unshown(reader, f"subject:{ITO}", 0, opened.wall_ms) == frozenset()
    finally:
        reader.close()


async def test_a_replayed_report(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    said = host.said(session)
    await host.views.report(said, SEATS)
    assert await refused(host, said) is Why.REPLAYED
    host.hand.step(3_600)
    assert await refused(host, said) is Why.LATE
    host.hand.wall_ms -= 3_600_000  # a clock that was set back makes no old report a new one
    assert await refused(host, said) is Why.REPLAYED


async def test_a_report_played_again_after_a_restart(tmp_path: Path) -> None:
    async with hosting(tmp_path / "ledger") as host:
        session = host.open(ONE, SATO, "ses_1")
        said = host.said(session)
        await host.views.report(said, SEATS)
    async with hosting(tmp_path / "ledger") as host:
        host.open(ONE, SATO, "ses_2")
        assert await refused(host, said) is Why.NO_SESSION


async def flood(host: Host, session: SessionId, count: int, seats: frozenset[SeatId] = SEATS) -> list[object]:
    reports = [host.views.report(host.said(session, f"nonce-{n:013d}"), seats) for n in range(count)]
    return await asyncio.gather(*reports, return_exceptions=True)


async def test_ten_times_the_rate_of_a_session(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    done = await flood(host, session, 2 * SESSION_BURST)
    good = [each for each in done if isinstance(each, View)]
    bad = [each.why for each in done if isinstance(each, ViewRefused)]
    assert len(good) == SESSION_BURST == host.views.counted(session)
    assert bad == [Why.SESSION_RATE] * SESSION_BURST
    host.hand.step(1)
    await host.views.report(host.said(session, "another-nonce-0001"), SEATS)


async def test_a_flood_costs_the_ledger_few_rows_and_its_number_stands_there(host: Host) -> None:
    count = 1_000
    session = host.open(ONE, SATO, "ses_1")
    done = await flood(host, SessionId("ses_x"), count)
    assert [each.why for each in done if isinstance(each, ViewRefused)].count(Why.NO_SESSION) == APPLICATION_BURST
    assert len(await rows(host)) == FIRST
    host.hand.step(11)
    await refused(host, host.said(session, purpose=""))  # the next window: the one before is closed
    *_, counted, last = await rows(host)
    assert counted.entry.data == {
        "system": "resident",
        "count": count - FIRST,
        "count_no_session": APPLICATION_BURST - FIRST,
        "count_application_rate": count - APPLICATION_BURST,
    }
    assert last.entry.data["why"] == Why.NO_PURPOSE
    assert host.views.state() == {
        "opened": 0,
        "refused": {
            "application_rate": count - APPLICATION_BURST,
            "no_purpose": 1,
            "no_session": APPLICATION_BURST,
        },
    }


async def test_what_was_counted_is_written_when_the_daemon_ends(host: Host) -> None:
    (job,) = host.views.jobs()
    task = asyncio.ensure_future(job)
    await flood(host, SessionId("ses_x"), FIRST + 7)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await host.ground.ledger.append(Entry(Kind.READER_LOST, ONE))
    assert (await rows(host))[-2].entry.data["count"] == 7


async def test_one_application_leaves_the_others_their_rate(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    await flood(host, SessionId("ses_x"), 2 * APPLICATION_BURST)
    await host.views.report(host.said(session, system="tax"), SEATS)
    assert await refused(host, host.said(session)) is Why.APPLICATION_RATE


def test_what_is_remembered_of_a_session_is_bounded() -> None:
    sitting = Sitting(Tokens(1, 1, Instant(0)))
    for number in range(MOST_VIEWS):
        assert not sitting.full
        sitting.remember(str(number))
    assert sitting.full
    assert all(len(each) == 16 for each in sitting.nonces)


async def test_sessions_that_have_ended_are_forgotten(host: Host) -> None:
    for number in range(5):
        session = host.open(ONE, SATO, f"ses_{number}")
        await host.views.report(host.said(session), SEATS)
    assert host.views.counted(SessionId("ses_0")) == 0
    assert host.views.counted(SessionId("ses_4")) == 1


async def test_without_a_ledger_no_view(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    await host.ground.ledger.close()
    with pytest.raises(LedgerDown):
        await host.views.report(host.said(session), SEATS)
    assert host.views.counted(session) == 0


async def test_a_hook_can_say_no_before_anything_is_written(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")

    def protected(seat: SeatId, session: Session, said: Said) -> None:
        raise Refused(Error.REFUSED, f"{seat} {session.id} {said.record}")

    host.views.before.append(protected)
    with pytest.raises(Refused):
        await host.views.report(host.said(session), SEATS)
    assert host.ground.ledger.head == 0


async def test_whoever_asks_the_ledger_with_a_touch_stands_in_it(host: Host) -> None:
    session = host.open(ONE, SATO, "ses_1")
    record = NAMES.record("20481")
    seq = await host.views.looked(f"record:{record}", "case-17", "root", ONE)
    (row,) = await rows(host)
    entry = row.entry
    assert host.asked == [(ONE, "authd/views")]
    assert (row.seq, entry.kind, entry.subject, entry.session) == (seq, Kind.VIEW_OPENED, SATO, session)
    assert (entry.grade, entry.data["record"], entry.data["system"]) == (Grade.MATCHED, record, "authd")
    assert (entry.data["touched"], entry.data["acted"]) == (host.hand.wall_ms, host.hand.wall_ms - 3_000)
    assert host.views.counted(session) == 0, "to ask is not to open a record"


async def asked_in_satos_name(host: Host) -> None:
    await host.views.looked("seat:counter-1", "", "root", ONE)
    (row,) = await rows(host)
    entry = row.entry
    assert (entry.seat, entry.subject, entry.session, entry.grade) == (None, None, None, Grade.STATEMENT)
    assert (entry.data["account"], entry.data["claimed"], entry.data["claimed_seat"]) == ("root", SATO, ONE)
    assert "touched" not in entry.data
    assert "acted" not in entry.data


async def test_a_seat_that_is_only_named_makes_nobody_the_asker(host: Host) -> None:
    host.open(ONE, SATO, "ses_1")
    host.touches = False
    await asked_in_satos_name(host)


async def test_nor_does_a_touch_in_a_session_that_has_ended_since(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.open(ONE, SATO, "ses_1")
    touch = host.step_up

    async def leave(seat: SeatId, session: SessionId, purpose: str) -> SteppedUp:
        done = await touch(seat, session, purpose)
        host.end(seat)
        return done

    monkeypatch.setattr(host.ground.pipeline, "step_up", leave)
    await asked_in_satos_name(host)


async def test_an_account_that_asks_is_no_person(host: Host) -> None:
    host.open(ONE, SATO, "ses_1")
    await host.views.looked("seat:counter-1", "", "root", None)
    (row,) = await rows(host)
    assert (row.entry.subject, row.entry.session, row.entry.grade) == (None, None, Grade.STATEMENT)
    assert (row.entry.data["about"], row.entry.data["account"]) == ("seat:counter-1", "root")


async def test_nobody_asks_from_an_empty_seat(host: Host) -> None:
    with pytest.raises(LookupError):
        await host.views.looked("seat:counter-1", "", "root", TWO)
    assert host.ground.ledger.head == 0
