"""Entities and their ids: dense, one contiguous range per type, free of arrival order.

Inside a type, ids follow the order of the entities' hashes. A step sees one part of the hashes' range
and numbers from 0; what stands before the part is added where the ids are used. So equal sets of
entities get equal ids on any machine and for any number of parts, and no step holds all entities.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from kdcn_tf import ckg
from kdcn_tf.config import CkgConfig
from kdcn_tf.errors import DataError
from pipelines import batches, exchange, hashing, ids, writing
from pipelines.batches import column
from pipelines.counting import COUNTS, CountingDoFn
from pipelines.distinct import TIMES
from pipelines.exchange import Exchange
from pipelines.stating import HASH, NAME, TYPE

SIZES, KEYS, FORWARD = "sizes", "keys", "forward"
"""Tags: (`ids.Part`, number), (`ids.Part`, Arrow bytes of keys), what the properties' turn needs."""

NAMES, GIVEN, ASKED, OWNED, KEPT = "names", "given", "asked", "owned", "kept"
"""Kinds of values: names; names with ids of a base graph; (file, origin, first, hashes and occurrences); values with
properties; properties kept by a value."""

ID = "id"
_RARE_FILTERED = np.array(ckg.RARE_FILTERED_TYPES)


class _Known(NamedTuple):
    """Distinct entities of a part, sorted by hash."""

    hashes: np.ndarray
    types: np.ndarray  # object
    names: pa.Array


def distinct(names: pa.Table) -> _Known:
    """The distinct entities of a table of `Names`.

    Raises:
        DataError: two entities have the same hash.
    """
    order = np.argsort(column(names, HASH), kind="stable")
    hashes = column(names, HASH)[order]
    first = batches.first_of_groups(hashes)
    arranged = names.take(order)
    types = np.asarray(arranged.column(TYPE).to_numpy(zero_copy_only=False))
    keys = np.asarray(arranged.column(NAME).to_numpy(zero_copy_only=False))
    clashes = np.flatnonzero(~first & batches.first_of_groups(types, keys))
    if len(clashes):
        raise DataError(
            f"an entity of type {types[clashes[0] - 1]} and one of type {types[clashes[0]]} have the same 64-bit hash; "
            "set ckg.hash_salt to another number and build the graph again"
        )
    starts = np.flatnonzero(first)
    return _Known(hashes[starts], types[starts], arranged.column(NAME).take(starts).combine_chunks())


def _with_given(named: Mapping[str, pa.Table]) -> tuple[_Known, np.ndarray]:
    """The distinct entities of a part, by kind of value, and the ids that they have in the base graph; 0: none."""
    known = distinct(pa.concat_tables([rows.select([TYPE, NAME, HASH]) for rows in named.values()]).combine_chunks())
    given = np.zeros(len(known.hashes), np.int64)
    if GIVEN in named:
        place, _ = batches.places(column(named[GIVEN], HASH), known.hashes)
        given[place] = column(named[GIVEN], ID)
    return known, given


class _Asked(NamedTuple):
    """What the triples of one file that come from one part (`origin`) ask for: HASH and TIMES, sorted.

    `first` is the place of the first row among all that these triples name. Properties have a column of places.
    """

    file: Any
    origin: int
    first: int
    rows: pa.Table


