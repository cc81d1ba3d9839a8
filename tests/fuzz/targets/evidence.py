"""An evidence bundle of somebody who may have forged it, and what witnesses and courts read beside it.

The verifier that stands alone (`verify_evidence.py`) and the product read the same notes, rows and proofs from the
index; what the first takes, the second takes too, and both say the same of it. Each input is signed, hashed and packed
here as its maker could do it, so that what is behind those checks is reached.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from authd.core import complete, tlog
from authd.core.complete import Completeness, NotComplete, Span, Stretch
from authd.core.tlog import BadNote, Checkpoint, cosign, leaf_hash, root_of, sign_note, write_key
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.ledger.head import KeySigner, checker
from authd.service.ledger.record import BadRow, decode
from authd.service.ledger.source import SourceGone, unbundled
from authd.service.ledger.witness import Audit, Doubted, Memory

LOG, WITNESS = KeySigner("city.example/log", bytes(range(32))), KeySigner("witness.example", bytes(32))
KEYS = write_key(LOG.name, LOG.public_key), write_key(WITNESS.name, WITNESS.public_key, tlog.WITNESS)
LOG_KEY, WITNESS_KEY = face.read_key(KEYS[0]), face.read_key(KEYS[1])
OWN = b"# the verifier\n"
NAMES = {"people": {"sub_1": "佐藤 花子"}, "seats": {"counter-1": "窓口1"}, "systems": {"resident": "住民記録"}}
DAY = 1_795_400_000_000


def _fast(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """What the verifier's own Ed25519 says of these two keys (`_signature` compares), thousands of times faster."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


_SLOW = face.verify_ed25519


def _bundle(data: bytes) -> None:
    """The zip itself."""
    faults: list[face.Fault] = []
    with suppress(face.Broken):
        members = face.unpack(data, faults)
        assert faults or face.pack(list(members.items())) == data
    face.verify(data)


