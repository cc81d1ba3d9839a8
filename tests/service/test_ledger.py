"""The ledger's promises on a healthy disk: durable and in order, followed from anywhere, queried, taken up again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from authd.core.model import Entry, Kind
from authd.core.ports import LedgerDown
from authd.service.ledger import KeySigner, Ledger, LedgerDamaged, LedgerFormat, Recorded, open_checkpoint, verify
from authd.service.ledger.head import published
from authd.service.ledger.query import Reader
from authd.service.ledger.record import BadRow, decode, encode
from authd.service.ledger.segment import segments
from tests.service.ledgers import OTHER, SIGNER, HandClock, ended, entry, fill, opened, started


async def test_an_append_is_numbered_and_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        assert await ledger.append(started(1)) == 1
        assert await ledger.append(ended(1)) == 2
        assert ledger.head == ledger.size == 2
    async with opened(tmp_path) as ledger:
        assert ledger.head == 2
        assert await ledger.append(started(2)) == 3
    assert [row.entry for row in Reader(tmp_path).after(0)] == [started(1), ended(1), started(2)]


async def test_the_order_of_calls_is_the_order_of_rows(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        first = asyncio.ensure_future(ledger.append(started(1)))
        await asyncio.sleep(0)
        ledger.write(ended(1))
        second = await ledger.append(started(2))
        assert (await first, second) == (1, 3)


async def test_64_at_once_keep_each_ones_order(tmp_path: Path) -> None:
    async def sit(ledger: Ledger, who: int) -> None:
        dice = random.Random(who)
        for turn in range(20):
            number = who * 1000 + turn
            await ledger.append(entry(Kind.GRANT, number, f"seat-{who}"))
            await ledger.append(started(number, f"seat-{who}"))
            if dice.random() < 0.5:
                ledger.write(ended(number, f"seat-{who}"))
            else:
                await ledger.append(ended(number, f"seat-{who}"))

    async with opened(tmp_path) as ledger:
        async with asyncio.TaskGroup() as group:
            for who in range(64):
                group.create_task(sit(ledger, who))
        await ledger.checkpoint()
        rows = [row async for row in _until(ledger, 0, 64 * 60)]
    assert [row.seq for row in rows] == list(range(1, 64 * 60 + 1))
    for who in range(64):
        mine = [row.entry for row in rows if row.entry.seat == f"seat-{who}"]
        wanted = [Kind.GRANT, Kind.SESSION_STARTED, Kind.SESSION_ENDED] * 20
        assert [one.kind for one in mine] == wanted
        assert [one.session for one in mine] == [f"ses_{who * 1000 + at // 3}" for at in range(60)]


async def _until(ledger: Ledger, after: int, last: int, internal: bool = True) -> AsyncIterator[Recorded]:
    async for row in ledger.follow(after, internal=internal):
        yield row
        if row.seq >= last:
            return


async def test_the_stored_bytes_are_what_is_read_and_hashed(tmp_path: Path) -> None:
    given = started(1, reader="vein-1", score=0.875, pad=None, name="佐藤")
    async with opened(tmp_path) as ledger:
        await ledger.append(given)
        (row,) = await ledger.entries("seat:counter-1")
    assert row.entry == given
    assert decode(row.bytes) == row
    assert encode(1, row.wall_ms, row.boot, given) == row.bytes
    assert row.bytes.startswith(b'{"seq":1,"wall":1763769600000,"boot":"boot-1","at":0,"kind":"session.started"')


DEEP = b'{"x":' + b"[" * 60_000


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"\xff", b"[]", b'{"seq":1,"wall":1,"boot":"","at":0,"kind":"joke"}', DEEP]
)
def test_what_is_no_row_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRow):
        decode(raw)


async def test_followers_lose_nothing_and_see_nothing_twice(tmp_path: Path) -> None:
    async def follow(after: int) -> list[int]:
        return [row.seq async for row in _until(ledger, after, 400)]

    await fill(tmp_path, 200)
    async with opened(tmp_path) as ledger, asyncio.TaskGroup() as group:
        followers = [group.create_task(follow(after)) for after in (0, 1, 150, 199, 200)]
        for number in range(200):
            await ledger.append(started(number))
    for follower, after in zip(followers, (0, 1, 150, 199, 200), strict=True):
        assert follower.result() == list(range(after + 1, 401))


async def test_after_a_restart_followers_who_were_near_the_end_do_not_each_read_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authd.service.ledger.ledger.RECALLED", 50)
    await fill(tmp_path, 200)
    read: list[int] = []

    class Watched(Reader):
        def after(self, seq: int, limit: int = 256) -> list[Recorded]:
            read.append(seq)
            return super().after(seq, limit)

    monkeypatch.setattr("authd.service.ledger.ledger.Reader", Watched)
    async with opened(tmp_path) as ledger:
        assert read == [150]
        for place in (150, 180, 199):
            assert [row.seq async for row in _until(ledger, place, 200)] == list(range(place + 1, 201))
        assert read == [150]
        assert [row.seq async for row in _until(ledger, 149, 200)] == list(range(150, 201))
        assert read == [150, 149]


async def test_a_follower_is_not_told_of_internal_rows(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for kind in (Kind.GRANT, Kind.SESSION_STARTED, Kind.SHIFT_ENDED, Kind.VOID, Kind.SESSION_ENDED):
            await ledger.append(entry(kind, 1))
        assert [row.seq async for row in _until(ledger, 0, 5, internal=False)] == [2, 5]


async def test_a_follower_ends_with_the_ledger(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        follower = asyncio.ensure_future(anext(ledger.follow(0)))
        await asyncio.sleep(0)
    with pytest.raises(StopAsyncIteration):
        await follower
    with pytest.raises(LedgerDown, match="closed"):
        await ledger.append(started(1))


async def test_what_is_unfinished_is_told_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for one in (started(1), ended(1), started(2), entry(Kind.GRANT, 3), entry(Kind.GRANT, 4)):
            await ledger.append(one)
        await ledger.append(entry(Kind.VOID, 4))
        assert await ledger.unfinished() == []
    async with opened(tmp_path) as ledger:
        assert await ledger.unfinished() == [started(2), entry(Kind.GRANT, 3)]
        ledger.write(ended(2))
        ledger.write(entry(Kind.VOID, 3))
    async with opened(tmp_path) as ledger:
        assert await ledger.unfinished() == []


async def test_a_new_month_is_a_new_file_and_the_tree_goes_on(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        for number in range(4):
            await ledger.append(started(number))
            clock.step(20 * 86_400)
        ledger.write(ended(3))
    names = [path.name for path in segments(tmp_path)]
    assert names == ["000001-2025-11.sqlite", "000002-2025-12.sqlite", "000003-2026-01.sqlite", "000004-2026-02.sqlite"]
    verdict = verify(tmp_path, SIGNER.name, SIGNER.public_key)
    assert verdict.ok
    assert (verdict.size, verdict.segments, verdict.unsigned) == (5, 4, 0)
    async with opened(tmp_path, clock) as ledger:
        assert [row.seq async for row in _until(ledger, 0, 5)] == [1, 2, 3, 4, 5]
        assert [row.seq for row in await ledger.entries("subject:sub_a")] == [1, 2, 3, 4, 5]
        assert await ledger.unfinished() == [started(0), started(1), started(2)]


async def test_a_clock_that_jumps_by_ten_years_loses_nothing(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        for years in (10, -20, 10):
            clock.wall_ms += years * 365 * 86_400_000
            clock.at += 61_000_000_000
            await ledger.append(started(years))
    assert verify(tmp_path, SIGNER.name, SIGNER.public_key).ok
    async with opened(tmp_path, clock) as ledger:
        assert await ledger.append(started(1)) == 4


async def test_a_checkpoint_on_demand_covers_what_is_durable(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.append(started(1))
        note = await ledger.checkpoint()
        checkpoint = open_checkpoint(note, SIGNER.name, SIGNER.public_key)
        assert (checkpoint.origin, checkpoint.size) == (SIGNER.name, 1)
        assert (tmp_path / "checkpoint").read_text() == note
        assert await ledger.checkpoint() == note


async def test_two_processes_do_not_share_a_ledger(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(LedgerFormat, match="held by another"):
            await Ledger.open(tmp_path, SIGNER, HandClock(), lambda: 0)
    async with opened(tmp_path):
        pass


async def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    await fill(tmp_path, 3)
    with pytest.raises(LedgerDamaged, match="no good signature"):
        await Ledger.open(tmp_path, OTHER, HandClock(), lambda: 0)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "x" * 300])
def test_a_key_needs_a_name_that_a_note_can_carry(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        KeySigner(name, bytes(32))


async def test_the_newest_anchor_of_each_template_counts(tmp_path: Path) -> None:
    def enrolled(template: str, digest: str, subject: str = "sub_a") -> Entry:
        return entry(Kind.ENROLMENT_CREATED, None, None, subject, data={"template": template, "digest": digest})

    async with opened(tmp_path) as ledger:
        await ledger.append(replace(enrolled("tpl_1@1", "aa"), kind=Kind.ENROLMENT_FOUNDED))
        await ledger.append(enrolled("tpl_1@2", "bb"))
        await ledger.append(enrolled("tpl_2@1", "cc", "sub_b"))
        await ledger.append(entry(Kind.ENROLMENT_DISABLED, None, None, "sub_b"))
        await ledger.append(entry(Kind.ENROLMENT_CREATED, None, None, "sub_b"))
        anchors = await ledger.anchors()
    assert [(a.template, a.version, a.digest, a.subject) for a in anchors.values()] == [("tpl_1", 2, "bb", "sub_a")]


async def test_what_json_cannot_say_holds_up_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        ledger.write(started(1, big="x" * 70_000))
        ledger.write(started(2, odd="\ud800"))
        assert await ledger.append(started(3)) == 3
        rows = await ledger.entries("seat:counter-1")
    assert [row.entry.data for row in rows] == [{"unstorable": True}, {"unstorable": True}, {}]


async def test_a_cancelled_append_that_was_not_begun_is_dropped(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        task = asyncio.ensure_future(ledger.append(started(1)))
        other = asyncio.ensure_future(ledger.append(started(2)))
        task.cancel()
        assert await other == 1


async def test_a_row_is_signed_soon_without_being_asked(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock) as ledger:
        await ledger.append(started(1))
        clock.step(2)
        async with asyncio.timeout(60):
            while "\n1\n" not in (published(tmp_path) or ""):  # noqa: ASYNC110 (a file that a thread writes)
                await asyncio.sleep(0.01)
        assert verify(tmp_path, SIGNER.name, SIGNER.public_key).unsigned == 0
