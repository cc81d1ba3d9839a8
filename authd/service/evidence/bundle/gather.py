"""Which rows a bundle needs: those asked for, the sessions they belong to, and a stretch without holes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from authd.core.complete import check
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.evidence.bundle.question import Ask, Question
from authd.service.ledger import Reader, Recorded
from authd.service.ledger.proofs import prove_complete
from authd.service.ledger.record import decode

BEHIND = 1_000
"""Rows behind the sealed ones that are shown, whoever's they are; more are no longer few."""


class TooMany(ValueError):
    """The question is about more rows than a bundle holds: ask about a shorter interval."""


@dataclass(slots=True)
class Gathered:
    """Rows by their place in the tree, as bytes; and what shows that none is missing: a stretch, or proofs."""

    rows: dict[int, bytes] = field(default_factory=dict[int, bytes])
    first: int = 0
    count: int = 0
    """Leaves of the stretch; 0: none."""
    proofs: list[Mapping[str, object]] = field(default_factory=list[Mapping[str, object]])
    """From the index, as the bundle holds them."""

    def add(self, leaf: int, row: bytes) -> None:
        """Take a row. Raises `TooMany`."""
        self.rows[leaf] = row
        if len(self.rows) > face.MOST_ROWS:
            raise TooMany(f"more than {face.MOST_ROWS} rows")


class Leaves:
    """Where rows stand in the tree: numbers pass over gaps, and leaves do not."""

    def __init__(self, reader: Reader) -> None:
        self._bases = [(seq, size) for size, seq in map(reader.base, reader.segments())]
        """Of each segment the number that its rows follow, and the leaves before them; ascending."""

    def of(self, seq: int) -> int:
        """Return the index in the tree of the row of this number."""
        before, size = self._bases[bisect_left(self._bases, (seq, -1)) - 1]
        return size + seq - before - 1


def gather(reader: Reader, question: Question, size: int, *, whole: bool = True) -> Gathered:
    """Return what a bundle about the question needs, of the first `size` leaves. Raises `TooMany`.

    whole: with proof that nothing is left out; from the index where it can answer, which tells least of others, else by
    every row of the host in the interval, which is for courts and never for a resident.
    """
    found, leaves, asked = Gathered(), Leaves(reader), _asked(reader, question)
    for row in chain(asked, _sessions(reader, question, asked)):
        leaf = leaves.of(row.seq)
        if leaf < size:
            found.add(leaf, row.bytes)
    if whole and not _index(reader, question, size, found) and question.ask is not Ask.RESIDENT:
        _stretch(reader, question, size, found)
    return found


def _index(reader: Reader, question: Question, size: int, found: Gathered) -> bool:
    """Add the proofs that the sorted index gives, with the rows that they speak of; False: it does not reach so far."""
    needed = face.places_needed({"ask": question.ask.value, "question": question.json()})
    try:
        proofs = [prove_complete(reader, place, since, question.until_ms, size) for place, since in needed]
    except LookupError:
        return False
    leaves = [leaf for proof in proofs for leaf, _ in check(proof.proof, proof.seal.index)]
    leaves += [leaf for proof in proofs for leaf in (proof.seal.leaf, proof.proof.covered)]
    if not proofs or _wall(reader, proofs[0].proof.covered) <= question.until_ms:
        return False
    covered = proofs[0].proof.covered
    few = size - covered <= BEHIND
    if question.ask is Ask.CLEAR and not few:
        return False
    behind = range(covered, size if few and question.ask is not Ask.RESIDENT else covered)
    for leaf in chain(leaves, behind):
        for _, row in reader.leaves(leaf, leaf + 1):
            found.add(leaf, row)
    found.proofs = [{**proof.json(), "seal": proof.seal.leaf} for proof in proofs]
    return True


def _asked(reader: Reader, question: Question) -> list[Recorded]:
    """Rows that the answer is made of, or that speak against it."""
    named = (("record", question.record), ("subject", question.subject), ("seat", question.seat))
    places = [f"{name}:{value}" for name, value in named if value]
    of = places[0] if question.ask is not Ask.CLEAR else f"subject:{question.subject}"
    return reader.find(of, question.since_ms, question.until_ms)


def _sessions(reader: Reader, question: Question, asked: Iterable[Recorded]) -> Iterable[Recorded]:
    """The rows of the sessions in which it happened, which carry the evidence of who it was."""
    wanted = {(row.entry.seat, row.entry.session) for row in asked if row.entry.session}
    since, until = question.since_ms - face.LONGEST_MS, question.until_ms + face.LONGEST_MS
    for seat in sorted({seat for seat, _ in wanted if seat is not None} | ({question.seat} - {""})):
        for row in reader.find(f"seat:{seat}", since, until):
            if row.entry.kind.startswith("session.") and ((seat, row.entry.session) in wanted or _sat(row, question)):
                yield row


def _sat(row: Recorded, question: Question) -> bool:
    """Whether it is a row of a session at the seat that was asked about, by the person that was asked about."""
    if question.record and question.ask is not Ask.CLEAR:
        return False
    return question.seat == row.entry.seat and question.subject in ("", row.entry.subject)


def _stretch(reader: Reader, question: Question, size: int, found: Gathered) -> None:
    """Add every row from before what is needed until after the interval, whoever's they are."""
    first = max(0, _search(reader, size, question.needed_since_ms) - 1)
    stop = min(size, _search(reader, size, question.until_ms + 1) + 1)
    if stop - first > face.MOST_ROWS:
        raise TooMany(f"{stop - first} rows")
    for leaf, row in reader.leaves(first, stop):
        found.add(leaf, row)
    found.first, found.count = first, stop - first


def _search(reader: Reader, size: int, wall_ms: int) -> int:
    """Return the first leaf whose row is of this time or later, as far as the clock went forward."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _wall(reader, middle) >= wall_ms else (middle + 1, high)
    return low


def _wall(reader: Reader, leaf: int) -> int:
    for _, row in reader.leaves(leaf, leaf + 1):
        return decode(row).wall_ms
    raise LookupError(f"leaf {leaf} is not there")


def ends(reader: Reader, size: int) -> tuple[int, int]:
    """Return the wall-clock ms of the first and the last of the first `size` rows. Raises LookupError without any."""
    return _wall(reader, 0), _wall(reader, size - 1)


def sealed_until(reader: Reader, size: int) -> int | None:
    """Return the latest wall-clock ms that the index answers for, of a ledger of so many rows; None: there is none."""
    try:
        covered = prove_complete(reader, "", 0, 0, size).proof.covered
    except LookupError:
        return None
    return _wall(reader, covered) - 1
