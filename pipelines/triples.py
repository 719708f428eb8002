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
from kdcn_tf.errors import DataError
from pipelines import adjacency, batches, exchange, hashing, writing
from pipelines.adjacency import PAIR
from pipelines.batches import column
from pipelines.counting import COUNTS, GOOD, CountingDoFn
from pipelines.distinct import TIMES, WEIGHT, hash_of, merged_triples
from pipelines.entities import ASKED, OWNED
from pipelines.exchange import Exchange
from pipelines.ids import Answer, Plan, ids_of
from pipelines.statements import HEAD, PATTERN, TAIL, pattern_hash
from pipelines.stating import HASH

TRAIN, VALID, TEST = "train", "valid", "test"
SPLITS = (TRAIN, VALID, TEST)

PATTERNS, TOLD, EDGES = "patterns", "told", "edges"
"""Tags: pattern hash, (part, value for `entities.NumberEntities`), (range, `adjacency.Edges`)."""

ORDER = "order"
_CARRIED = (WEIGHT, PAIR, ORDER)
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


def relation_patterns(
    patterns: Iterable[ckg.Pattern], mode: str, before: Iterable[ckg.Pattern] = ()
) -> dict[str, list]:
    """Relation name -> its pattern as [head type, relation, tail type] ("name" mode: list of those).

    The order is that of relation ids: those that were there `before`, patterns of the logs, outside ones by name.
    """
    kept = list(before)
    used = set(patterns) - set(kept)
    outside = sorted(used - set(ckg.LOG_PATTERNS), key=lambda p: (ckg.relation_key(p, mode), p.name))
    found: dict[str, list] = {}
    for pattern in [*kept, *(p for p in ckg.LOG_PATTERNS if p in used), *outside]:
        found.setdefault(ckg.relation_key(pattern, mode), []).append([pattern.head, pattern.relation, pattern.tail])
    return {name: rows[0] for name, rows in found.items()} if mode == "pattern" else found


def relation_ids(patterns: Mapping[int, Pattern], mode: str, before: Iterable[ckg.Pattern]) -> dict[int, int]:
    """Pattern hash -> relation id."""
    found = {code: ckg.Pattern(*names) for code, names in patterns.items()}
    ids = {name: number for number, name in enumerate(relation_patterns(found.values(), mode, before))}
    return {code: ids[ckg.relation_key(pattern, mode)] for code, pattern in found.items()}


class _Place(CountingDoFn):
    """(part, triples) -> (`File`, (part, its distinct triples)), with TOLD, PATTERNS and COUNTS."""

    def __init__(self, config: CkgConfig, to: Exchange):
        self._triples_per_file, self._to = config.triples_per_file, to
        self._fractions, self._salt = (config.valid_fraction, config.test_fraction), config.hash_salt

    def process(
        self, element: tuple[int, Iterable[bytes]], stated: int, patterns: Mapping[int, Pattern]
    ) -> Iterator[Any]:
        part, packed = element
        rows = exchange.unpack(packed)
        found = _with_hashes(merged_triples(rows))
        self.count("filtered.triples.duplicate", int(column(rows, WEIGHT).sum()) - found.num_rows)
        for pattern in np.unique(column(found, PATTERN)).tolist():
            yield beam.pvalue.TaggedOutput(PATTERNS, pattern)
        for file, mine in self._files(found, stated):
            ends, place = _ends(mine)
            yield file, (_TRIPLES, part, self._to.pack(_with_places(mine, place)), len(ends))
            for to, first, asked in self._asked(mine, ends, place, patterns):
                yield beam.pvalue.TaggedOutput(TOLD, (to, (ASKED, file, part, first, asked)))
        for to, owned in self._owned(found):
            yield beam.pvalue.TaggedOutput(TOLD, (to, (OWNED, owned)))

    def _files(self, rows: pa.Table, stated: int) -> Iterator[tuple[File, pa.Table]]:
        """Rows by file. How many files there are follows from what the records state, triples said twice among it."""
        valid, test = self._fractions
        shares = np.array([1 - valid - test, valid, test])
        files = np.ceil(stated * shares / self._triples_per_file).astype(np.int64)
        split = pick_splits(column(rows, ORDER), valid, test)
        number = _file_numbers(column(rows, PAIR), files[split])
        for place, found in batches.split(rows, split * _SPLIT_PLACE + number):
            index, file = divmod(place, _SPLIT_PLACE)
            yield (SPLITS[index], file, int(files[index])), found

    def _asked(
        self, rows: pa.Table, hashes: np.ndarray, place: np.ndarray, patterns: Mapping[int, Pattern]
    ) -> Iterator[tuple[int, int, bytes]]:
        """(part, place of the first, Arrow bytes) of the `_ends` of triples and how often each is an attribute in them.

        An attribute occurs once per triple of which it is the tail; (property, has, value) doesn't count, as
        every value has exactly one. In triples of an outside graph both ends count.
        """
        codes, which = np.unique(column(rows, PATTERN), return_inverse=True)
        known = [ckg.Pattern(*patterns[code]) for code in codes.tolist()]
        as_head = np.array([pattern not in _LOG_PATTERNS for pattern in known], np.int64)[which]
        as_tail = np.array([pattern != ckg.PROPERTY_HAS_VALUE for pattern in known], np.int64)[which]
        times = np.bincount(place, np.concatenate([as_head, as_tail]), len(hashes)).astype(np.int32)
        first = 0
        for part, found in batches.split(pa.table({HASH: hashes, TIMES: times}), hashing.parts(hashes, self._to.parts)):
            yield part, first, self._to.pack(found)
            first += found.num_rows

    def _owned(self, rows: pa.Table) -> Iterator[tuple[int, bytes]]:
        """Values and their properties."""
        mine = column(rows, PATTERN) == pattern_hash(ckg.PROPERTY_HAS_VALUE, self._salt)
        values = column(rows, TAIL)[mine]
        owned = pa.table({"value": values, "property": column(rows, HEAD)[mine]})
        for part, found in batches.split(owned, hashing.parts(values, self._to.parts)):
            yield part, self._to.pack(found)


