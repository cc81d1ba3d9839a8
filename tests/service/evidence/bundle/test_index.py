"""Absence by the ledger's sorted index: what hides a row in it, and what the verifier says then."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from authd.core.complete import check
from authd.service.evidence.bundle import Ask, gather
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.ledger import Reader, Recorded
from authd.service.ledger.proofs import prove_complete
from tests.service.evidence.bundle.hall import (
    HERS,
    HOUR,
    ITO,
    ONE,
    OTHERS,
    SATO,
    DayClock,
    Hall,
    asked,
    bundle_of,
    forged,
    judged,
    members_of,
    told,
)
from tests.service.ledgers import BEGIN, opened


async def a_sealed_day(folder: Path) -> None:
    """Sato opens her record at 10:00; the day is sealed twice, and rows follow."""
    async with opened(folder, clock := DayClock()) as ledger:
        hall = Hall(ledger, clock)
        await hall.quiet(10 * 60)
        await hall.sits(ONE, SATO)
        await hall.opens(ONE, HERS)
        await ledger.seal()
        await hall.opens(ONE, OTHERS)
        await hall.leaves(ONE)
        await hall.quiet(20 * 60)
        await ledger.seal()
        await hall.quiet(20 * 60)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed") / "ledger"
    asyncio.run(a_sealed_day(folder))
    return folder


@pytest.fixture(scope="module")
def hers(sealed: Path) -> bytes:
    return bundle_of(sealed, asked(record=HERS)).data


@pytest.fixture(scope="module")
def clears(sealed: Path) -> bytes:
    return bundle_of(sealed, asked(Ask.CLEAR, subject=ITO, record=HERS, seat=ONE)).data


def changed(data: bytes, change: Callable[[dict[str, Any]], object], name: str = "complete-0.json") -> face.Verdict:
    """Judge a bundle whose proof was changed, everything else being made to fit."""

    def rewrite(members: dict[str, bytes]) -> None:
        proof = json.loads(members[name])
        change(proof)
        members[name] = face.canonical(proof)

    return judged(forged(data, rewrite))


def test_the_index_answers_without_telling_of_others(hers: bytes) -> None:
    found = judged(hers).found
    assert found is not None
    assert (found.whole.shown, found.whole.by) == (True, "index")
    assert [row.record for row in found.answer.lines] == [HERS]
    assert OTHERS not in members_of(hers)["events.jsonl"].decode()


def test_who_is_cleared_by_the_index(clears: bytes) -> None:
    found = judged(clears).found
    assert found is not None
    assert [what for what, _ in face.conclusions(found)] == ["clear_record", "clear_seat"]
    said = [what for what, _ in face.not_shown(found)]
    assert {"whole_by_index", "no_witness", "no_borrowed", "no_elsewhere"} <= set(said)
    assert SATO not in members_of(clears)["events.jsonl"].decode()


def test_whoever_did_it_is_not_cleared_by_the_index(sealed: Path) -> None:
    found = judged(bundle_of(sealed, asked(Ask.CLEAR, subject=SATO, record=HERS)).data).found
    assert found is not None
    assert face.conclusions(found) == [("not_clear", (1,))]


@pytest.mark.parametrize("seat", ["", ONE])
async def test_whoever_touched_beside_is_not_cleared_by_the_index(tmp_path: Path, seat: str) -> None:
    """Ito was the second person of a break-glass; his touch stands in a row that is Sato's."""
    async with opened(tmp_path / "ledger", clock := DayClock()) as ledger:
        hall = Hall(ledger, clock)
        await hall.quiet(10 * 60)
        await hall.sits(ONE, SATO)
        await hall.opens(ONE, HERS, helper=ITO, ladder="break_glass")
        await hall.leaves(ONE)
        await hall.quiet(20 * 60)
        await ledger.seal()
        await hall.quiet(20 * 60)
    question = asked(Ask.CLEAR, subject=ITO, record=HERS, seat=seat)
    found = judged(bundle_of(tmp_path / "ledger", question).data).found
    assert found is not None
    assert (found.whole.by, face.conclusions(found)) == ("index", [("not_clear", (1,))])


