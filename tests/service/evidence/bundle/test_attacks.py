"""What a city hall that wants to hide a view could put into a bundle: each time the verifier must say so."""

from __future__ import annotations

import asyncio
import json
import random
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authd.core.tlog import Checkpoint, cosign, leaf_hash, root_of, sign_note, write_key
from authd.service.evidence.bundle import Ask, NotShown
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.ledger import KeySigner, Reader, published
from tests.service.evidence.bundle.hall import (
    HERS,
    HOUR,
    ITO,
    KEY,
    ONE,
    OTHERS,
    SATO,
    a_day,
    asked,
    bundle_of,
    forged,
    judged,
    members_of,
    told,
)
from tests.service.ledgers import OTHER, SIGNER

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def seat(folder: Path) -> bytes:
    return bundle_of(folder, asked(seat=ONE)).data


@pytest.fixture(scope="module")
def hers(folder: Path) -> bytes:
    return bundle_of(folder, asked(record=HERS)).data


def lines(members: Members, name: str) -> list[bytes]:
    return members[name].splitlines(keepends=True)


def where(members: Members, word: bytes) -> int:
    return next(at for at, line in enumerate(lines(members, "events.jsonl")) if word in line)


def both(members: Members, change: Callable[[list[bytes]], object]) -> None:
    """Change rows and their hashes alike, as whoever hides something would."""
    for name in ("events.jsonl", "leaves.txt"):
        changed = lines(members, name)
        change(changed)
        members[name] = b"".join(changed)


def rewritten(members: Members, at: int, old: bytes, new: bytes) -> None:
    """Change a row, and give it the hash that it has now."""
    rows, leaves = lines(members, "events.jsonl"), lines(members, "leaves.txt")
    assert old in rows[at]
    rows[at] = rows[at].replace(old, new)
    leaf = leaves[at].split()[0]
    leaves[at] = leaf + b" " + leaf_hash(rows[at].rstrip(b"\n")).hex().encode() + b"\n"
    members["events.jsonl"], members["leaves.txt"] = b"".join(rows), b"".join(leaves)


def case_of(members: Members, **changes: object) -> None:
    case = json.loads(members["case.json"])
    members["case.json"] = face.canonical({**case, **changes})


# The rows.


def test_a_dropped_row(seat: bytes) -> None:
    def drop(members: Members) -> None:
        at = where(members, b"view.opened")
        both(members, lambda changed: changed.pop(at))

    assert told(judged(forged(seat, drop))) & {"cut_proof", "other_root"}


def test_a_dropped_row_whose_hash_is_called_another_branch(seat: bytes) -> None:
    """The most careful way to leave a row out: the tree still fits. Then the stretch has a hole, and says nothing."""

    def drop(members: Members) -> None:
        at = where(members, b"view.opened")
        hidden = lines(members, "leaves.txt")[at].split()[1]
        size, leaves = judged(seat).found, [int(line.split()[0]) for line in lines(members, "leaves.txt")]
        assert size is not None
        before = [leaf for leaf in leaves if leaf < leaves[at]]
        proof = lines(members, "tree.txt")
        proof.insert(_branches_before(size.head.size, leaves, leaves[at], len(before)), hidden + b"\n")
        members["tree.txt"] = b"".join(proof)
        both(members, lambda changed: changed.pop(at))

    verdict = judged(forged(seat, drop))
    assert not verdict.faults
    assert verdict.found is not None
    assert not verdict.found.whole.shown
    assert face.conclusions(verdict.found)[-1] == ("whole_none", ())


def _branches_before(size: int, leaves: list[int], hidden: int, count: int) -> int:
    """How many branches without a shown leaf come before the hidden one, once it is hidden."""
    rest = [leaf for leaf in leaves if leaf != hidden]
    asked_for: list[tuple[int, int]] = []

    def walk(start: int, stop: int) -> None:
        if not any(start <= leaf < stop for leaf in rest):
            asked_for.append((start, stop))
        elif stop - start > 1:
            middle = start + face.split(stop - start)
            walk(start, middle)
            walk(middle, stop)

    walk(0, size)
    assert count >= 0
    return next(at for at, (start, stop) in enumerate(asked_for) if start <= hidden < stop)


