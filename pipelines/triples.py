"""From triples of hashes to triples of ids, split and written in blocks.

A triple's place is decided by its content alone: the split by the triple's hash, the file by its pair's
hash, so that all relations of two entities stand in one file, the place inside by the triple's hash.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from kdcn_tf import ckg, records
from kdcn_tf.config import CkgConfig
from pipelines import adjacency, batches, hashing, writing
from pipelines.batches import column
from pipelines.counting import COUNTS, GOOD, CountingDoFn
from pipelines.distinct import TIMES, WEIGHT, hash_of, merged_triples
from pipelines.entities import ASKED, OWNED, Plan
from pipelines.statements import HEAD, PATTERN, TAIL, pattern_hash
from pipelines.stating import HASH

TRAIN, VALID, TEST = "train", "valid", "test"
SPLITS = (TRAIN, VALID, TEST)

SIZES, PATTERNS, TOLD, EDGES = "sizes", "patterns", "told", "edges"
"""Tags: (split, number), pattern hash, (part, value for `entities.NumberEntities`), (range, `adjacency.Edges`)."""

_TRIPLES, _IDS = "triples", "ids"
_LOG_PATTERNS = frozenset(ckg.LOG_PATTERNS)
_SPLIT_PLACE = 1 << 40  # more than any split has files

Pattern = tuple[str, str, str]
File = tuple[str, int, int]
"""Split, number of the file in it, number of files."""


def pick_splits(order: np.ndarray, valid_fraction: float, test_fraction: float) -> np.ndarray:
    """Index into `SPLITS` of triples by their hash: more data moves no triple to another split."""
    place = hashing.shares(order)
    return np.where(place < valid_fraction, 1, np.where(place < valid_fraction + test_fraction, 2, 0))


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


def _code(pattern: ckg.Pattern) -> int:
    return int(pattern_hash(pattern))


def relation_ids(patterns: Iterable[Pattern], mode: str) -> dict[int, int]:
    """Pattern hash -> relation id."""
    found = [ckg.Pattern(*names) for names in patterns]
    ids = {name: number for number, name in enumerate(relation_patterns(found, mode))}
    return {_code(p): ids[ckg.relation_key(p, mode)] for p in found}


class _Distinct(CountingDoFn):
    """(part, triples) -> Arrow bytes of the part's distinct triples, with SIZES, PATTERNS and COUNTS."""

    def __init__(self, valid_fraction: float, test_fraction: float):
        self._fractions = valid_fraction, test_fraction

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        rows = batches.unpack(element[1])
        found = merged_triples(rows)
        self.count("filtered.triples.duplicate", int(column(rows, WEIGHT).sum()) - found.num_rows)
        split = pick_splits(hash_of(found), *self._fractions)
        for index, number in enumerate(np.bincount(split, minlength=len(SPLITS)).tolist()):
            yield beam.pvalue.TaggedOutput(SIZES, (SPLITS[index], number))
        for pattern in np.unique(column(found, PATTERN)).tolist():
            yield beam.pvalue.TaggedOutput(PATTERNS, pattern)
        yield batches.pack(found)