async def ahead(folder: Path, quiet: int = 0) -> None:
    """Sealed at 10:00 by a clock that says 13:00; it is put right, and Sato opens her record."""
    async with opened(folder, clock := DayClock()) as ledger:
        hall = Hall(ledger, clock)
        await hall.quiet(10 * 60)
        clock.step(3 * 3600)
        await ledger.seal()
        clock.step(-3 * 3600)
        await hall.sits(ONE, SATO)
        await hall.opens(ONE, HERS)
        await hall.leaves(ONE)
        for _ in range(quiet):
            await hall.quiet(600)


def no_rows(reader: object, question: object) -> list[Recorded]:
    """Whoever makes the bundle does not look for the rows themselves."""
    return []


def nothing(start: int, stop: int) -> range:
    """Nor do they show what is behind the index."""
    return range(0)


async def test_a_view_behind_an_index_that_was_sealed_by_a_clock_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ahead(tmp_path / "ledger", 2)
    monkeypatch.setattr(gather, "_asked", no_rows)
    question = asked(Ask.CLEAR, subject=SATO, record=HERS)
    found = judged(bundle_of(tmp_path / "ledger", question).data).found
    assert found is not None
    assert face.conclusions(found) == [("not_clear", (1,))]
    assert [what for what, _ in found.whole.why] == ["whole_back", "whole_by_index"]
    question = asked(Ask.CLEAR, subject=ITO, record=HERS)
    found = judged(bundle_of(tmp_path / "ledger", question).data).found
    assert found is not None
    assert face.conclusions(found) == [("not_whole", ())]


@pytest.mark.parametrize("ask", Ask)
async def test_rows_behind_the_index_that_are_kept_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    """Nobody is cleared by an index alone; of other questions it is said how far it goes."""
    await ahead(tmp_path / "ledger", 2)
    monkeypatch.setattr(gather, "_asked", no_rows)
    monkeypatch.setattr(gather, "range", nothing, raising=False)
    question = asked(ask, record=HERS, subject=SATO if ask is Ask.CLEAR else "")
    found = judged(bundle_of(tmp_path / "ledger", question).data).found
    assert found is not None
    assert found.whole.shown == (ask is not Ask.CLEAR)
    assert ("whole_behind", (1, 7)) in found.whole.why
    assert face.shown(found)[1:2] == ([] if ask is Ask.CLEAR else [("whole_index", (1, 1))])
    assert ask is not Ask.CLEAR or face.conclusions(found) == [("not_whole", ())]


async def test_whoever_is_to_be_cleared_is_shown_the_stretch_where_too_much_is_behind(
    sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "BEHIND", 1)
    questions = asked(Ask.CLEAR, subject=ITO, record=HERS), asked(record=HERS), asked(Ask.RESIDENT, record=HERS)
    found = [bundle_of(sealed, question).found for question in questions]
    assert [each.whole.by for each in found] == ["stretch", "index", "index"]
    assert ["whole_behind" in [what for what, _ in each.whole.why] for each in found] == [False, True, True]


def test_the_verifier_and_the_ledger_read_the_same_proof(sealed: Path) -> None:
    reader = Reader(sealed)
    proof = prove_complete(reader, f"subject:{SATO}", BEGIN, BEGIN + 24 * HOUR, 9)
    seal = face.read_row(proof.seal.leaf, proof.row)
    reader.close()
    said = json.loads(face.canonical({**proof.json(), "seal": proof.seal.leaf}))
    leaves, covered = face.check_index("proof", said, {seal.leaf: seal})
    assert leaves == [leaf for leaf, _ in check(proof.proof, proof.seal.index)]
    assert covered == proof.proof.covered


def test_a_row_that_the_index_knows_and_the_bundle_hides(hers: bytes) -> None:
    """The view is left out and its hash stands among the tree's: the index still tells of it."""

    def hide(members: dict[str, bytes]) -> None:
        rows, leaves = (members[name].splitlines(keepends=True) for name in ("events.jsonl", "leaves.txt"))
        at = next(at for at, row in enumerate(rows) if b"view.opened" in row)
        hidden, _ = int(leaves[at].split()[0]), rows.pop(at)
        digest = leaves.pop(at).split()[1]
        known = [int(leaf.split()[0]) for leaf in leaves]
        members["events.jsonl"], members["leaves.txt"] = b"".join(rows), b"".join(leaves)
        members["tree.txt"] = _with(members["tree.txt"], known, hidden, digest)

    verdict = judged(forged(hers, hide))
    assert verdict.found is not None
    assert not verdict.found.whole.shown
    assert ("whole_missing", (f"record:{HERS}", 2)) in verdict.found.whole.why
    assert face.conclusions(verdict.found)[-1] == ("whole_none", ())


