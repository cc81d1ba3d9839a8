"""Completeness: whatever the rows, a proof shows all of a place and nothing else, and no entry is left out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from authd.core.complete import (
    Completeness,
    NotComplete,
    Span,
    Stretch,
    bounds,
    check,
    entry,
    key_of,
    read_entry,
    rebuild,
    shown,
)
from authd.core.tlog import EMPTY_ROOT, leaf_hash, root_of

PLACES = [f"record:rec_{number}" for number in range(4)]
Rows = list[tuple[int, int]]
"""Place and time of each row."""
rows = some.lists(some.tuples(some.integers(0, 3), some.integers(0, 20)), min_size=1, max_size=40)


def spans_of(rows: Rows, length: int) -> tuple[list[Span], list[list[bytes]]]:
    """Take the rows in spans of so many; the places 3 are not indexed."""
    spans, indexes = list[Span](), list[list[bytes]]()
    for first in range(0, len(rows), length):
        part = rows[first : first + length]
        found = sorted(
            entry(key_of(PLACES[place]), wall, first + at) for at, (place, wall) in enumerate(part) if place < 3
        )
        walls = [wall for _, wall in part]
        root = root_of(leaf_hash(raw) for raw in found)
        spans.append(Span(first, first + len(part), len(found), min(walls), max(walls), root))
        indexes.append(found)
    return spans, indexes


def stretch(number: int, index: list[bytes], low: bytes, high: bytes) -> Stretch:
    start, stop = max(bisect_left(index, low) - 1, 0), min(bisect_right(index, high) + 1, len(index))
    return part_of(number, index, start, stop)


def part_of(number: int, index: list[bytes], start: int, stop: int) -> Stretch:
    def root(low: int, high: int) -> bytes:
        return root_of(leaf_hash(raw) for raw in index[low:high])

    return Stretch(number, start, tuple(index[start:stop]), shown(start, stop, len(index), root))


def proof_of(rows: Rows, place: str, since: int, until: int, length: int) -> tuple[Completeness, bytes]:
    spans, indexes = spans_of(rows, length)
    low, high = bounds(key_of(place), since, until)
    stretches = [stretch(at, indexes[at], low, high) for at, span in enumerate(spans) if span.touches(since, until)]
    index = root_of(span.hash() for span in spans)
    return Completeness(place, since, until, tuple(spans), tuple(stretches)), index


@given(rows, some.integers(0, 3), some.integers(-1, 21), some.integers(-1, 21), some.integers(1, 12))
@settings(deadline=None)
def test_a_proof_shows_every_row_of_the_place_in_the_interval(
    rows: Rows, place: int, since: int, until: int, length: int
) -> None:
    since, until = sorted((since, until))
    proof, index = proof_of(rows, PLACES[place], since, until, length)
    there = [(leaf, wall) for leaf, (at, wall) in enumerate(rows) if at == place and since <= wall <= until]
    assert sorted(check(proof, index)) == ([] if place == 3 else there)
    assert proof.covered == len(rows)


@given(rows, some.data())
@settings(deadline=None)
def test_no_entry_can_be_left_out(rows: Rows, data: some.DataObject) -> None:
    """Whoever shows fewer entries than there are, wherever the hole, is found out."""
    place, wall = data.draw(some.sampled_from([row for row in rows if row[0] < 3] or rows))
    proof, index = proof_of(rows, PLACES[place], wall, wall, len(rows))
    found = check(proof, index)
    (whole,) = proof.stretches
    _, (entries,) = spans_of(rows, len(rows))
    for start in range(len(entries) + 1):
        for stop in range(start, len(entries) + 1):
            forged = replace(proof, stretches=(part_of(0, entries, start, stop),))
            try:
                assert check(forged, index) == found
            except NotComplete:
                continue
    for missing in range(len(whole.entries)):
        holed = replace(whole, entries=whole.entries[:missing] + whole.entries[missing + 1 :])
        with pytest.raises(NotComplete):
            check(replace(proof, stretches=(holed,)), index)


def test_what_is_forged_is_named() -> None:
    rows: Rows = [(at % 3, at) for at in range(20)]
    proof, index = proof_of(rows, PLACES[0], 3, 12, 8)
    first, *others = proof.stretches
    spans = proof.spans
    forgeries = {
        "not the spans": replace(proof, spans=spans[:-1]),
        "a span that touches": replace(proof, stretches=tuple(others)),
        "other entries": replace(proof, stretches=(replace(first, entries=(*first.entries[:-1], b"z" * 32)), *others)),
        "a hash is missing": replace(proof, stretches=(replace(first, hashes=()), *others)),
        "more hashes": replace(proof, stretches=(replace(first, hashes=(*first.hashes, bytes(32))), *others)),
        "out of order": replace(proof, stretches=(replace(first, entries=first.entries[::-1]), *others)),
        "nothing is shown": replace(proof, stretches=(replace(first, entries=()), *others)),
        "more leaves": replace(proof, stretches=(replace(first, start=100), *others)),
        "not a header": replace(proof, spans=(replace(spans[0], stop=-1), *spans[1:])),
    }
    for words, forged in forgeries.items():
        with pytest.raises(NotComplete, match=words):
            check(forged, index)


LEFT_OUT: list[Callable[[Span], Span]] = [
    lambda span: replace(span, first=1),
    lambda span: replace(span, stop=9),
    lambda span: replace(span, earliest=99),
]


@pytest.mark.parametrize("changed", LEFT_OUT)
def test_spans_that_leave_rows_out_are_refused_though_they_were_sealed(changed: Callable[[Span], Span]) -> None:
    proof, _ = proof_of([(0, at) for at in range(20)], PLACES[0], 3, 12, 8)
    spans = (changed(proof.spans[0]), *proof.spans[1:])
    with pytest.raises(NotComplete, match="leave rows out"):
        check(replace(proof, spans=spans), root_of(span.hash() for span in spans))


@given(some.integers(0, 40), some.integers(0, 40), some.integers(0, 40))
def test_a_root_is_rebuilt_from_any_part(size: int, one: int, other: int) -> None:
    leaves = [leaf_hash(bytes([at])) for at in range(size)]
    start, stop = sorted((min(one, size), min(other, size)))
    hashes = shown(start, stop, size, lambda low, high: root_of(leaves[low:high]))
    assert rebuild(start, leaves[start:stop], size, hashes) == root_of(leaves)


def test_entries_sort_by_key_time_and_leaf() -> None:
    key, later = bytes(16), bytes(15) + b"\x01"
    order = [(key, -(1 << 63), 9), (key, -1, 9), (key, 0, 1), (key, 0, 2), (key, 1, 0), (later, -5, 0)]
    raw = [entry(*one) for one in order]
    assert raw == sorted(raw)
    assert [read_entry(one) for one in raw] == order
    assert entry(key, 1 << 70, 0) == entry(key, (1 << 63) - 1, 0)


def test_without_any_span_nothing_is_covered() -> None:
    assert check(Completeness("record:rec_1", 0, 1, (), ()), EMPTY_ROOT) == []
