"""From triples as text to triples as ids, split and written in blocks."""

import struct
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np

from benchmarks.elementwise.extract import split_triple
from kdcn_tf import ckg, keys, records
from pipelines import writing
from pipelines.counting import COUNTS, GOOD, CountingDoFn

TRAIN, VALID, TEST = "train", "valid", "test"
_IDS = struct.Struct("<3q")
_HASHES = 1 << 64

Row = tuple[str, bytes]
"""Split, and sort key + head, relation, tail ids."""


def pick_split(order: int, valid_fraction: float, test_fraction: float) -> str:
    """Split of a triple by its stable hash (signed 64 bits): more data moves no triple to another split."""
    place = (order + _HASHES // 2) / _HASHES
    if place < valid_fraction:
        return VALID
    return TEST if place < valid_fraction + test_fraction else TRAIN


def relation_patterns(patterns: Iterable[ckg.Pattern], mode: str) -> dict[str, list]:
    """Relation name -> its pattern as [head type, relation, tail type] ("name" mode: list of those).

    The order is that of relation ids: patterns of the logs, then outside ones by name.
    """
    used = set(patterns)
    outside = sorted(used - set(ckg.LOG_PATTERNS), key=lambda p: (ckg.relation_key(p, mode), p.name))
    found: dict[str, list] = {}
    for pattern in [p for p in ckg.LOG_PATTERNS if p in used] + outside:
        found.setdefault(ckg.relation_key(pattern, mode), []).append([pattern.head, pattern.relation, pattern.tail])
    return {name: rows[0] for name, rows in found.items()} if mode == "pattern" else found


class _CountRepeats(CountingDoFn):
    def process(self, element):
        triple, times = element
        self.count("filtered.triples.duplicate", times - 1)
        yield triple


class DistinctTriples(beam.PTransform):
    """Triples as text -> outputs GOOD (each once) and COUNTS."""

    def expand(self, triples):
        counted = triples | beam.combiners.Count.PerElement()
        return counted | beam.ParDo(_CountRepeats()).with_outputs(COUNTS, main=GOOD)


class RelationIds(beam.PTransform):
    """Distinct triples -> one dict (head type, relation, tail type) -> relation id."""

    def __init__(self, mode: str):
        super().__init__()
        self._mode = mode

    def expand(self, triples):
        return (
            triples
            | "PatternOf" >> beam.Map(_pattern_of)
            | "DistinctPatterns" >> beam.Distinct()
            | "Gather" >> beam.combiners.ToList()
            | "Number" >> beam.Map(_relation_ids, self._mode)
        )


def _pattern_of(triple: str) -> tuple[str, str, str]:
    head_type, _, relation, tail_type, _ = triple.split("\t")
    return head_type, relation, tail_type


def _relation_ids(patterns: list[tuple[str, str, str]], mode: str) -> dict[tuple[str, str, str], int]:
    found = [ckg.Pattern(*names) for names in patterns]
    ids = {name: number for number, name in enumerate(relation_patterns(found, mode))}
    return {(p.head, p.relation, p.tail): ids[ckg.relation_key(p, mode)] for p in found}


class _JoinId(CountingDoFn):
    """(entity, its id and the rows that name it) -> (id, row); rows of an entity without id are counted.

    Ids are ints and rows aren't. The values are passed over twice instead of being gathered, as a hot
    entity (a category) may have more rows than fit in memory.
    """

    def __init__(self, missing: str):
        self._missing = missing

    def process(self, element):
        _, values = element
        found = next((value for value in values if isinstance(value, int)), None)
        for row in values:
            if isinstance(row, int):
                continue
            if found is None:
                self.count(self._missing)
            else:
                yield found, row


class JoinIds(beam.PTransform):
    """{"rows": (entity, row), "ids": (entity, id)} -> outputs GOOD (id, row) and COUNTS of rows without.

    Rows may be anything but int.
    """

    def __init__(self, missing: str):
        super().__init__()
        self._missing = missing

    def expand(self, inputs):
        return (
            (inputs["rows"], inputs["ids"])
            | beam.Flatten()
            | "PerEntity" >> beam.GroupByKey()
            | "Join" >> beam.ParDo(_JoinId(self._missing)).with_outputs(COUNTS, main=GOOD)
        )


class EncodeTriples(beam.PTransform):
    """{"triples", "ids", "relations"} -> outputs GOOD (`Row`s) and COUNTS (`filtered.triples.rare`)."""

    def __init__(self, valid_fraction: float, test_fraction: float):
        super().__init__()
        self._fractions = (valid_fraction, test_fraction)

    def expand(self, inputs):
        relations = beam.pvalue.AsSingleton(inputs["relations"], default_value={})
        missing = "filtered.triples.rare"
        by_head = inputs["triples"] | "ByHead" >> beam.Map(_by_head, relations)
        heads = {"rows": by_head, "ids": inputs["ids"]} | "HeadIds" >> JoinIds(missing)
        by_tail = heads[GOOD] | "ByTail" >> beam.MapTuple(_by_tail)
        tails = {"rows": by_tail, "ids": inputs["ids"]} | "TailIds" >> JoinIds(missing)
        rows = tails[GOOD] | "ToRow" >> beam.Map(_to_row, *self._fractions)
        return {GOOD: rows, COUNTS: (heads[COUNTS], tails[COUNTS]) | beam.Flatten()}


def _by_head(triple: str, relations: dict[tuple[str, str, str], int]) -> tuple[str, tuple]:
    head, pattern, tail = split_triple(triple)
    relation = relations[pattern.head, pattern.relation, pattern.tail]
    return head, (keys.stable_hash(triple), relation, tail)


def _by_tail(head: int, row: tuple[int, int, str]) -> tuple[str, tuple]:
    order, relation, tail = row
    return tail, (order, head, relation)


def _to_row(element: tuple[int, tuple], valid_fraction: float, test_fraction: float) -> Row:
    tail, (order, head, relation) = element
    split = pick_split(order, valid_fraction, test_fraction)
    return split, writing.with_order(order, _IDS.pack(head, relation, tail))


def ids_of(row: bytes) -> tuple[int, int, int]:
    """Head, relation and tail id of a `Row`'s bytes."""
    return _IDS.unpack_from(row, writing.ORDER_BYTES)


def blocks(payloads: list[bytes], block_size: int) -> Iterator[bytes]:
    """Triple blocks (`kdcn_tf.records`) of packed ids."""
    triples = np.frombuffer(b"".join(payloads), "<i8").reshape(-1, 3)
    for first in range(0, len(triples), block_size):
        head, relation, tail = triples[first : first + block_size].T.tolist()
        yield records.encode({records.HEAD: head, records.RELATION: relation, records.TAIL: tail})


class WriteTriples(beam.PTransform):
    """`Row`s -> FileRow of TFRecord files of blocks, shuffled over all files of a split."""

    def __init__(self, directory: str, block_size: int, triples_per_file: int):
        super().__init__()
        self._directory, self._block_size, self._triples_per_file = directory, block_size, triples_per_file

    def expand(self, rows):
        return rows | writing.WriteShards(
            self._directory, rows_per_file=self._triples_per_file, encode=self._encode, extension="tfrecord"
        )

    def _encode(self, payloads: list[bytes]) -> bytes:
        return writing.tfrecord(blocks(payloads, self._block_size))