def _with(tree: bytes, known: list[int], hidden: int, digest: bytes) -> bytes:
    """Put the hash of a hidden leaf among the branches; its sister is shown, so the branch is the leaf itself."""
    before: list[tuple[int, int]] = []

    def walk(start: int, stop: int) -> None:
        if not any(start <= leaf < stop for leaf in known):
            before.append((start, stop))
        elif stop - start > 1:
            middle = start + face.split(stop - start)
            walk(start, middle)
            walk(middle, stop)

    walk(0, 9)
    lines = tree.splitlines(keepends=True)
    at = next(at for at, (start, stop) in enumerate(before) if start <= hidden < stop)
    if before[at] == (hidden, hidden + 1):
        lines.insert(at, digest + b"\n")
    else:  # the branch had one row more that is not shown: hash them together
        start, stop = before[at]
        other = bytes.fromhex(lines[at].decode())
        mine = bytes.fromhex(digest.decode())
        pair = face.node_hash(mine, other) if hidden == start else face.node_hash(other, mine)
        lines[at] = pair.hex().encode() + b"\n"
        assert stop - start == 2
    return b"".join(lines)


def test_an_entry_that_was_taken_out(hers: bytes) -> None:
    def take(proof: dict[str, Any]) -> None:
        stretch = max(proof["stretches"], key=lambda each: len(each["entries"]))
        stretch["entries"].pop(1)

    assert told(changed(hers, take)) == {"bad_index"}


def test_an_entry_with_another_time(hers: bytes) -> None:
    def move(proof: dict[str, Any]) -> None:
        stretch = max(proof["stretches"], key=lambda each: len(each["entries"]))
        raw = face.unbase64(stretch["entries"][1])
        stretch["entries"][1] = b64encode(raw[:23] + bytes([raw[23] ^ 1]) + raw[24:]).decode()

    assert told(changed(hers, move)) == {"bad_index"}


def test_neighbours_that_are_none(hers: bytes) -> None:
    """The entries of the place are cut off at an edge: the last one shown is the place's own."""

    def cut(proof: dict[str, Any]) -> None:
        stretch = max(proof["stretches"], key=lambda each: len(each["entries"]))
        key = face.key_of(proof["place"])
        kept = [entry for entry in stretch["entries"] if face.unbase64(entry)[:16] < key]
        gone = [face.leaf_hash(face.unbase64(entry)) for entry in stretch["entries"][len(kept) :]]
        stretch["entries"] = kept
        assert gone

    assert told(changed(hers, cut)) == {"bad_index"}


def test_a_span_that_was_left_out(hers: bytes) -> None:
    assert told(changed(hers, lambda proof: (proof["spans"].pop(0), proof["stretches"].pop(0)))) == {"bad_index"}


def test_a_span_said_to_be_of_another_day(hers: bytes) -> None:
    def shift(proof: dict[str, Any]) -> None:
        proof["spans"][0][3] += 24 * HOUR
        proof["spans"][0][4] += 24 * HOUR
        proof["stretches"].pop(0)

    assert told(changed(hers, shift)) == {"bad_index"}


def test_a_proof_under_an_older_seal(hers: bytes) -> None:
    def older(proof: dict[str, Any]) -> None:
        proof["spans"].pop()

    assert told(changed(hers, older)) == {"bad_index"}


def test_a_seal_that_is_no_seal(hers: bytes) -> None:
    assert told(changed(hers, lambda proof: proof.update(seal=0))) == {"bad_index"}


def test_an_index_that_ends_before_the_interval_does(sealed: Path) -> None:
    """What came after the last seal is not covered: the bundle then shows every row instead, or nothing."""
    bundle = bundle_of(sealed, asked(record=HERS, until=40 * HOUR))
    assert bundle.found.whole.by == "stretch"


def test_a_resident_is_never_handed_the_rows_of_others(sealed: Path) -> None:
    """Beyond the last seal completeness is not shown, rather than by every row of the host."""
    bundle = bundle_of(sealed, asked(Ask.RESIDENT, record=HERS, until=40 * HOUR))
    assert not bundle.found.whole.shown
    assert OTHERS not in members_of(bundle.data)["events.jsonl"].decode()


