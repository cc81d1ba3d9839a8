"""Sealed spans: they answer what the rows say, they prove what is not there, and a lie in them is found."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from authd.core.complete import NotComplete, both, bounds, check, key_of
from authd.core.model import Entry, Kind
from authd.core.tlog import leaf_hash, root_of, verify_consistency, verify_inclusion
from authd.service.ledger import Complete, Flaw, Ledger, Reader, Recorded, open_checkpoint, sealing, spans, verify
from authd.service.ledger.head import published
from authd.service.ledger.narrow import pruned
from authd.service.ledger.placing import PRUNE_LEAST
from authd.service.ledger.seals import data_of, read_seal
from authd.service.ledger.segment import segments
from authd.service.ledger.spans import TILE, build, path_of, places_of
from tests.service.ledgers import BEGIN, SIGNER, HandClock, entry, opened, started

RECORDS, SUBJECTS = 40, 6
MINUTE_MS = 60_000


def view(number: int, dice: random.Random) -> Entry:
    record, subject = f"rec_{dice.randrange(RECORDS)}", f"sub_{dice.randrange(SUBJECTS)}"
    helped = {"helper": f"sub_{number % SUBJECTS}"} if number % 5 == 0 else {}
    return entry(Kind.VIEW_OPENED, number, f"counter-{number % 3}", subject, data={"record": record, **helped})


@pytest.fixture
async def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    """A ledger of 2,600 views, a second apart, in two months; spans of 500 rows."""
    monkeypatch.setattr(sealing, "SPAN", 500)
    monkeypatch.setattr("authd.service.ledger.ledger.SPAN", 500)
    clock, dice = HandClock(), random.Random(5)
    async with opened(tmp_path, clock) as ledger:
        for number in range(2_600):
            ledger.write(view(number, dice))
            clock.wall_ms += 1_000
            if number % 100 == 99:
                await ledger.checkpoint()
            if number == 1_300:
                clock.wall_ms += 31 * 86_400_000
        yield ledger


def said(folder: Path, place: str, since: int, until: int) -> list[tuple[int, int]]:
    """What a walk over all rows finds: leaf and time."""
    reader = Reader(folder)
    rows = reader.after(0, 10_000)
    reader.close()
    return [(leaf, row.wall_ms) for leaf, row in enumerate(rows) if since <= row.wall_ms <= until and of(row, place)]


def of(row: Recorded, place: str) -> bool:
    people = {f"subject:{row.entry.subject}", f"subject:{row.entry.data.get('helper')}"}
    return set(place.split(" ")) <= people | {f"record:{row.entry.data.get('record')}"}


async def proved(
    ledger: Ledger, folder: Path, place: str, since: int, until: int
) -> tuple[Complete, list[tuple[int, int]]]:
    """A proof, checked as an outsider does: from a checkpoint's root down."""
    found = await ledger.prove_complete(place, since, until)
    head = open_checkpoint(await ledger.checkpoint(), SIGNER.name, SIGNER.public_key)
    inclusion = await ledger.prove(found.seal.leaf, head.size)
    assert verify_inclusion(leaf_hash(found.row), inclusion.leaf, head.size, inclusion.path, head.root)
    return found, sorted(check(found.proof, read_seal(found.row, found.seal.leaf).index))


@pytest.mark.parametrize(
    "place", ["record:rec_7", "subject:sub_2", both("rec_7", "sub_2"), "record:rec_none", both("rec_7", "sub_none")]
)
async def test_what_is_proved_is_what_a_walk_over_the_rows_finds(city: Ledger, tmp_path: Path, place: str) -> None:
    for since, until in ((0, 1 << 62), (BEGIN + 100_000, BEGIN + 700_000), (BEGIN + 31 * 86_400_000, 1 << 62)):
        proof, found = await proved(city, tmp_path, place, since, until)
        assert found == said(tmp_path, place, since, until)
        assert proof.proof.covered >= 2_600
        assert proof.json()["spans"][-1][1] == proof.proof.covered


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"record": "rec_r", "helper": "sub_b"}, {"sub_a", "sub_b"}),
        ({"record": "rec_r", "helper": "sub_a"}, {"sub_a"}),
        ({"record": "rec_r", "helper": 7}, {"sub_a"}),
        ({"record": "rec_r"}, {"sub_a"}),
    ],
)
def test_who_helped_is_found_beside_whose_row_it_is(data: dict[str, object], wanted: set[str]) -> None:
    _, found = places_of(3, msgspec.json.encode({"wall": BEGIN, "subject": "sub_a", "data": data}))
    places = [place for who in wanted for place in (f"subject:{who}", both("rec_r", who))] + ["record:rec_r"]
    assert sorted(raw[:16] for raw in found) == sorted(key_of(place) for place in places)


