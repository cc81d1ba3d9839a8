"""Tiles: the same tree as leaf by leaf, whatever the steps in which it grows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from authd.core.tiles import Edge, edge_of, path_of, roots, tiles_of, width_of
from authd.core.tlog import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(number.to_bytes(4)) for number in range(66_500)]


def grown(steps: list[int]) -> tuple[Edge, dict[tuple[int, int], bytes]]:
    edge, tiles = Edge(), dict[tuple[int, int], bytes]()
    for step in steps:
        edge, fresh = edge.grown(LEAVES[edge.size : edge.size + step])
        tiles.update(((level, number), hashes) for level, number, hashes in fresh)
    return edge, tiles


@given(some.lists(some.integers(0, 700), max_size=6), some.data())
@settings(max_examples=40, deadline=None)
def test_every_proof_out_of_tiles_is_the_tree_s(steps: list[int], data: some.DataObject) -> None:
    edge, tiles = grown([*steps, 1])
    size = edge.size
    assert {where: len(hashes) // 32 for where, hashes in tiles.items()} == {
        (level, number): width_of(level, number, size) for level, number in tiles_of(size)
    }
    root = root_of(LEAVES[:size])
    hashes = roots(lambda level, number: tiles[level, number])
    leaf, old = data.draw(some.integers(0, size - 1)), data.draw(some.integers(1, size))
    assert hashes(0, size) == root
    assert verify_inclusion(LEAVES[leaf], leaf, size, inclusion_proof(leaf, size, hashes), root)
    path = consistency_proof(old, size, hashes)
    assert verify_consistency(old, root_of(LEAVES[:old]), size, root, path)
    assert edge_of(size, lambda level, number: tiles[level, number]) == edge


def test_three_levels_and_the_same_in_other_steps() -> None:
    edge, tiles = grown([66_500])
    assert grown([1, 65_535, 1, 963]) == (edge, tiles)
    assert [len(hashes) // 32 for hashes in edge.partial] == [66_500 % 256, 66_500 // 256 % 256, 1]
    assert roots(lambda level, number: tiles[level, number])(0, 66_500) == root_of(LEAVES)
    later, fresh = edge.grown([])
    assert (later, fresh) == (edge, [])
    assert all(tiles[level, number] == hashes for level, number, hashes in edge.tiles())


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (1, 1_234_067, 256, "tile/1/x001/x234/067"),
        (0, 1000, 112, "tile/0/x001/000.p/112"),
        ("entries", 7, 1, "tile/entries/007.p/1"),
    ],
)
def test_paths_are_those_of_c2sp(level: int | str, number: int, width: int, path: str) -> None:
    assert path_of(level, number, width) == path


def test_a_tree_of_70000_has_the_tiles_that_c2sp_says() -> None:
    widths = [(level, width_of(level, number, 70_000)) for level, number in tiles_of(70_000)]
    assert widths == [(0, 256)] * 273 + [(0, 112)] + [(1, 256), (1, 17), (2, 1)]
    assert [width_of(level, number, 256) for level, number in tiles_of(256)] == [256, 1]