def test_a_proof_of_a_shorter_interval(hers: bytes) -> None:
    def shorten(members: dict[str, bytes]) -> None:
        case = json.loads(members["case.json"])
        case["question"]["to"] += 1
        members["case.json"] = face.canonical(case)

    found = judged(forged(hers, shorten)).found
    assert found is not None
    assert ("whole_narrow", (f"record:{HERS}",)) in found.whole.why


def test_a_proof_of_another_place(clears: bytes) -> None:
    def exchange(members: dict[str, bytes]) -> None:
        members["complete-0.json"] = members["complete-1.json"]

    found = judged(forged(clears, exchange)).found
    assert found is not None
    assert face.conclusions(found) == [("not_whole", ())]


@pytest.mark.parametrize("value", [None, "x", 1.5, [], {}, 1 << 70])
@pytest.mark.parametrize("name", ["since", "until", "seal", "spans", "stretches", "place"])
def test_a_proof_that_is_nonsense(hers: bytes, name: str, value: object) -> None:
    verdict = changed(hers, lambda proof: proof.update({name: value}))
    assert verdict.found is None or not verdict.found.whole.shown


def test_an_index_of_which_the_end_of_the_interval_is_behind(hers: bytes) -> None:
    """The question and the proof are stretched to a time that no sealed span has reached."""

    def stretch(members: dict[str, bytes]) -> None:
        for name, at in (("case.json", "to"), ("complete-0.json", "until")):
            value = json.loads(members[name])
            (value["question"] if name == "case.json" else value)[at] = BEGIN + 90 * HOUR
            members[name] = face.canonical(value)

    found = judged(forged(hers, stretch)).found
    assert found is not None
    assert ("whole_covered", (7,)) in found.whole.why
    assert not found.whole.shown


def _proof(spans: list[face.Span], start: int, shown: list[bytes], entries: list[bytes]) -> list[int]:
    """What the verifier makes of entries from `start` on, under a seal that fits whatever the spans say."""
    hashes = {
        at: face.leaf_hash(face.HEADER.pack(*span[:3], span[3] + face.ZERO, span[4] + face.ZERO, span[5]))
        for at, span in enumerate(spans)
    }
    index = face.root_from(len(spans), hashes, iter(())).hex()
    seal = face.Row(99, 100, 1, 1, "", "ledger.sealed", "", "", "", "", "", {"spans": len(spans), "index": index})
    one, two, three = (face.leaf_hash(entry) for entry in entries)
    rest = {(0, 3): [], (0, 1): [two, three], (2, 1): [face.node_hash(one, two)]}[start, len(shown)]
    stretch = {"span": 0, "start": start, "entries": _texts(shown), "hashes": _texts(rest)}
    lines = [[*span[:5], b64encode(span[5]).decode()] for span in spans]
    proof = {"place": "record:r", "since": 0, "until": 9, "seal": 99, "spans": lines, "stretches": [stretch]}
    return face.check_index("proof", proof, {99: seal})[0]


def _texts(raw: list[bytes]) -> list[str]:
    return [b64encode(each).decode() for each in raw]


def test_a_neighbour_on_the_left_that_is_of_the_place() -> None:
    """Two of the place's three rows are hidden: the first entry shown is the place's own."""
    key = face.key_of("record:r")
    entries = [face.ENTRY.pack(key, face.ZERO + at, at) for at in range(3)]
    root = face.root_from(3, {at: face.leaf_hash(entry) for at, entry in enumerate(entries)}, iter(()))
    span = (0, 50, 3, 0, 9, root)
    assert _proof([span], 0, entries, entries) == [0, 1, 2]
    for start, shown in ((2, entries[2:]), (0, entries[:1])):
        with pytest.raises(face.Broken):
            _proof([span], start, shown, entries)


def test_spans_that_leave_rows_out() -> None:
    """Sealed as it is: an index with a hole in it, of a ledger that lies to itself."""
    key = face.key_of("record:r")
    entries = [face.ENTRY.pack(key, face.ZERO + at, at) for at in range(3)]
    root = face.root_from(3, {at: face.leaf_hash(entry) for at, entry in enumerate(entries)}, iter(()))
    empty = sha256(b"").digest()
    assert _proof([(0, 50, 3, 0, 9, root), (50, 60, 0, 20, 30, empty)], 0, entries, entries) == [0, 1, 2]
    for spans in ([(0, 50, 3, 0, 9, root), (51, 60, 0, 20, 30, empty)], [(1, 50, 3, 0, 9, root)]):
        with pytest.raises(face.Broken):
            _proof(spans, 0, entries, entries)