def _file_numbers(pairs: np.ndarray, files: np.ndarray) -> np.ndarray:
    return ((pairs >> np.uint64(32)) * files.astype(np.uint64) >> np.uint64(32)).astype(np.int64)


class _Encode(CountingDoFn):
    """(`File`, its triples and ids) -> FileRow of the written file, with EDGES of training files and COUNTS."""

    def __init__(self, directory: str, config: CkgConfig, to: Exchange):
        self._directory, self._block_size, self._to = directory, config.block_size, to
        self._ids_per_file, self._stored = config.ids_per_file, config.stored_neighbors

    def process(self, element: tuple[File, Iterable[tuple]], plan: Plan, relations: Mapping[int, int]) -> Iterator[Any]:
        (split, number, files), values = element
        triples: dict[int, tuple] = {}
        told: dict[int, list[Answer]] = {}
        for kind, part, *value in values:
            if kind == _TRIPLES:
                triples[part] = tuple(value)
            else:
                told.setdefault(part, []).append(Answer(*value))
        encoded = [
            self._with_ids(packed, ends, told.get(part, []), plan, relations)
            for part, (packed, ends) in sorted(triples.items())
        ]
        rows = _arranged(pa.concat_tables(encoded).combine_chunks())
        if not rows.num_rows:
            return
        if split == TRAIN:
            for part, edges in adjacency.edges(rows, self._ids_per_file, self._stored):
                yield beam.pvalue.TaggedOutput(EDGES, ((part, number), tuple(map(self._to.pack, edges))))
        yield writing.write_file(
            self._directory,
            group=split,
            name=writing.shard_name(split, number, files, "tfrecord"),
            data=writing.tfrecord(blocks(rows, self._block_size)),
            count=rows.num_rows,
        )

    def _with_ids(
        self, packed: bytes, ends: int, told: list[Answer], plan: Plan, relations: Mapping[int, int]
    ) -> pa.Table:
        """The triples of one part of which both ends are kept, by their ids."""
        rows = exchange.unpack([packed])
        found = ids_of(ends, told, plan)
        head, tail = found[column(rows, HEAD)], found[column(rows, TAIL)]
        codes, which = np.unique(column(rows, PATTERN), return_inverse=True)
        relation = np.array([relations[code] for code in codes.tolist()], np.int64)[which]
        made = {records.HEAD: head, records.RELATION: relation, records.TAIL: tail}
        encoded = batches.table(**made, **{name: rows.column(name) for name in _CARRIED})
        kept = (head != ckg.PAD_ID) & (tail != ckg.PAD_ID)
        self.count("filtered.triples.rare", int(rows.num_rows - kept.sum()))
        return encoded.filter(pa.array(kept))