def test_swapped_rows(seat: bytes) -> None:
    def swap(members: Members) -> None:
        rows, leaves = lines(members, "events.jsonl"), lines(members, "leaves.txt")
        one, two = where(members, b"session.started"), where(members, b"session.ended")
        rows[one], rows[two] = rows[two], rows[one]
        hashes = [leaf.split()[1] for leaf in leaves]
        for at, other in ((one, two), (two, one)):
            leaves[at] = leaves[at].split()[0] + b" " + hashes[other] + b"\n"
        members["events.jsonl"], members["leaves.txt"] = b"".join(rows), b"".join(leaves)

    assert "other_root" in told(judged(forged(seat, swap)))


def test_rows_out_of_order(seat: bytes) -> None:
    assert "changed_row" in told(judged(forged(seat, lambda members: both(members, list[bytes].reverse))))


def test_a_row_that_names_another_person(hers: bytes) -> None:
    def blame(members: Members) -> None:
        rewritten(members, where(members, b"view.opened"), SATO.encode(), ITO.encode())

    assert "other_root" in told(judged(forged(hers, blame)))


def test_a_row_that_was_added(seat: bytes) -> None:
    def add(members: Members) -> None:
        both(members, lambda changed: changed.insert(3, changed[2]))

    assert "changed_row" in told(judged(forged(seat, add)))


def test_rows_from_another_ledger(seat: bytes, tmp_path: Path) -> None:
    """A quiet ledger of the same city, under the same key: its rows are good, and not of this tree."""
    asyncio.run(a_day(tmp_path / "other"))
    other = members_of(bundle_of(tmp_path / "other", asked(seat=ONE, since=0, until=50 * HOUR)).data)

    def replace(members: Members) -> None:
        at = where(members, b"view.opened")
        row = lines(other, "events.jsonl")[0]
        rewritten(members, at, lines(members, "events.jsonl")[at], row)

    assert "other_root" in told(judged(forged(seat, replace)))


def test_a_row_that_two_readers_read_differently() -> None:
    with pytest.raises(ValueError, match="twice"):
        face.read_row(0, b'{"seq":1,"wall":1,"boot":"","at":1,"kind":"view.opened","kind":"grant"}')


# What was signed.


def test_a_forged_checkpoint(hers: bytes) -> None:
    def forge(members: Members) -> None:
        text = members["checkpoint.txt"].decode()
        members["checkpoint.txt"] = text.replace("\n11\n", "\n12\n").encode()

    assert told(judged(forged(hers, forge))) == {"bad_signature"}


def test_a_ledger_written_anew_under_another_key(folder: Path) -> None:
    """Whoever was given the key sees it; whoever was not is told that the key is the bundle's own."""
    data = bundle_of(folder, asked(Ask.CLEAR, subject=ITO, record=HERS)).data

    def resign(members: Members) -> None:
        text = members["checkpoint.txt"].decode().split("\n\n")[0] + "\n"
        members["checkpoint.txt"] = sign_note(text, OTHER).encode()
        members["keys.txt"] = (write_key(OTHER.name, OTHER.public_key) + "\n").encode()

    changed = forged(data, resign)
    assert told(judged(changed)) == {"other_key"}
    own = face.verify(changed)
    assert not own.faults
    assert [what for what, _ in own.compared] == ["r_key_own"]
    assert "r_key_own" in face.WORDS