async def test_answers_are_the_same_before_and_after_sealing(city: Ledger, tmp_path: Path) -> None:
    asked = [f"record:rec_{number}" for number in range(RECORDS)] + [f"subject:sub_{at}" for at in range(SUBJECTS)]
    when = ((0, 1 << 62), (BEGIN + 200_000, BEGIN + 210_000))
    first = [[row.seq for row in await city.entries(place, *span)] for place in asked for span in when]
    assert first[14] == [leaf + 1 for leaf, _ in said(tmp_path, "record:rec_7", *when[0])]
    for whole in (True, False):
        await city.seal(whole=whole)
        assert first == [[row.seq for row in await city.entries(place, *span)] for place in asked for span in when]
    assert verify(tmp_path, SIGNER.name, SIGNER.public_key).ok


async def test_sealing_is_idle_when_there_is_nothing_new(city: Ledger) -> None:
    assert await city.seal(whole=True) == 2_500
    assert await city.seal() == 2_605
    assert await city.seal() == 2_605
    assert city.size == 2_606
    await city.append(started(1))
    assert await city.seal() == 2_607


async def test_sealing_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.append(started(1))
        assert await ledger.seal() == 1
    async with opened(tmp_path) as ledger:
        await ledger.append(started(2))
        assert await ledger.seal() == 3
        proof = await ledger.prove_complete("subject:sub_a", 0, 1 << 62)
    assert [(span.first, span.stop) for span in proof.proof.spans] == [(0, 1), (1, 3)]


async def test_what_spans_have_goes_from_the_narrow_index(city: Ledger, tmp_path: Path) -> None:
    await city.seal()
    for number in range(30):
        await city.append(view(number, random.Random(number)))
        await city.checkpoint()
    reader = Reader(tmp_path)
    assert pruned(reader.db(segments(tmp_path)[-1])) - (reader.base(segments(tmp_path)[-1])[1] >> 8) >= PRUNE_LEAST // 2
    reader.close()
    assert verify(tmp_path, SIGNER.name, SIGNER.public_key).ok
    rows = await city.entries("record:rec_7")
    assert [(row.seq - 1, row.wall_ms) for row in rows] == said(tmp_path, "record:rec_7", 0, 1 << 62)


async def test_every_tree_is_consistent_with_every_earlier_one_across_months(city: Ledger, tmp_path: Path) -> None:
    head = open_checkpoint(await city.checkpoint(), SIGNER.name, SIGNER.public_key)
    roots = {size: (await city.prove_growth(size, head.size), size) for size in (1, 255, 256, 1_301, 1_400, head.size)}
    for growth, size in roots.values():
        old = (await city.prove(0, size)).path
        assert growth.size == head.size
        assert len(old) <= 12
    leaf = next(iter(await city.entries("seat:counter-0")))
    inclusion = await city.prove(leaf.seq - 1, head.size)
    assert verify_inclusion(leaf_hash(leaf.bytes), leaf.seq - 1, head.size, inclusion.path, head.root)
    before = open_checkpoint(early_note(tmp_path), SIGNER.name, SIGNER.public_key)
    growth = await city.prove_growth(before.size, head.size)
    assert verify_consistency(before.size, before.root, head.size, head.root, growth.path)