def _answer(data: bytes) -> None:
    """A whole bundle of case, names, proof of completeness and rows, sealed and signed over whatever they are."""
    case, names, proof, *rows = (*data.split(b"\0"), b"", b"", b"")
    raws = b"\n".join(rows).split(b"\n")
    hashes = [leaf_hash(raw) for raw in raws]
    size = len(raws)
    note = cosign(sign_note(Checkpoint(LOG.name, size, root_of(hashes)).text(), LOG), WITNESS, DAY // 1_000)
    members = {
        "case.json": _spelled(case),
        "names.json": _spelled(names),
        "complete-0.json": _spelled(proof),
        "keys.txt": "\n".join((*KEYS, "")).encode(),
        "checkpoint.txt": note.encode(),
        "events.jsonl": b"".join(raw + b"\n" for raw in raws),
        "leaves.txt": b"".join(b"%d %s\n" % (at, each.hex().encode()) for at, each in enumerate(hashes)),
        "tree.txt": b"",
        "verify_evidence.py": OWN,
    }
    faults: list[face.Fault] = []
    try:
        found = face.read_found(members, face.NOTHING_GIVEN, faults, [])
    except face.Broken:
        found = None
    if found is not None and not faults:
        members |= {f"answer.{language}.html": face.page(found, language) for language in face.LANGUAGES}
    verdict = face.verify(_packed(members), face.Trust(LOG_KEY), OWN)
    assert (verdict.found is None) == bool(verdict.faults)
    assert (found is None or bool(faults)) == bool(verdict.faults)
    for language in face.LANGUAGES:
        for line in face.report(verdict, "case.zip", OWN, face.NOTHING_GIVEN, language):
            assert "\n" not in line


def _packed(members: dict[str, bytes]) -> bytes:
    listed = list(members.items())
    return face.pack([("manifest.json", face.manifest_of(listed)), *listed])


def _spelled(raw: bytes) -> bytes:
    """Return the JSON in the one spelling of a bundle, so that a fuzzer need not find it."""
    try:
        return face.canonical(json.loads(raw))
    except (ValueError, RecursionError):
        return raw


def _note(data: bytes) -> None:
    """The text of a checkpoint, which the log signs, and lines of signatures behind its own."""
    text, _, lines = data.decode("utf-8", "replace").partition("\0")
    note = cosign(sign_note(f"{text}\n", LOG), WITNESS, 7) + (f"{lines}\n" if lines else "")
    ours = _read(lambda: tlog.read_checkpoint(tlog.open_note(note, LOG.name, LOG.public_key, checker(LOG.public_key))))
    faults: list[face.Fault] = []
    theirs = _read(lambda: face.read_note("note", note.encode(), LOG_KEY, [WITNESS_KEY], faults))
    if theirs is not None:
        assert ours == Checkpoint(theirs.origin, theirs.size, theirs.root)
    if theirs is not None and theirs.seen:
        check = checker(WITNESS.public_key)
        assert tlog.cosigned_at(note, WITNESS.name, WITNESS.public_key, check) == max(at for _, at in theirs.seen)
    _read(lambda: tlog.open_note(text, LOG.name, LOG.public_key, checker(LOG.public_key)))
    _read(lambda: tlog.cosigned_at(text, WITNESS.name, WITNESS.public_key, checker(WITNESS.public_key)))
    one, other = _read(lambda: tlog.read_key(text)), _read(lambda: face.read_key(text))
    if other is not None and other.kind == tlog.LOG:
        assert one == (other.name, other.public)


def _read(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (BadNote, face.Broken):
        return None


def _signature(data: bytes) -> None:
    """The verifier's own Ed25519 beside OpenSSL's, on the two keys: a signature that is good for one is for both."""
    place, flip, message = int.from_bytes(data[:1]) % 64, data[1:2] or b"\0", data[2:]
    for signer in (LOG, WITNESS):
        signature = bytearray(signer.sign(message))
        signature[place] ^= flip[0]
        for said in (bytes(signature), data[2:66]):
            assert _SLOW(signer.public_key, message, said) == _fast(signer.public_key, message, said)


def _rows(data: bytes) -> None:
    """A bundle of rows in a tile, as a witness fetches it."""
    audit = Audit.of(Memory("city.example/log"))
    for leaf, raw in enumerate(unbundled(data)):
        try:
            row = face.read_row(leaf, raw)
        except (ValueError, RecursionError):
            row = None
        with suppress(BadRow):
            ours = decode(raw)
            assert row is None or row[:3] == (leaf, ours.seq, ours.wall_ms)
        audit.row(leaf, raw)


def _index(data: bytes) -> None:
    """A proof from the index of one span, whose roots are what its entries come to: both readers say the same."""
    size, start, since, until = (int.from_bytes(data[at : at + 1]) for at in range(4))
    entries = tuple(data[at : at + 32] for at in range(4, len(data), 32))
    try:
        root = complete.rebuild(start, [leaf_hash(each) for each in entries], size, ()) if size else tlog.EMPTY_ROOT
    except NotComplete:
        root = bytes(32)
    span = Span(0, 9, size, 0, 255, root)
    proof = Completeness("seat:a", since, until, (span,), (Stretch(0, start, entries, ()),))
    index = root_of([span.hash()])
    try:
        ours: list[int] | None = [leaf for leaf, _ in complete.check(proof, index)]
    except NotComplete:
        ours = None
    seal = face.Row(9, 10, 0, 0, "", "ledger.sealed", "", "", "", "", "", {"spans": 1, "index": index.hex()})
    stretch = {"span": 0, "start": start, "entries": [b64encode(each).decode() for each in entries], "hashes": []}
    said = {
        "place": "seat:a",
        "since": since,
        "until": until,
        "seal": 9,
        "spans": [[0, 9, size, 0, 255, b64encode(root).decode()]],
        "stretches": [stretch],
    }
    try:
        theirs, _ = face.check_index("proof", said, {9: seal})
    except face.Broken:
        assert ours is None
    else:
        assert theirs == ours


WAYS: tuple[Callable[[bytes], None], ...] = (_bundle, _answer, _note, _rows, _index, _signature)


def one(data: bytes) -> None:
    """The first byte says what the rest is."""
    if not data:
        return
    face.verify_ed25519 = _fast
    try:
        WAYS[data[0] % len(WAYS)](data[1:])
    finally:
        face.verify_ed25519 = _SLOW


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant: a verdict has none."""
    return isinstance(error, SourceGone | Doubted)


def seeds() -> Iterator[bytes]:
    """Yield cases of each kind, a note, a tile, a proof, and a small bundle."""
    for question in QUESTIONS:
        yield b"\1" + b"\0".join((_case(question), json.dumps(NAMES).encode(), b"{}", *ROWS))
    yield b"\0" + _packed({"case.json": b"x", "keys.txt": KEYS[0].encode() + b"\n"})
    yield b"\2" + Checkpoint(LOG.name, 3, bytes(32)).text().rstrip().encode() + "\0— other AAAA".encode()
    yield b"\2" + KEYS[0].encode()
    sealed = {"first": 0, "stop": 6, "entries": 1, "earliest": 0, "latest": 9, "spans": 1}
    seal = _row(7, "ledger.sealed", data={**sealed, "root": "00" * 32, "index": "00" * 32})
    yield b"\3" + b"".join(len(row).to_bytes(2) + row for row in (*ROWS, seal))
    entries = sorted(
        complete.entry(complete.key_of(place), 7, leaf) for place in ("seat:a", "seat:b") for leaf in (1, 2)
    )
    yield b"\4" + bytes((4, 0, 0, 9)) + b"".join(entries)
    yield b"\5\0\1message"


def _row(seq: int, kind: str, **more: object) -> bytes:
    row = {"seq": seq, "wall": DAY + seq * 1_000, "boot": "b", "at": seq * 1_000_000_000, "kind": kind, **more}
    return json.dumps(row).encode()


_AT = {"seat": "counter-1", "subject": "sub_1", "session": "ses_1", "grade": "B"}
ROWS = (
    _row(1, "ledger.gap"),
    _row(2, "session.started", **_AT, data={"factor": "vein", "reader": "vein-1"}),
    _row(3, "view.opened", **_AT, data={"record": "rec_1", "system": "resident", "purpose": "転出届"}),
    _row(4, "view.refused", **_AT, data={"record": "rec_1", "why": "ended", "view": 3}),
    _row(5, "session.ended", **_AT, reason="lock"),
    _row(6, "reader.available"),
)
_WHEN = {"from": DAY + 1_500, "to": DAY + 5_500}
QUESTIONS: tuple[tuple[str, dict[str, object]], ...] = (
    ("events", {"seat": "counter-1", **_WHEN}),
    ("events", {"record": "rec_1", **_WHEN}),
    ("clear", {"subject": "sub_2", "record": "rec_1", "seat": "counter-1", **_WHEN}),
    ("resident", {"record": "rec_1", **_WHEN}),
)


def _case(question: tuple[str, dict[str, object]]) -> bytes:
    ask, asked = question
    said = {
        "format": face.FORMAT,
        "ask": ask,
        "case": "2026-1",
        "made": "2026-11-23",
        "ledger": LOG.name,
        "offset": 540,
    }
    whole = {"by": "stretch", "first": 0, "count": len(ROWS)}
    return json.dumps({**said, "question": asked, "complete": whole}).encode()
