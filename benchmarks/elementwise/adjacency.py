"""Sampled neighbours of every entity in the training graph.

Undirected, without self-loops, a neighbour once whatever the number of relations. Of more than K
neighbours the K edges with the smallest stable hash are kept: free of arrival order, mergeable, a
uniform sample, and so is any prefix of it.
"""

import hashlib
import heapq
import struct
from collections.abc import Iterable, Iterator

import apache_beam as beam

from benchmarks.elementwise import triples
from kdcn_tf import ckg, records
from pipelines import writing

_PAIR = struct.Struct("<2q")
_IDS_PER_BLOCK = 1024

Sample = tuple[int, list[tuple[int, int]]]
"""Degree, and (hash of the edge, neighbour) of the kept neighbours."""


def edge_hash(low: int, high: int) -> int:
    """Signed 64-bit stable hash of an undirected edge, ends in order."""
    return int.from_bytes(hashlib.blake2b(_PAIR.pack(low, high), digest_size=8).digest(), "little", signed=True)


def undirected(row: bytes) -> Iterator[bytes]:
    """The packed edge of a training triple, smaller id first; none for a self-loop."""
    head, _, tail = triples.ids_of(row)
    if head != tail:
        yield _PAIR.pack(min(head, tail), max(head, tail))


def both_ends(edge: bytes) -> Iterator[tuple[int, tuple[int, int]]]:
    low, high = _PAIR.unpack(edge)
    order = edge_hash(low, high)
    yield low, (order, high)
    yield high, (order, low)


class SampleNeighbors(beam.CombineFn):
    """Distinct (hash, neighbour) -> degree and the `stored` smallest, sorted.

    The accumulator never holds more than 4 * stored neighbours, so a hot entity costs no more than any
    other, and runners combine before the shuffle.
    """

    def __init__(self, stored: int):
        self._stored = stored

    def create_accumulator(self) -> Sample:
        return 0, []

    def add_input(self, accumulator: Sample, neighbor: tuple[int, int]) -> Sample:
        degree, kept = accumulator
        kept.append(neighbor)
        return degree + 1, self._cut(kept) if len(kept) > 4 * self._stored else kept

    def merge_accumulators(self, accumulators: Iterable[Sample]) -> Sample:
        degree = 0
        kept: list[tuple[int, int]] = []
        for other_degree, other in accumulators:
            degree += other_degree
            kept = self._cut(kept + other)
        return degree, kept

    def compact(self, accumulator: Sample) -> Sample:
        return accumulator[0], self._cut(accumulator[1])

    def extract_output(self, accumulator: Sample) -> tuple[int, list[int]]:
        return accumulator[0], [neighbor for _, neighbor in self._cut(accumulator[1])]

    def _cut(self, kept: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return heapq.nsmallest(self._stored, kept)


class Neighbors(beam.PTransform):
    """Bytes of training `triples.Row`s -> (id, (degree, neighbours)) of the ids that have any."""

    def __init__(self, stored: int):
        super().__init__()
        self._stored = stored

    def expand(self, rows):
        return (
            rows
            | "Undirected" >> beam.FlatMap(undirected)
            | "DistinctEdges" >> beam.Distinct()
            | "BothEnds" >> beam.FlatMap(both_ends)
            | "Sample" >> beam.CombinePerKey(SampleNeighbors(self._stored))
        )


def blocks(
    rows: Iterable[tuple[int, tuple[int, list[int]]]], *, first: int, last: int, stored: int, ids_per_block: int
) -> Iterator[bytes]:
    """Adjacency blocks (`kdcn_tf.records`) of all ids in [first, last); an id without row is isolated."""
    found = dict(rows)
    for start in range(first, last, ids_per_block):
        degrees, flat = [], []
        for entity in range(start, min(start + ids_per_block, last)):
            degree, neighbors = found.get(entity, (0, []))
            degrees.append(degree)
            flat += neighbors + [ckg.PAD_ID] * (stored - len(neighbors))
        yield records.encode({records.FIRST_ID: [start], records.DEGREE: degrees, records.NEIGHBORS: flat})


class WriteAdjacency(beam.PTransform):
    """{"neighbors", "num_entities"} -> FileRow; file i holds ids [1 + i * ids_per_file, ...)."""

    def __init__(self, directory: str, ids_per_file: int, stored: int):
        super().__init__()
        self._directory, self._ids_per_file, self._stored = directory, ids_per_file, stored

    def expand(self, inputs):
        total = beam.pvalue.AsSingleton(inputs["num_entities"], default_value=0)
        # Every range gets a row of id 0, so that one with isolated ids only is written too.
        ranges = inputs["num_entities"] | "Ranges" >> beam.FlatMap(
            lambda number, size: ((part, (ckg.PAD_ID, (0, []))) for part in range(-(-number // size))),
            self._ids_per_file,
        )
        rows = inputs["neighbors"] | "RangeOf" >> beam.Map(
            lambda row, size: ((row[0] - 1) // size, row), self._ids_per_file
        )
        return (
            (ranges, rows)
            | beam.Flatten()
            | "PerRange" >> beam.GroupByKey()
            | "Write" >> beam.Map(self._write, total)
        )  # fmt: skip

    def _write(self, element: tuple[int, Iterable], total: int) -> writing.FileRow:
        part, rows = element
        first = 1 + part * self._ids_per_file
        last = min(first + self._ids_per_file, total + 1)
        found = blocks(rows, first=first, last=last, stored=self._stored, ids_per_block=_IDS_PER_BLOCK)
        return writing.write_file(
            self._directory,
            group="adjacency",
            name=writing.shard_name("adjacency", part, -(-total // self._ids_per_file), "tfrecord"),
            data=writing.tfrecord(found),
            count=last - first,
            first=first,
        )