class _Place(beam.DoFn):
    """Distinct triples -> (`File`, its triples); to the parts of their entities what the file needs of them (TOLD)."""

    def __init__(self, config: CkgConfig, parts: int):
        self._triples_per_file, self._parts = config.triples_per_file, parts
        self._fractions = config.valid_fraction, config.test_fraction

    def infer_output_type(self, input_type: Any) -> Any:
        return Any

    def process(self, packed: bytes, sizes: Mapping[str, int], patterns: Mapping[int, Pattern]) -> Iterator[Any]:
        rows = batches.unpack([packed])
        files = np.array([-(-sizes[name] // self._triples_per_file) for name in SPLITS])
        split = pick_splits(hash_of(rows), *self._fractions)
        number = _file_numbers(hashing.of_pairs(column(rows, HEAD), column(rows, TAIL)), files[split])
        for place, found in batches.split(rows, split * _SPLIT_PLACE + number):
            index, file = divmod(place, _SPLIT_PLACE)
            name = SPLITS[index], file, int(files[index])
            yield name, (_TRIPLES, batches.pack(found))
            for part, asked in self._asked(found, patterns):
                yield beam.pvalue.TaggedOutput(TOLD, (part, (ASKED, name, asked)))
        for part, owned in self._owned(rows):
            yield beam.pvalue.TaggedOutput(TOLD, (part, (OWNED, owned)))

    def _asked(self, rows: pa.Table, patterns: Mapping[int, Pattern]) -> Iterator[tuple[int, bytes]]:
        """Distinct entities of triples, and how often each occurs as an attribute in them.

        An attribute occurs once per triple of which it is the tail; (property, has, value) doesn't count, as
        every value has exactly one. In triples of an outside graph both ends count.
        """
        codes, which = np.unique(column(rows, PATTERN), return_inverse=True)
        known = [ckg.Pattern(*patterns[code]) for code in codes.tolist()]
        as_head = np.array([pattern not in _LOG_PATTERNS for pattern in known], np.int64)[which]
        as_tail = np.array([pattern != ckg.PROPERTY_HAS_VALUE for pattern in known], np.int64)[which]
        ends = np.concatenate([column(rows, HEAD), column(rows, TAIL)])
        hashes, place = np.unique(ends, return_inverse=True)
        times = np.bincount(place, np.concatenate([as_head, as_tail]), len(hashes)).astype(np.int32)
        asked = pa.table({HASH: hashes, TIMES: times})
        for part, found in batches.split(asked, hashing.parts(hashes, self._parts)):
            yield part, batches.pack(found)

    def _owned(self, rows: pa.Table) -> Iterator[tuple[int, bytes]]:
        """Values and their properties."""
        mine = column(rows, PATTERN) == pattern_hash(ckg.PROPERTY_HAS_VALUE)
        values = column(rows, TAIL)[mine]
        owned = pa.table({"value": values, "property": column(rows, HEAD)[mine]})
        for part, found in batches.split(owned, hashing.parts(values, self._parts)):
            yield part, batches.pack(found)


def _file_numbers(pairs: np.ndarray, files: np.ndarray) -> np.ndarray:
    return ((pairs >> np.uint64(32)) * files.astype(np.uint64) >> np.uint64(32)).astype(np.int64)


class _Encode(CountingDoFn):
    """(`File`, its triples and ids) -> FileRow of the written file, with EDGES of training files and COUNTS."""

    def __init__(self, directory: str, *, block_size: int, ids_per_file: int, stored: int):
        self._directory, self._block_size = directory, block_size
        self._ids_per_file, self._stored = ids_per_file, stored

    def process(self, element: tuple[File, Iterable[tuple]], ids: Plan, relations: Mapping[int, int]) -> Iterator[Any]:
        (split, number, files), values = element
        packed: list[list] = []
        told: list[list] = []
        for kind, *value in values:
            (packed if kind == _TRIPLES else told).append(value)
        rows = batches.unpack([one for (one,) in packed])
        hashes, known = _known_ids(told, ids)
        (heads, head_known), (tails, tail_known) = (batches.places(column(rows, end), hashes) for end in (HEAD, TAIL))
        kept = head_known & tail_known
        self.count("filtered.triples.rare", int(rows.num_rows - kept.sum()))
        if not kept.any():
            return
        encoded = _encoded(rows.filter(pa.array(kept)), known[heads[kept]], known[tails[kept]], relations)
        if split == TRAIN:
            for part, edges in adjacency.edges(encoded, self._ids_per_file, self._stored):
                yield beam.pvalue.TaggedOutput(EDGES, ((part, number), edges))
        yield writing.write_file(
            self._directory,
            group=split,
            name=writing.shard_name(split, number, files, "tfrecord"),
            data=writing.tfrecord(blocks(encoded, self._block_size)),
            count=encoded.num_rows,
        )


def _known_ids(told: list[list], ids: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Hashes, sorted, and ids of the entities that a file asked for."""
    hashes, found = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for part, types, packed in told:
        rows = batches.unpack([packed])
        firsts = np.array([ids.firsts[entity_type, part] for entity_type in types], np.int64)
        hashes.append(column(rows, HASH))
        found.append(firsts[column(rows, "code")] + column(rows, "rank"))
    merged = np.concatenate(hashes)
    order = np.argsort(merged)
    return merged[order], np.concatenate(found)[order]


def _encoded(rows: pa.Table, head: np.ndarray, tail: np.ndarray, relations: Mapping[int, int]) -> pa.Table:
    """Rows with ids, in the order in which they are written; "pair" is the hash of each one's pair."""
    codes, which = np.unique(column(rows, PATTERN), return_inverse=True)
    relation = np.array([relations[code] for code in codes.tolist()], np.int64)[which]
    orders = hash_of(rows)
    order = np.argsort(orders)
    if not batches.first_of_groups(orders[order]).all():
        order = np.lexsort((tail, relation, head, orders))
    pairs = hashing.of_pairs(column(rows, HEAD), column(rows, TAIL))
    found = {records.HEAD: head, records.RELATION: relation, records.TAIL: tail, "pair": pairs}
    return batches.table(**{name: one[order] for name, one in found.items()}, weight=column(rows, WEIGHT)[order])


def blocks(rows: pa.Table, block_size: int) -> Iterator[bytes]:
    """Triple blocks (`kdcn_tf.records`)."""
    names = (records.HEAD, records.RELATION, records.TAIL, records.WEIGHT)
    columns = {name: column(rows, name) for name in names}
    for first in range(0, rows.num_rows, block_size):
        yield records.encode({name: one[first : first + block_size].tolist() for name, one in columns.items()})


class PlaceTriples(beam.PTransform):
    """{"triples": (part, triples), "names": all `Pattern`s} -> distinct triples, told to files and entities.

    Output {GOOD: (`File`, its triples), TOLD: (part, value for `entities.NumberEntities`), "patterns": one dict
    from hash to `Pattern` of the used ones, COUNTS}.
    """

    def __init__(self, config: CkgConfig, parts: int):
        super().__init__()
        self._distinct = _Distinct(config.valid_fraction, config.test_fraction)
        self._place = _Place(config, parts)

    def expand(self, inputs):
        distinct = (
            inputs["triples"]
            | "PerPair" >> beam.GroupByKey()
            | "Distinct" >> beam.ParDo(self._distinct).with_outputs(SIZES, PATTERNS, COUNTS, main=GOOD)
        )
        sizes = distinct[SIZES] | "SizeOfSplit" >> beam.CombinePerKey(sum)
        names = inputs["names"] | "EachName" >> beam.Distinct() | "GatherNames" >> beam.combiners.ToList()
        patterns = (
            distinct[PATTERNS]
            | "EachPattern" >> beam.Distinct()
            | "GatherPatterns" >> beam.combiners.ToList()
            | "Used" >> beam.Map(_used, beam.pvalue.AsSingleton(names))
        )
        placed = distinct[GOOD] | "Place" >> beam.ParDo(
            self._place, beam.pvalue.AsDict(sizes), beam.pvalue.AsSingleton(patterns)
        ).with_outputs(TOLD, main=GOOD)
        return {GOOD: placed[GOOD], TOLD: placed[TOLD], "patterns": patterns, COUNTS: distinct[COUNTS]}


def _used(hashes: list[int], names: list[Pattern]) -> dict[int, Pattern]:
    known = {_code(ckg.Pattern(*name)): (name[0], name[1], name[2]) for name in names}
    return {one: known[one] for one in hashes}


class WriteTriples(beam.PTransform):
    """{"placed": (`File`, triples), "ids": (`File`, ids), "plan", "patterns"} -> {"files", EDGES, COUNTS}."""

    def __init__(self, directory: str, config: CkgConfig):
        super().__init__()
        self._mode = config.relation_mode
        self._encode = _Encode(
            directory,
            block_size=config.block_size,
            ids_per_file=config.ids_per_file,
            stored=config.stored_neighbors,
        )

    def expand(self, inputs):
        relations = inputs["patterns"] | "RelationIds" >> beam.Map(
            lambda used, mode: relation_ids(used.values(), mode), self._mode
        )
        ids = inputs["ids"] | "Ids" >> beam.MapTuple(lambda file, told: (file, (_IDS, *told)))
        written = (
            (inputs["placed"], ids)
            | "WithIds" >> beam.Flatten()
            | "PerFile" >> beam.GroupByKey()
            | "Encode"
            >> beam.ParDo(
                self._encode, beam.pvalue.AsSingleton(inputs["plan"]), beam.pvalue.AsSingleton(relations)
            ).with_outputs(EDGES, COUNTS, main="files")
        )
        return {"files": written.files, EDGES: written[EDGES], COUNTS: written[COUNTS]}