def test_a_ledger_written_anew_under_its_own_key(folder: Path) -> None:
    """The host's own key can sign a ledger without the view: only a witness or an anchor tells, and that is said."""
    note = published(folder) or ""
    data = bundle_of(folder, asked(Ask.CLEAR, subject=SATO, record=HERS)).data

    def rewrite(members: Members) -> None:
        rewritten(members, where(members, HERS.encode()), HERS.encode(), OTHERS.encode())
        hashes = [bytes.fromhex(line.split()[1].decode()) for line in lines(members, "leaves.txt")]
        rest = [bytes.fromhex(line.decode()) for line in members["tree.txt"].split()]
        leaves = {int(line.split()[0]): hash_ for line, hash_ in zip(lines(members, "leaves.txt"), hashes, strict=True)}
        root = face.root_from(11, leaves, iter(rest))
        members["checkpoint.txt"] = sign_note(Checkpoint(SIGNER.name, 11, root).text(), SIGNER).encode()

    changed = forged(data, rewrite)
    verdict = judged(changed)
    assert verdict.found is not None
    assert ("clear_record", ()) in face.conclusions(verdict.found)
    assert ("no_witness", ()) in face.not_shown(verdict.found)
    anchored = judged(changed, face.Trust(face.read_key(KEY), anchor=note.encode()))
    assert told(anchored) == {"anchor"}


def test_an_anchor_of_another_size_is_not_passed_over(hers: bytes) -> None:
    note = sign_note(Checkpoint(SIGNER.name, 3, root_of([leaf_hash(b"x")])).text(), SIGNER)
    assert told(judged(hers, face.Trust(face.read_key(KEY), anchor=note.encode()))) == {"anchor_missing"}


def test_a_checkpoint_of_a_branch(folder: Path, hers: bytes) -> None:
    """A second history under the same key: its checkpoint does not go on to this one."""

    def branch(members: Members) -> None:
        note = sign_note(Checkpoint(SIGNER.name, 5, root_of([leaf_hash(b"x")])).text(), SIGNER)
        members["checkpoint-5.txt"] = note.encode()
        members["consistency-5.txt"] = b"".join(b"%064x\n" % at for at in range(4))

    assert told(judged(forged(hers, branch))) == {"inconsistent"}


def test_a_checkpoint_from_before_the_view(folder: Path) -> None:
    """An old checkpoint clears nobody of what came after it: the interval must end before the ledger does."""
    data = bundle_of(folder, asked(Ask.CLEAR, since=0, until=50 * HOUR, subject=ITO, record=HERS)).data
    found = judged(data).found
    assert found is not None
    assert "whole_until" in [what for what, _ in face.not_shown(found)]
    assert not found.whole.shown


@pytest.mark.parametrize("key", ["", "desk", "city.example/desk+00000000+" + "A" * 44, KEY.replace("desk+", "disk+")])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(face.Broken):
        face.read_key(key)


def test_a_wrong_key(hers: bytes) -> None:
    other = face.read_key(write_key(OTHER.name, OTHER.public_key))
    assert told(judged(hers, face.Trust(other))) == {"other_key"}


def test_a_key_of_small_order_signs_nothing() -> None:
    identity = b"\x01" + bytes(31)
    assert not face.verify_ed25519(identity, b"anything", identity + bytes(32))


# The proof and what is said of it.


def test_a_cut_proof(hers: bytes) -> None:
    def cut(members: Members) -> None:
        members["tree.txt"] = b"".join(lines(members, "tree.txt")[:-1])

    assert told(judged(forged(hers, cut))) == {"cut_proof"}


def test_a_proof_with_more_than_it_needs(hers: bytes) -> None:
    def pad(members: Members) -> None:
        members["tree.txt"] += b"0" * 64 + b"\n"

    assert told(judged(forged(hers, pad))) == {"long_proof"}


def test_absence_claimed_for_an_interval_that_has_a_view(folder: Path) -> None:
    """The question is made smaller or the person another one, and the answer follows the rows, not the claim."""
    data = bundle_of(folder, asked(Ask.CLEAR, subject=ITO, record=HERS)).data

    def claim(members: Members) -> None:
        question = json.loads(members["case.json"])["question"]
        case_of(members, question={**question, "subject": SATO})

    found = judged(forged(data, claim)).found
    assert found is not None
    assert face.conclusions(found) == [("not_clear", (1,))]


