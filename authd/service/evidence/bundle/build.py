"""Making a bundle: same ledger, same question, same bytes; and nothing leaves that does not verify."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from authd.core.tlog import Hashes, consistency_proof, split, write_key
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.evidence.bundle.gather import Gathered, gather
from authd.service.evidence.bundle.names import only
from authd.service.evidence.bundle.question import Question
from authd.service.ledger import Reader, open_checkpoint
from authd.service.ledger.proofs import hashes_of
from authd.service.ledger.record import decode

VERIFIER = Path(face.__file__)


class NotShown(ValueError):
    """The bundle would not show what it is asked to: its own verifier says so. `faults` in the verifier's words."""

    def __init__(self, faults: Sequence[face.Fault]) -> None:
        super().__init__(
            "; ".join(f"{fault.place}: {face.say(fault.what, 'en')} {fault.detail}" for fault in faults[:5])
        )
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Head:
    """The signed head that a bundle stands under, and older ones that it goes on from."""

    note: str
    name: str
    key: bytes
    """Ed25519, 32 bytes."""
    witnesses: tuple[str, ...] = ()
    """Verifier keys of witnesses."""
    anchors: tuple[str, ...] = ()
    """Older checkpoints, kept outside, or cosigned."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, verified."""

    data: bytes
    found: face.Found
    fingerprint: str
    pages: dict[str, bytes]
    """Language -> the printable answer."""


def build(reader: Reader, question: Question, head: Head, names: face.Names, *, whole: bool = True) -> Bundle:
    """Make the bundle. Raises `NotShown`, `TooMany`, `BadNote`."""
    size = open_checkpoint(head.note, head.name, head.key).size
    gathered = gather(reader, question, size, whole=whole)
    hashes = hashes_of(reader, size)
    members = [
        ("readme.txt", README.encode()),
        ("case.json", face.canonical(_case(question, head, gathered))),
        ("keys.txt", _text([write_key(head.name, head.key), *head.witnesses])),
        ("checkpoint.txt", head.note.encode()),
        *_anchors(head, size, hashes),
        ("events.jsonl", _bytes(row for _, row in sorted(gathered.rows.items()))),
        ("leaves.txt", _text(f"{leaf} {face.leaf_hash(row).hex()}" for leaf, row in sorted(gathered.rows.items()))),
        *_proofs(gathered),
        ("tree.txt", _text(hash_.hex() for hash_ in tree(size, sorted(gathered.rows), hashes))),
        ("names.json", face.canonical(only(names, {question.subject, *_subjects(gathered)}))),
        ("verify_evidence.py", VERIFIER.read_bytes()),
    ]
    return _finish(members, head)


def _finish(members: list[tuple[str, bytes]], head: Head) -> Bundle:
    """Print the answer with the verifier's own code, then let the verifier judge the whole."""
    faults: list[face.Fault] = []
    trust = face.Trust(face.read_key(write_key(head.name, head.key)))
    try:
        found = face.read_found(dict(members), trust, faults, [])
    except face.Broken as broken:
        raise NotShown([broken.fault]) from broken
    pages = {language: face.page(found, language) for language in face.LANGUAGES}
    members[1:1] = [(f"answer.{language}.html", pages[language]) for language in face.LANGUAGES]
    data = face.pack([("manifest.json", face.manifest_of(members)), *members])
    verdict = face.verify(data, trust, VERIFIER.read_bytes())
    if verdict.found is None or faults:
        raise NotShown(verdict.faults or faults)
    return Bundle(data, verdict.found, verdict.fingerprint, pages)


def _case(question: Question, head: Head, gathered: Gathered) -> dict[str, object]:
    complete: dict[str, object] = {"by": "none"}
    if gathered.proofs:
        complete = {"by": "index"}
    elif gathered.count:
        complete = {"by": "stretch", "first": gathered.first, "count": gathered.count}
    return {
        "format": face.FORMAT,
        "ask": question.ask.value,
        "case": question.case,
        "made": question.made,
        "offset": question.offset_min,
        "ledger": head.name,
        "question": question.json(),
        "complete": complete,
    }