def early_note(folder: Path) -> str:
    reader = Reader(folder)
    path = reader.segments()[0]
    note = str(reader.db(path).value("SELECT note FROM checkpoint WHERE size > 0 ORDER BY size LIMIT 1"))
    reader.close()
    return note


async def test_a_file_that_is_gone_or_another_s_is_made_anew(city: Ledger, tmp_path: Path) -> None:
    await city.seal()
    path_of(tmp_path, 500).unlink()
    path_of(tmp_path, 1_000).write_bytes(path_of(tmp_path, 1_500).read_bytes())
    path_of(tmp_path, 1_500).write_bytes(path_of(tmp_path, 1_500).read_bytes()[:-1])
    rows = await city.entries("record:rec_7")
    assert [(row.seq - 1, row.wall_ms) for row in rows] == said(tmp_path, "record:rec_7", 0, 1 << 62)
    flaws = verify(tmp_path, SIGNER.name, SIGNER.public_key).findings
    assert {flaw.flaw for flaw in flaws} == {Flaw.INDEX}
    assert len(flaws) == 2


async def test_an_entry_taken_out_of_a_file_is_found_by_verify_and_no_proof_hides_it(
    city: Ledger, tmp_path: Path
) -> None:
    await city.seal()
    path = path_of(tmp_path, 500)
    raw = bytearray(path.read_bytes())
    raw[-40] ^= 1
    path.write_bytes(raw)
    assert {flaw.flaw for flaw in verify(tmp_path, SIGNER.name, SIGNER.public_key).findings} == {Flaw.INDEX}
    places = [f"subject:sub_{at}" for at in range(SUBJECTS)] + [f"record:rec_{number}" for number in range(RECORDS)]
    for place in places:
        try:
            assert (await proved(city, tmp_path, place, 0, 1 << 62))[1] == said(tmp_path, place, 0, 1 << 62)
        except NotComplete:
            return
    pytest.fail("the changed entry was in nobody's proof")


async def test_a_seal_that_lies_is_found_by_verify(tmp_path: Path) -> None:
    """The host itself signs that somebody's view is not there: whoever recomputes the index sees it."""
    async with opened(tmp_path) as ledger:
        for number in range(20):
            await ledger.append(view(number, random.Random(number)))
        kept = [(leaf, raw) for leaf, raw in Reader(tmp_path).leaves(0, 20) if leaf != 7]
        made, entries = build(kept)
        lie = replace(made, span=replace(made.span, first=0, stop=20))
        spans.store(tmp_path, lie, entries)
        await ledger.append(Entry(Kind.LEDGER_SEALED, data=data_of(lie.span, 1, leaf_hash(b""))))
    found = verify(tmp_path, SIGNER.name, SIGNER.public_key)
    assert {flaw.flaw for flaw in found.findings} == {Flaw.INDEX}
    assert "seals what the rows do not say" in found.findings[0].detail
    assert published(tmp_path)


def test_a_span_is_sorted_the_same_whatever_its_size_and_finds_heavy_places() -> None:
    dice = random.Random(3)
    rows = list[tuple[int, bytes]]()
    for leaf in range(3_000):
        subject = "sub_busy" if leaf % 2 else f"sub_{dice.randrange(900)}"
        rows.append((leaf, b'{"wall":%d,"subject":"%s","data":{"x":1}}' % (BEGIN + leaf, subject.encode())))
    made, entries = build(rows)
    assert [entries[at : at + 32] for at in range(0, len(entries), 32)] == sorted(
        one for leaf, raw in rows for one in places_of(leaf, raw)[1]
    )
    key = key_of("subject:sub_busy")
    assert made.leaves(*bounds(key, BEGIN + 10, BEGIN + 2_000)) == list(range(11, 2_001, 2))
    assert made.leaves(*bounds(key, BEGIN - 10, BEGIN - 1)) == []
    assert made.root(0, made.span.entries) == made.span.root
    assert made.root(TILE * 4, TILE * 8) == root_of(leaf_hash(one) for one in made.entries(TILE * 4, TILE * 8))