def test_absence_claimed_with_a_stretch_that_ends_before_the_view(folder: Path) -> None:
    data = bundle_of(folder, asked(Ask.CLEAR, subject=SATO, record=HERS)).data

    def shorten(members: Members) -> None:
        at = where(members, b"view.opened")
        case_of(members, complete={"by": "stretch", "first": 0, "count": at})

    found = judged(forged(data, shorten)).found
    assert found is not None
    assert face.conclusions(found) == [("not_clear", (1,))]


def test_a_clock_that_went_back_proves_no_absence() -> None:
    rows = [
        face.read_row(leaf, b'{"seq":%d,"wall":%d,"boot":"b","at":%d}' % (leaf + 1, wall, leaf))
        for leaf, wall in enumerate((0, 50_000_000, 90_000_000, 60_000_000, 99_000_000))
    ]
    case = {
        "question": {"from": 55_000_000, "to": 70_000_000, "record": "rec_x"},
        "offset": 0,
        "complete": {"by": "stretch", "first": 0, "count": 5},
    }
    head = face.Checkpoint("x", 5, b"", (), ())
    whole = face.completeness(case, rows, head)
    assert not whole.shown
    assert "whole_back" in [what for what, _ in whole.why]


@pytest.mark.parametrize(
    ("ran", "ask", "shown"), [(0, "clear", False), (0, "events", True), (40_000_000, "clear", True)]
)
def test_a_clock_that_was_set_over_the_end_clears_nobody(ran: int, ask: str, shown: bool) -> None:
    """The stretch ends at a row of a clock that is ahead; rows of the interval may follow it."""
    rows = [
        face.read_row(leaf, b'{"seq":%d,"wall":%d,"boot":"b","at":%d}' % (leaf + 1, wall, at * 1_000_000 + 1))
        for leaf, (wall, at) in enumerate(((0, 0), (60_000_000, 60_000_000), (100_000_000, 60_000_000 + ran)))
    ]
    case = {
        "ask": ask,
        "question": {"from": 55_000_000, "to": 70_000_000, "record": "rec_x"},
        "offset": 0,
        "complete": {"by": "stretch", "first": 0, "count": 3},
    }
    whole = face.completeness(case, rows, face.Checkpoint("x", 9, b"", (), ()))
    assert whole.shown == shown
    assert ("whole_ahead", (2, 3)) in whole.why or shown


def test_numbers_that_skip_without_a_gap_prove_no_absence() -> None:
    rows = [
        face.read_row(leaf, b'{"seq":%d,"wall":%d,"boot":"b","at":0}' % (seq, leaf * 50_000_000))
        for leaf, seq in enumerate((1, 2, 9, 10))
    ]
    case = {
        "question": {"from": 55_000_000, "to": 70_000_000, "record": "rec_x"},
        "offset": 0,
        "complete": {"by": "stretch", "first": 0, "count": 4},
    }
    whole = face.completeness(case, rows, face.Checkpoint("x", 4, b"", (), ()))
    assert ("whole_numbers", (2, 9)) in whole.why
    assert not whole.shown


def test_a_line_never_claims_more_than_its_session(hers: bytes) -> None:
    found = judged(hers).found
    assert found is not None
    view = found.answer.lines[0]._replace(grade="A")
    answer = face.answer_of(found.case, [row if row.seq != view.seq else view for row in found.rows])
    assert face.grade_of(view, answer) == "B"
    assert ("doubt_grade", (view.seq, "A", "B")) in answer.doubts


def test_a_view_whose_session_is_left_out_is_the_systems_word(folder: Path) -> None:
    found = judged(bundle_of(folder, asked(record=HERS)).data).found
    assert found is not None
    views = [row for row in found.rows if row.kind == "view.opened"]
    answer = face.answer_of(found.case, views)
    assert face.grade_of(views[0], answer) == "D"
    assert ("doubt_session", (views[0].seq,)) in answer.doubts


# The paper and the wrapping.


