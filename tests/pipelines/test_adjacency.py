"""Sampled neighbours, by hand."""

import random

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to
from support.raw_logs import read_records

from kdcn_tf import records
from pipelines import adjacency, triples


def rows(edges):
    return [triples._to_row((tail, (i, head, 0)), 0.0, 0.0)[1] for i, (head, tail) in enumerate(edges)]


def test_undirected_distinct_and_without_self_loops():
    # 1-2 twice and in both directions, 3-3 a self-loop, 2-4.
    edges = [(1, 2), (2, 1), (1, 2), (3, 3), (2, 4)]
    with beam.Pipeline("FnApiRunner") as pipeline:
        found = pipeline | beam.Create(rows(edges)) | adjacency.Neighbors(5)
        plain = found | beam.MapTuple(lambda entity, row: (entity, row[0], sorted(row[1])))
        assert_that(plain, equal_to([(1, 1, [2]), (2, 2, [1, 4]), (4, 1, [2])]))


def test_keeps_the_edges_with_the_smallest_hash_in_their_order():
    others = list(range(2, 60))
    expected = sorted(others, key=lambda other: adjacency.edge_hash(1, other))[:3]
    combine = adjacency.SampleNeighbors(3)
    pairs = [(adjacency.edge_hash(1, other), other) for other in others]
    for seed in range(3):
        random.Random(seed).shuffle(pairs)
        parts = []
        for part in (pairs[:30], pairs[30:31], pairs[31:]):
            accumulator = combine.create_accumulator()
            for pair in part:
                accumulator = combine.add_input(accumulator, pair)
                assert len(accumulator[1]) <= 12  # 4 K: bounded for a hot entity
            parts.append(combine.compact(accumulator))
        assert combine.extract_output(combine.merge_accumulators(parts)) == (58, expected)


def test_every_id_of_every_range_is_there(tmp_path):
    # 7 entities, 3 a file: [1, 4), [4, 7), [7, 8). Ids 1, 3, 4, 5, 6 are isolated.
    found = [(2, (1, [7])), (7, (5, [2, 9]))]
    with beam.Pipeline("FnApiRunner") as pipeline:
        files = {
            "neighbors": pipeline | "N" >> beam.Create(found),
            "num_entities": pipeline | "T" >> beam.Create([7]),
        } | adjacency.WriteAdjacency(str(tmp_path), ids_per_file=3, stored=2)
        described = files | beam.Map(lambda row: (row[1], row[4], row[5]))
        names = [f"adjacency-0000{i}-of-00003.tfrecord" for i in range(3)]
        assert_that(described, equal_to([(names[0], 3, 1), (names[1], 3, 4), (names[2], 1, 7)]))
    blocks = [read_records(tmp_path / name) for name in names]
    assert blocks[0] == [{records.FIRST_ID: [1], records.DEGREE: [0, 1, 0], records.NEIGHBORS: [0, 0, 7, 0, 0, 0]}]
    assert blocks[1] == [{records.FIRST_ID: [4], records.DEGREE: [0, 0, 0], records.NEIGHBORS: [0] * 6}]
    assert blocks[2] == [{records.FIRST_ID: [7], records.DEGREE: [5], records.NEIGHBORS: [2, 9]}]


def test_blocks_are_cut_inside_a_file():
    found = list(adjacency.blocks([(3, (1, [9]))], first=1, last=6, stored=1, ids_per_block=2))
    decoded = [records.decode(block) for block in found]
    assert [(b[records.FIRST_ID], b[records.DEGREE]) for b in decoded] == [([1], [0, 0]), ([3], [1, 0]), ([5], [0])]