def tree(size: int, leaves: Sequence[int], hashes: Hashes) -> Iterator[bytes]:
    """Yield the roots over whole branches without any of `leaves` (ascending), from left to right."""

    def walk(start: int, stop: int, first: int, last: int) -> Iterator[bytes]:
        if first == last:
            yield hashes(start, stop)
        elif stop - start > 1:
            middle = start + split(stop - start)
            cut = _first_from(leaves, middle, first, last)
            yield from walk(start, middle, first, cut)
            yield from walk(middle, stop, cut, last)

    return walk(0, size, 0, len(leaves))


def _first_from(leaves: Sequence[int], middle: int, low: int, high: int) -> int:
    while low < high:
        cut = (low + high) // 2
        low, high = (cut + 1, high) if leaves[cut] < middle else (low, cut)
    return low


def _anchors(head: Head, size: int, hashes: Hashes) -> Iterator[tuple[str, bytes]]:
    """Yield older checkpoints, each with the proof that the newest goes on from it. Raises `NotShown`."""
    notes = {open_checkpoint(note, head.name, head.key): note for note in head.anchors}
    newest = open_checkpoint(head.note, head.name, head.key)
    for anchor, note in sorted(notes.items(), key=lambda item: item[0].size):
        old = anchor.size
        if old > size or (old == size and anchor.root != newest.root):
            raise NotShown([face.Fault(f"checkpoint-{old}.txt", "inconsistent", f"{old} / {size}")])
        if 0 < old < size:
            yield f"checkpoint-{old}.txt", note.encode()
            yield f"consistency-{old}.txt", _text(hash_.hex() for hash_ in consistency_proof(old, size, hashes))


def _proofs(gathered: Gathered) -> Iterator[tuple[str, bytes]]:
    for number, proof in enumerate(gathered.proofs):
        yield f"complete-{number}.json", face.canonical(proof)


def _subjects(gathered: Gathered) -> Iterator[str]:
    for row in gathered.rows.values():
        entry = decode(row).entry
        helper = entry.data.get("helper")
        yield from (subject for subject in (entry.subject, helper) if isinstance(subject, str))


def _text(lines: Sequence[str] | Iterator[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def _bytes(rows: Iterator[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows)


def save(path: Path, data: bytes) -> None:
    """Write a new file, durably; one that is there is never overwritten. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


README = """\
authd の証拠ファイル / Evidence bundle of authd

確かめ方: Python 3.8 以降のある計算機で(通信は要りません)
To check, on any computer with Python 3.8 or newer (no network needed):

    python3 verify_evidence.py case.zip

verify_evidence.py は、証拠ファイルを作った者からではなく、authd の公開元から受け取ったものを使ってください。
Use a verify_evidence.py that you got from the publisher of authd, not from whoever made this bundle.

鍵・立会人の鍵・外で保管された控え・指紋を別の道で受け取ったときは、次のように渡してください。
Give it what you received another way:

    python3 verify_evidence.py case.zip --key KEY --witness KEY --anchor FILE --fingerprint HEX

manifest.json   目録: 中身それぞれの SHA-256 / the SHA-256 of every member
answer.*.html   印刷用の答え(検証のとき作り直して照合します)/ printable answer, made again by the verifier
case.json       質問 / the question
events.jsonl    台帳の行そのもの / rows of the ledger, byte for byte
leaves.txt      行の位置とハッシュ / place and hash of each row: SHA-256(0x00 || row)
tree.txt        木の残りのハッシュ / hashes of the rest of the tree (RFC 9162)
checkpoint*.txt 署名された控え / signed checkpoints (C2SP tlog-checkpoint)
consistency*    控えどうしがつながる証明 / proofs that checkpoints go on from each other
keys.txt        公開鍵 / public keys (C2SP signed-note)
names.json      氏名などの市の申し立て / names, which are the city's word
"""