def _ends(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Distinct entities of triples, sorted, and the place of each head and then of each tail among them."""
    return np.unique(np.concatenate([column(rows, HEAD), column(rows, TAIL)]), return_inverse=True)


def _with_hashes(rows: pa.Table) -> pa.Table:
    """Triples with the hashes of each one's pair (PAIR) and of itself (ORDER)."""
    pairs = hashing.of_pairs(column(rows, HEAD), column(rows, TAIL))
    return rows.append_column(PAIR, pa.array(pairs)).append_column(ORDER, pa.array(hash_of(rows)))


def _with_places(rows: pa.Table, places: np.ndarray) -> pa.Table:
    """Triples by the places of their ends in place of their hashes."""
    head, tail = places[: rows.num_rows].astype(np.uint32), places[rows.num_rows :].astype(np.uint32)
    return batches.table(**{HEAD: head, TAIL: tail, **{name: rows.column(name) for name in (PATTERN, *_CARRIED)}})


def _arranged(rows: pa.Table) -> pa.Table:
    """Rows in the order in which they are written."""
    orders = column(rows, ORDER)
    if (orders[1:] > orders[:-1]).all():  # the usual case: all from one part
        return rows
    order = np.argsort(orders)
    if not batches.first_of_groups(orders[order]).all():
        ids = [column(rows, name) for name in (records.TAIL, records.RELATION, records.HEAD)]
        order = np.lexsort((*ids, orders))
    return rows.take(order)


def blocks(rows: pa.Table, block_size: int) -> Iterator[bytes]:
    """Triple blocks (`kdcn_tf.records`)."""
    names = (records.HEAD, records.RELATION, records.TAIL, records.WEIGHT)
    columns = {name: column(rows, name) for name in names}
    for first in range(0, rows.num_rows, block_size):
        yield records.encode({name: one[first : first + block_size].tolist() for name, one in columns.items()})


class PlaceTriples(beam.PTransform):
    """{"triples": (part, triples), "counts", "names": all `Pattern`s} -> distinct triples, told to files and entities.

    Output {GOOD: (`File`, its triples), TOLD: (part, value for `entities.NumberEntities`), "patterns": one dict
    from hash to `Pattern` of the used ones, COUNTS}.
    """

    def __init__(self, config: CkgConfig, to: Exchange):
        super().__init__()
        self._place, self._salt = _Place(config, to), config.hash_salt

    def expand(self, inputs):
        stated = (
            inputs["counts"]
            | "Stated" >> beam.FlatMap(lambda pair: [pair[1]] if pair[0] == "read.triples" else [])
            | "SumStated" >> beam.CombineGlobally(sum)
        )
        names = (
            inputs["names"]
            | "EachName" >> beam.Distinct()
            | "GatherNames" >> beam.combiners.ToList()
            | "NamesByCode" >> beam.Map(by_code, self._salt)
        )
        placed = (
            inputs["triples"]
            | "PerPair" >> beam.GroupByKey()
            | "Place"
            >> beam.ParDo(self._place, beam.pvalue.AsSingleton(stated), beam.pvalue.AsSingleton(names)).with_outputs(
                TOLD, PATTERNS, COUNTS, main=GOOD
            )
        )
        patterns = (
            placed[PATTERNS]
            | "EachPattern" >> beam.Distinct()
            | "GatherPatterns" >> beam.combiners.ToList()
            | "Used"
            >> beam.Map(lambda used, names: {code: names[code] for code in used}, beam.pvalue.AsSingleton(names))
        )
        return {GOOD: placed[GOOD], TOLD: placed[TOLD], "patterns": patterns, COUNTS: placed[COUNTS]}


def by_code(names: Iterable[Pattern], salt: int) -> dict[int, Pattern]:
    """Pattern hash -> pattern.

    Raises:
        DataError: two patterns have the same hash.
    """
    found: dict[int, Pattern] = {}
    for head, relation, tail in sorted(names):
        pattern = ckg.Pattern(head, relation, tail)
        other = found.setdefault(int(pattern_hash(pattern, salt)), (head, relation, tail))
        if other != (head, relation, tail):
            raise DataError(
                f"relations {ckg.Pattern(*other).name} and {pattern.name} have the same 32-bit hash; "
                "rename one, or set ckg.hash_salt to another number and build the graph again"
            )
    return found


class WriteTriples(beam.PTransform):
    """{"placed": (`File`, triples), "ids": (`File`, ids), "plan", "patterns"} -> {"files", EDGES, COUNTS}."""

    def __init__(self, directory: str, config: CkgConfig, to: Exchange, before: Iterable[ckg.Pattern] = ()):
        super().__init__()
        self._encode, self._mode, self._before = _Encode(directory, config, to), config.relation_mode, tuple(before)

    def expand(self, inputs):
        relations = inputs["patterns"] | "RelationIds" >> beam.Map(relation_ids, self._mode, self._before)
        ids = inputs["ids"] | "Ids" >> beam.MapTuple(lambda file, part, told: (file, (_IDS, part, *told)))
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