class _Number(CountingDoFn):
    """(part, values) -> (file, origin, fields of `ids.Answer`), with SIZES, KEYS, FORWARD and COUNTS.

    Users, items, sellers, sessions, categories and types of outside graphs are all kept. A tag, value,
    intention or keyword that occurs in fewer than `min_count` triples is dropped, judged on the triples
    before any is dropped. A property is kept if it keeps a value, so properties have their turn after the
    others.
    """

    def __init__(self, min_count: int, to: Exchange, properties: bool):
        self._min_count, self._to, self._properties = min_count, to, properties

    def process(self, element: tuple[int, Iterable[tuple]]) -> Iterator[Any]:
        part, values = element
        found: dict[str, list[tuple]] = {NAMES: [], GIVEN: [], ASKED: [], OWNED: [], KEPT: []}
        for kind, *value in values:
            found[kind].append(tuple(value))
        if not found[ASKED]:
            return
        named = {kind: exchange.unpack([one for (one,) in found[kind]]) for kind in (NAMES, GIVEN) if found[kind]}
        known, given = _with_given(named)
        asked = [_Asked(file, origin, first, exchange.unpack([packed])) for file, origin, first, packed in found[ASKED]]
        used, occurrences = self._used(known, [one.rows for one in asked])
        kept = used & ((given > 0) | self._often_enough(known, occurrences, found[KEPT]))
        if not self._properties:
            yield from self._owners(known, kept, found[OWNED])
            yield from self._forward(part, known, named, asked)
            late = known.types == ckg.PROPERTY
            used, kept = used & ~late, kept & ~late
        for entity_type, number in zip(
            *np.unique(known.types[used & ~kept].astype(str), return_counts=True), strict=True
        ):
            self.count(f"rare.{entity_type}", int(number))
        yield from self._numbered(part, known, np.where(kept, given, 0), kept, asked)

    @staticmethod
    def _used(known: _Known, asked: list[pa.Table]) -> tuple[np.ndarray, np.ndarray]:
        """Which entities triples name (a record that lost to another may have left names), and how often."""
        used, occurrences = np.zeros(len(known.hashes), bool), np.zeros(len(known.hashes), np.int64)
        for rows in asked:
            place, _ = batches.places(column(rows, HASH), known.hashes)
            used[place] = True
            occurrences[place] += column(rows, TIMES)  # what is asked for is distinct
        return used, occurrences

    def _often_enough(self, known: _Known, occurrences: np.ndarray, keeping: list[tuple]) -> np.ndarray:
        always = ~np.isin(known.types.astype(str), _RARE_FILTERED)
        kept = always | (occurrences >= self._min_count)
        if keeping:
            place, there = batches.places(np.frombuffer(b"".join(p for (p,) in keeping), np.uint64), known.hashes)
            kept[place[there]] = True
        return kept

    def _owners(self, known: _Known, kept: np.ndarray, owned: list[tuple]) -> Iterator[Any]:
        """Properties of kept values, to their parts."""
        if not owned:
            return
        rows = exchange.unpack([packed for (packed,) in owned])
        place, there = batches.places(column(rows, "value"), known.hashes)
        owners = np.unique(column(rows, "property")[there & kept[place]])
        parts = hashing.parts(owners, self._to.parts)
        for to in np.unique(parts).tolist():
            yield beam.pvalue.TaggedOutput(FORWARD, (to, (KEPT, owners[parts == to].tobytes())))

    def _forward(self, part: int, known: _Known, named: dict[str, pa.Table], asked: list[_Asked]) -> Iterator[Any]:
        """What concerns properties, to the same part's second turn."""
        late = known.hashes[known.types == ckg.PROPERTY]

        def tell(rows: pa.Table, *head: Any) -> Iterator[Any]:
            mine = rows.filter(pa.array(np.isin(column(rows, HASH), late)))
            if mine.num_rows:
                yield beam.pvalue.TaggedOutput(FORWARD, (part, (*head, self._to.pack(mine))))

        if len(late):
            for kind, rows in named.items():
                yield from tell(rows, kind)
            for file, origin, first, rows in asked:
                places = pa.array(np.arange(first, first + rows.num_rows, dtype=np.uint32))
                yield from tell(rows.append_column(ids.PLACE, places), ASKED, file, origin, first)

    def _numbered(
        self, part: int, known: _Known, given: np.ndarray, kept: np.ndarray, asked: list[_Asked]
    ) -> Iterator[Any]:
        """Numbers the kept entities of each type from 0, where they have no id yet, and answers the files."""
        new = kept & (given == 0)
        types = sorted(set(known.types[new]), key=ids.type_order)
        code, rank = np.where(kept, ids.GIVEN, ids.DROPPED).astype(np.int16), given.astype(np.uint32)
        for number, entity_type in enumerate(types):
            mine = np.flatnonzero(new & (known.types == entity_type))
            code[mine], rank[mine] = number, np.arange(len(mine))
            yield beam.pvalue.TaggedOutput(SIZES, ((entity_type, part), len(mine)))
            keys = self._to.pack(pa.table({NAME: known.names.take(mine)}))
            yield beam.pvalue.TaggedOutput(KEYS, ((entity_type, part), keys))
        for file, origin, first, rows in asked:
            place, _ = batches.places(column(rows, HASH), known.hashes)
            found = batches.table(**{ids.CODE: code[place], ids.RANK: rank[place]})
            if self._properties:
                found = found.append_column(ids.PLACE, rows.column(ids.PLACE))
            yield file, origin, (part, types, first, self._to.pack(found))