def test_a_printed_answer_that_leaves_a_line_out(hers: bytes) -> None:
    members = members_of(hers)
    page = members["answer.ja.html"]
    begin = page.index(b"<tr><td")
    members["answer.ja.html"] = page[:begin] + page[page.index(b"</tr>", begin) + 6 :]
    members.pop("manifest.json")
    data = face.pack([("manifest.json", face.manifest_of(list(members.items()))), *members.items()])
    verdict = judged(data)
    assert [(fault.place, fault.what) for fault in verdict.faults] == [("answer.ja.html", "other_answer")]


def test_names_that_were_exchanged_are_the_citys_word(hers: bytes) -> None:
    """Nothing in the ledger knows a name: the verifier says so, and compares the fingerprint of the covering letter."""

    def exchange(members: Members) -> None:
        names = json.loads(members["names.json"])
        names["people"][SATO] = "伊藤 次郎 (税務課)"
        members["names.json"] = face.canonical(names)

    changed, fingerprint = forged(hers, exchange), judged(hers).fingerprint
    found = judged(changed).found
    assert found is not None
    assert ("no_names", ()) in face.not_shown(found)
    trust = face.Trust(face.read_key(KEY), fingerprint=fingerprint)
    assert told(judged(changed, trust)) == {"other_fingerprint"}
    assert not judged(hers, trust).faults


def test_a_verifier_that_always_agrees_is_not_the_one_that_runs(hers: bytes) -> None:
    def disarm(members: Members) -> None:
        members["verify_evidence.py"] = b"print('OK')\n"

    assert told(judged(forged(hers, disarm))) == {"other_verifier"}


def test_text_that_turns_around_or_hides_is_spelled_out() -> None:
    assert face.plain("a\u202eb\u200bc\nd\x1b[2J") == "a\\u202eb\\u200bc\\u000ad\\u001b[2J"


def test_a_purpose_that_is_markup_is_text(folder: Path) -> None:
    found = judged(bundle_of(folder, asked(record=HERS)).data).found
    assert found is not None
    line = found.answer.lines[0]
    evil = line._replace(data={**line.data, "purpose": "<script>alert(1)</script>"})
    page = face.page(found._replace(answer=found.answer._replace(lines=[evil])), "ja")
    assert b"<script>" not in page
    assert b"&lt;script&gt;" in page


@pytest.mark.parametrize("name", ["twin", "behind", "before", "unlisted"])
def test_bytes_that_do_not_belong_to_the_bundle(hers: bytes, name: str) -> None:
    members = members_of(hers)
    changed = {
        "twin": face.pack([*members.items(), ("case.json", members["case.json"])]),
        "behind": hers + b"\0",
        "before": b"#!" + hers,
        "unlisted": face.pack([*members.items(), ("note.txt", b"the mayor says so")]),
    }[name]
    assert judged(changed).faults


def test_every_changed_byte_is_found_and_its_place_is_named(seat: bytes) -> None:
    """Positions in every member, and between them, drawn anew each time."""
    members, at, draw = members_of(seat), 0, random.Random()
    for name, content in members.items():
        begin = seat.index(content, at)
        for place in {draw.randrange(at, begin), *(draw.randrange(begin, begin + len(content)) for _ in range(3))}:
            spoiled = bytearray(seat)
            spoiled[place] ^= 1 << draw.randrange(8)
            _named(judged(bytes(spoiled)), name if place >= begin else "zip", place, begin)
        at = begin + len(content)
    for place in (at, draw.randrange(at, len(seat)), len(seat) - 1):
        spoiled = bytearray(seat)
        spoiled[place] ^= 1 << draw.randrange(8)
        _named(judged(bytes(spoiled)), "zip", place, place)


def _named(verdict: face.Verdict, name: str, place: int, begin: int) -> None:
    places = [fault.place for fault in verdict.faults]
    assert verdict.found is None
    assert any(name in said for said in places), (name, place, begin, places)


def test_a_bundle_that_would_not_verify_does_not_leave(folder: Path) -> None:
    wrong = KeySigner("city.example/desk", bytes(range(1, 33)))
    with pytest.raises((NotShown, ValueError)):
        bundle_of(folder, asked(record=HERS), sign_note(Checkpoint(wrong.name, 4, bytes(32)).text(), SIGNER))


