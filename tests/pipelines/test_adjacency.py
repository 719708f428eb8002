"""Sampled neighbours, by hand."""

import random

import numpy as np
import pyarrow as pa
from support.raw_logs import read_records

from kdcn_tf import records
from kdcn_tf.config import CkgConfig
from pipelines import adjacency, ids
from pipelines.exchange import Exchange


def rows(edges, orders=None):
    """Triples of ids; the order of a pair is (low, high) as one number, in the hash's upper half."""
    pairs = [(min(edge) * 100 + max(edge)) << 32 for edge in edges] if orders is None else [o << 32 for o in orders]
    head, tail = (np.array(ids, np.int64) for ids in zip(*edges, strict=True))
    return pa.table({"head": head, "relation": head * 0, "tail": tail, "pair": np.array(pairs, np.uint64)})


def rebuilt(found, *, number, stored, first=1):
    """Id -> (degree, neighbours) of merged edges, as blocks tell it."""
    merged = adjacency.Merged(stored)
    for one in found:
        merged.add(one)
    lists = {}
    for block in map(records.decode, merged.blocks(first=first, number=number)):
        for i, degree in enumerate(block[records.DEGREE]):
            neighbors = block[records.NEIGHBORS][i * stored : (i + 1) * stored]
            lists[block[records.FIRST_ID][0] + i] = (degree, neighbors)
    return lists


def test_undirected_distinct_and_without_self_loops():
    # 1-2 twice and in both directions, 3-3 a self-loop, 2-4.
    ((part, found),) = adjacency.edges(rows([(1, 2), (2, 1), (1, 2), (3, 3), (2, 4)]), ids_per_file=10, stored=3)
    assert part == 0
    assert rebuilt([found], number=4, stored=3) == {
        1: (1, [2, 0, 0]), 2: (2, [1, 4, 0]), 3: (0, [0, 0, 0]), 4: (1, [2, 0, 0]),
    }  # fmt: skip


def test_two_pairs_of_one_hash_stay_two():
    ((_, found),) = adjacency.edges(rows([(1, 2), (3, 4), (1, 2)], orders=[7, 7, 7]), ids_per_file=10, stored=1)
    assert rebuilt([found], number=4, stored=1) == {1: (1, [2]), 2: (1, [1]), 3: (1, [4]), 4: (1, [3])}


def test_keeps_the_edges_with_the_smallest_hash_whatever_the_pieces(monkeypatch):
    monkeypatch.setattr(adjacency, "_ROWS_BEFORE_CUT", 10)
    orders = {other: (other * 37) % 61 for other in range(2, 60)}
    expected = sorted(orders, key=orders.get)[:3]
    others = list(orders)
    for seed in range(3):
        random.Random(seed).shuffle(others)
        pieces = []
        for some in (others[:30], others[30:31], others[31:40], others[40:]):
            made = rows([(1, other) for other in some], [orders[other] for other in some])
            pieces += [found for part, found in adjacency.edges(made, ids_per_file=1, stored=3) if part == 0]
        assert rebuilt(pieces, number=1, stored=3) == {1: (58, expected)}
        packed = [tuple(map(Exchange(1).pack, piece)) for piece in pieces]
        both = [adjacency.merged(some, 3).result() for some in (packed[:2], packed[2:])]
        assert rebuilt(both, number=1, stored=3) == {1: (58, expected)}


def test_every_id_of_every_range_is_there(tmp_path):
    # 7 entities, 3 a file: [1, 4), [4, 7), [7, 8). Only 2 and 7 have an edge.
    write = adjacency.WriteAdjacency(str(tmp_path), CkgConfig(ids_per_file=3, stored_neighbors=2), Exchange(1))
    plan = ids.plan([(("item", 0), 7)])
    found = dict(adjacency.edges(rows([(2, 7)]), ids_per_file=3, stored=2))
    packed = {part: tuple(map(Exchange(1).pack, edges)) for part, edges in found.items()}
    files = [write._write((part, [None, *([packed[part]] if part in packed else [])]), plan) for part in range(3)]
    names = [f"adjacency-0000{i}-of-00003.tfrecord" for i in range(3)]
    assert [(row[1], row[4], row[5]) for row in files] == [(names[0], 3, 1), (names[1], 3, 4), (names[2], 1, 7)]
    blocks = [read_records(tmp_path / name) for name in names]
    assert blocks[0] == [{records.FIRST_ID: [1], records.DEGREE: [0, 1, 0], records.NEIGHBORS: [0, 0, 7, 0, 0, 0]}]
    assert blocks[1] == [{records.FIRST_ID: [4], records.DEGREE: [0, 0, 0], records.NEIGHBORS: [0] * 6}]
    assert blocks[2] == [{records.FIRST_ID: [7], records.DEGREE: [1], records.NEIGHBORS: [2, 0]}]


def test_blocks_are_cut_inside_a_file(monkeypatch):
    monkeypatch.setattr(adjacency, "_IDS_PER_BLOCK", 2)
    merged = adjacency.merged([], stored=1)
    found = [records.decode(one) for one in merged.blocks(first=4, number=5)]
    assert [(b[records.FIRST_ID], b[records.DEGREE]) for b in found] == [([4], [0, 0]), ([6], [0, 0]), ([8], [0])]


def test_pieces_are_merged_some_ids_at_a_time(monkeypatch):
    # 40 ids, 8 at a time, edges cut as soon as 30 are held; two of the neighbours need 64 bits.
    monkeypatch.setattr(adjacency, "_IDS_PER_BLOCK", 8)
    monkeypatch.setattr(adjacency, "_ROWS_BEFORE_CUT", 30)
    random_number = random.Random(5)
    expected, pieces = {}, []
    pairs = sorted(
        {(random_number.randint(1, 40) ** 2 // 40 + 1, other) for other in (*range(50, 300), 1 << 33, 1 << 34)}
    )
    random_number.shuffle(pairs)
    orders = random_number.sample(range(1000), len(pairs))
    for start in range(0, len(pairs), 9):
        some = slice(start, start + 9)
        pieces += [found for part, found in adjacency.edges(rows(pairs[some], orders[some]), 40, 3) if part == 0]
    for (one, other), order in zip(pairs, orders, strict=True):
        expected.setdefault(one, []).append((order, other))
    assert max(map(len, expected.values())) > 6
    assert rebuilt(pieces, number=40, stored=3) == {
        one: (len(found := sorted(expected.get(one, []))), ([other for _, other in found] + [0] * 3)[:3])
        for one in range(1, 41)
    }


def test_edges_leave_sorted_and_cut():
    # File 1 holds ids 4 to 6: 5 has three neighbours, of which the two of smallest hash stay.
    made = dict(adjacency.edges(rows([(5, 1), (2, 5), (5, 4)], [30, 20, 10]), ids_per_file=3, stored=2))
    kept, cut = made[1]
    assert kept.to_pydict() == {"place": [0 << 32 | 10, 1 << 32 | 10, 1 << 32 | 20], "neighbor": [5, 4, 2]}
    assert cut.to_pydict() == {"id": [1], "cut": [1]}
    assert made[0][0].to_pydict() == {"place": [0 << 32 | 30, 1 << 32 | 20], "neighbor": [5, 5]}
    assert made[0][1].num_rows == 0