class NumberEntities(beam.PTransform):
    """What is known and asked of each part of the hashes' range -> ids, and the files of the id map.

    Input (part, value), values as listed at `NAMES` and the other kinds. Output {"ids": (file, origin, fields of
    `ids.Answer`), "plan": one `ids.Plan`, "files": FileRow, COUNTS}.
    """

    def __init__(self, directory: str, config: CkgConfig, to: Exchange, first_id: int = ckg.PAD_ID + 1):
        super().__init__()
        self._directory, self._to, self._ids_per_file, self._first_id = directory, to, config.ids_per_file, first_id
        self._first, self._second = (_Number(config.min_attribute_count, to, late) for late in (False, True))

    def expand(self, told):
        first = (
            told
            | "PerPart" >> beam.GroupByKey()
            | "Number" >> beam.ParDo(self._first).with_outputs(SIZES, KEYS, FORWARD, COUNTS, main="ids")
        )
        second = (
            first[FORWARD]
            | "PropertiesPerPart" >> beam.GroupByKey()
            | "NumberProperties" >> beam.ParDo(self._second).with_outputs(SIZES, KEYS, FORWARD, COUNTS, main="ids")
        )
        both = {
            name: (first[name], second[name]) | f"Both{name}" >> beam.Flatten() for name in ("ids", SIZES, KEYS, COUNTS)
        }
        found = both[SIZES] | "Gather" >> beam.combiners.ToList() | "Plan" >> beam.Map(ids.plan, self._first_id)
        files = (
            both[KEYS]
            | "Pieces" >> beam.FlatMap(self._pieces, beam.pvalue.AsSingleton(found))
            | "PerFile" >> beam.GroupByKey()
            | "WriteKeys" >> beam.Map(self._write)
        )
        return {"ids": both["ids"], "plan": found, "files": files, COUNTS: both[COUNTS]}

    def _pieces(
        self, element: tuple[ids.Part, bytes], plan: ids.Plan
    ) -> Iterator[tuple[tuple[str, int], tuple[int, bytes]]]:
        """(part, keys) -> ((type, file number), (first id, keys))."""
        part, packed = element
        keys = exchange.unpack([packed])
        start, (first, _) = plan.firsts[part], plan.spans[part[0]]
        files = (np.arange(start, start + keys.num_rows) - first) // self._ids_per_file
        for number, rows in batches.split(keys, files):
            yield (part[0], number), (max(start, first + number * self._ids_per_file), self._to.pack(rows))

    def _write(self, element: tuple[tuple[str, int], Iterable[tuple[int, bytes]]]) -> writing.FileRow:
        (entity_type, _), pieces = element
        ordered = sorted(pieces)
        keys = exchange.unpack([packed for _, packed in ordered]).column(NAME).to_pylist()
        data = "".join(f"{key}\n" for key in keys).encode()
        return ids.write_keys(self._directory, entity_type, data, count=len(keys), first=ordered[0][0])