# Witnesses.

WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(3, 35)))
SEEN_AT = 1_764_000_000


def witness_key(name: str = "city.example/witness") -> face.Key:
    return face.Key(name, 4, WITNESS.public_key().public_bytes_raw())


def cosigned(note: str, *, at: int = SEEN_AT, signed_at: int = SEEN_AT) -> str:
    """Add a witness's line (C2SP tlog-cosignature, v1)."""
    text = note.split("\n\n", 1)[0] + "\n"
    signature = WITNESS.sign(f"cosignature/v1\ntime {signed_at}\n{text}".encode())
    raw = witness_key().id + at.to_bytes(8, "big") + signature
    return note + f"— {witness_key().name} {b64encode(raw).decode()}\n"


def with_witness(data: bytes, note: str) -> bytes:
    def sign(members: Members) -> None:
        members["checkpoint.txt"] = note.encode()
        members["keys.txt"] += (face.write_key(witness_key()) + "\n").encode()

    return forged(data, sign)


def test_a_witness_says_when_it_saw_the_ledger(folder: Path, hers: bytes) -> None:
    found = judged(with_witness(hers, cosigned(published(folder) or ""))).found
    assert found is not None
    assert ("witnessed", ("city.example/witness", "2025-11-25 01:00:00", 11)) in face.shown(found)
    assert ("no_witness", ()) not in face.not_shown(found)


def test_a_witness_of_an_earlier_hour(folder: Path, hers: bytes) -> None:
    note = cosigned(published(folder) or "", at=SEEN_AT - 3_600)
    assert told(judged(with_witness(hers, note))) == {"bad_cosignature"}


def test_a_witness_that_saw_another_ledger(folder: Path, hers: bytes) -> None:
    other = cosigned(sign_note(Checkpoint(SIGNER.name, 11, bytes(32)).text(), SIGNER))
    note = (published(folder) or "") + other.splitlines()[-1] + "\n"
    assert told(judged(with_witness(hers, note))) == {"bad_cosignature"}


def test_a_witness_that_the_city_made_up(folder: Path, hers: bytes) -> None:
    """Its key comes with the bundle, and that is said; with the true witness's key its line counts for nothing."""
    data = with_witness(hers, cosigned(published(folder) or ""))
    assert "r_witness_own" in [what for what, _ in judged(data).compared]
    true = face.Key("city.example/witness", 4, OTHER.public_key)
    found = judged(data, face.Trust(face.read_key(KEY), (true,))).found
    assert found is not None
    assert ("no_witness", ()) in face.not_shown(found)


def test_a_witness_whose_key_was_given(folder: Path, hers: bytes) -> None:
    data = with_witness(hers, cosigned(published(folder) or ""))
    verdict = judged(data, face.Trust(face.read_key(KEY), (witness_key(),)))
    assert verdict.found is not None
    assert "r_witness_given" in [what for what, _ in verdict.compared]
    assert "witnessed" in [what for what, _ in face.shown(verdict.found)]


def test_what_authds_own_witness_signs_is_what_the_verifier_reads(folder: Path, hers: bytes) -> None:
    signer = KeySigner("city.example/witness", bytes(range(3, 35)))
    note = cosign(published(folder) or "", signer, SEEN_AT)
    assert note == cosigned(published(folder) or "")
    assert not judged(with_witness(hers, note)).faults


def test_a_ledger_that_is_shorter_than_its_anchor_gives_no_bundle(folder: Path) -> None:
    """A cut tail, a restored snapshot: what was kept outside knows of more rows."""
    more = sign_note(Checkpoint(SIGNER.name, 12, bytes(32)).text(), SIGNER)
    with pytest.raises(NotShown, match="do not go on from each other"):
        bundle_of(folder, asked(record=HERS), more)


def test_a_ledger_that_went_another_way_than_its_anchor_gives_no_bundle(folder: Path) -> None:
    for size in (5, 11):
        other = sign_note(Checkpoint(SIGNER.name, size, bytes(32)).text(), SIGNER)
        with pytest.raises(NotShown, match="do not go on from each other"):
            bundle_of(folder, asked(record=HERS), other)


def test_an_older_anchor_is_compared_by_whoever_kept_it(tmp_path: Path) -> None:
    """A checkpoint from the middle of the day, on paper since then."""
    asyncio.run(a_day(tmp_path / "ledger"))
    reader = Reader(tmp_path / "ledger")
    rows = [leaf_hash(row) for _, row in reader.leaves(0, 5)]
    reader.close()
    old = sign_note(Checkpoint(SIGNER.name, 5, root_of(rows)).text(), SIGNER)
    data = bundle_of(tmp_path / "ledger", asked(record=HERS), old).data
    verdict = judged(data, face.Trust(face.read_key(KEY), anchor=old.encode()))
    assert (verdict.faults, ("r_anchor", (5,)) in verdict.compared) == ([], True)


def test_a_checkpoint_that_only_others_signed(hers: bytes) -> None:
    def strip(members: Members) -> None:
        text = members["checkpoint.txt"].decode().split("\n\n")[0] + "\n"
        members["checkpoint.txt"] = sign_note(text, KeySigner("city.example/other", bytes(32))).encode()

    assert told(judged(forged(hers, strip))) == {"no_signature"}


def _whole(first: int, count: int, *walls: int) -> face.Whole:
    rows = [
        face.read_row(leaf, b'{"seq":%d,"wall":%d,"boot":"b","at":0}' % (leaf + 1, wall))
        for leaf, wall in enumerate(walls, 5)
    ]
    question = {"from": 55_000_000, "to": 70_000_000, "seat": "counter-1"}
    case = {"question": question, "offset": 0, "complete": {"by": "stretch", "first": first, "count": count}}
    return face.completeness(case, rows, face.Checkpoint("x", 99, b"", (), ()))


def test_a_stretch_that_begins_after_a_session_could_have() -> None:
    assert _whole(5, 2, 1_000_000, 80_000_000).shown
    late = _whole(5, 2, 20_000_000, 80_000_000)
    assert not late.shown
    assert [what for what, _ in late.why] == ["whole_left"]


def test_a_stretch_of_fewer_rows_than_it_says() -> None:
    assert [what for what, _ in _whole(5, 3, 1_000_000, 80_000_000).why] == ["whole_holes"]
    assert [what for what, _ in _whole(4, 3, 1_000_000, 80_000_000).why] == ["whole_holes"]


class Counted(str):
    """The id of a session, of which every comparison is counted."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_very_many_sessions_and_views_are_not_compared_each_with_each() -> None:
    """A bundle may have a million rows, and a forged one held the verifier for days."""
    many = 300
    seat = {"seat": ONE, "subject": SATO, "grade": "B", "reason": "", "boot": "b"}
    rows = [
        face.Row(at, at, at, at, kind=kind, session=Counted(f"ses_{at // 2}"), data={"record": HERS}, **seat)
        for at, kind in enumerate(("session.started", "view.opened") * many)
    ]
    question = {"record": HERS, "from": 0, "to": len(rows)}
    answer = face.answer_of({"question": question, "ask": "resident"}, rows)
    assert len(answer.stays) == len(answer.lines) == many
    assert Counted.compared < 20 * many


def test_a_checkpoint_with_signatures_without_end(hers: bytes) -> None:
    def more(members: Members) -> None:
        note = members["checkpoint.txt"]
        members["checkpoint.txt"] = note + note.splitlines(keepends=True)[-1] * (face.MOST_NOTE // 100)

    assert told(judged(forged(hers, more))) == {"not_note"}


def test_what_is_not_whole_is_not_called_so(folder: Path) -> None:
    found = bundle_of(folder, asked(record=HERS), whole=False).found
    assert [what for what, _ in face.shown(found)] == ["signed_rows"]
