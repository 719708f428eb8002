"""Sampled neighbours of every entity in the training graph.

Undirected, without self-loops, a neighbour once whatever the number of relations. Of more than K
neighbours the K edges with the smallest stable hash are kept: free of arrival order, mergeable, a
uniform sample, and so is any prefix of it.
"""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from kdcn_tf import ckg, records
from kdcn_tf.config import CkgConfig
from pipelines import batches, exchange, writing
from pipelines.batches import column
from pipelines.exchange import Exchange
from pipelines.ids import Plan

PAIR = "pair"
_IDS_PER_BLOCK = 1024
_FAN_IN = 256  # files whose edges one step merges
_ROWS_BEFORE_CUT = 1 << 20
_LOW = np.uint64(32)

Edges = tuple[pa.Table, pa.Table]
"""The kept edges of a range of ids, (place, neighbor), and what was cut, (id, cut); packed between steps.

A place is the id's number in its range and 32 bits of the edge's hash, in one uint64; edges of equal
places go by their neighbour. Ids are numbers in the range too. An id's degree is its edges and its cut.
"""


def edges(rows: pa.Table, ids_per_file: int, stored: int) -> Iterator[tuple[int, Edges]]:
    """(number of the adjacency file, edges of its ids) of a file's triples; all triples of a pair are in one file."""
    head, tail, pair = (column(rows, name) for name in (records.HEAD, records.TAIL, "pair"))
    low, high = np.minimum(head, tail), np.maximum(head, tail)
    order, first = batches.sorted_groups(pair, low, high)
    once = order[first]
    once = once[low[once] != high[once]]
    low, high, pair = low[once], high[once], pair[once] >> _LOW
    # Most graphs' ids fit 32 bits, which saves a quarter of what is shuffled.
    ids, neighbors = np.r_[low, high] - 1, np.r_[high, low].astype(np.int64 if high.max(initial=0) >> 32 else np.uint32)
    part, number = np.divmod(ids, ids_per_file)
    places = number.astype(np.uint64) << _LOW | np.r_[pair, pair]
    for to, found in batches.split(pa.table({"place": places, "neighbor": neighbors}), part):
        most = np.bincount((column(found, "place") >> _LOW).astype(np.int64)).max()
        # Sorting pays only where a hot entity's edges would all travel.
        yield to, _cut(found, stored) if most > stored else (found, NONE[1])


def _order(places: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    order = np.argsort(places)
    if not batches.first_of_groups(places[order]).all():
        order = np.lexsort((neighbors, places))
    return order


def _cut(rows: pa.Table, stored: int) -> Edges:
    """The `stored` edges of smallest place of every id, sorted; and (id, how many more it has)."""
    places, neighbors = column(rows, "place"), column(rows, "neighbor")
    order = _order(places, neighbors)
    ids = places[order] >> _LOW
    starts = np.flatnonzero(batches.first_of_groups(ids))
    lengths = np.diff(np.r_[starts, len(ids)])
    more = lengths > stored
    if more.any():
        rank = np.arange(len(ids)) - np.repeat(starts, lengths)
        order = order[rank < stored]
    cut = pa.table({"id": ids[starts[more]].astype(np.int64), "cut": lengths[more] - stored})
    return pa.table({"place": places[order], "neighbor": neighbors[order]}), cut


_NEIGHBORS = pa.schema({"place": pa.uint64(), "neighbor": pa.int64()})


NONE = (
    pa.table({"place": np.zeros(0, np.uint64), "neighbor": np.zeros(0, np.int64)}),
    pa.table({"id": np.zeros(0, np.int64), "cut": np.zeros(0, np.int64)}),
)


class Merged:
    """Edges of one range of ids, added piece by piece; never more in memory than what is kept and a bounded rest.

    Args:
        stored: edges kept per id.
    """

    def __init__(self, stored: int):
        self._stored = stored
        self._edges: list[pa.Table] = []
        self._cut: list[pa.Table] = []
        self._rows = self._limit = 0

    def add(self, found: Edges) -> None:
        kept, cut = found
        self._edges.append(kept.cast(_NEIGHBORS))
        self._cut.append(cut)
        self._rows += kept.num_rows
        if self._rows > 2 * self._limit + _ROWS_BEFORE_CUT:
            kept, cut = self.result()
            self._edges, self._cut = [kept], [cut]
            self._rows = self._limit = kept.num_rows

    def result(self) -> Edges:
        """Kept edges, sorted, and (id, cut) with an id as often as it was cut."""
        kept, cut = _cut(pa.concat_tables(self._edges).combine_chunks(), self._stored)
        return kept, pa.concat_tables([*self._cut, cut]).combine_chunks()


def merged(packed: Iterable[tuple[bytes, bytes]], stored: int) -> Edges:
    """All edges of a range of ids, of packed ones."""
    together = Merged(stored)
    together.add(NONE)
    for kept, cut in packed:
        together.add((exchange.unpack([kept]), exchange.unpack([cut])))
    return together.result()


def blocks(kept: pa.Table, cut: pa.Table, *, first: int, number: int, stored: int) -> Iterator[bytes]:
    """Adjacency blocks (`kdcn_tf.records`) of `number` ids from `first`; an id without edges is isolated."""
    ids = (column(kept, "place") >> _LOW).astype(np.int64)
    degree = np.bincount(ids, minlength=number)
    np.add.at(degree, column(cut, "id"), column(cut, "cut"))
    starts = np.flatnonzero(batches.first_of_groups(ids))
    rank = np.arange(len(ids)) - np.repeat(starts, np.diff(np.r_[starts, len(ids)]))
    neighbors = np.full((number, stored), ckg.PAD_ID, np.int64)
    neighbors[ids, rank] = column(kept, "neighbor")
    for start in range(0, number, _IDS_PER_BLOCK):
        rows = slice(start, start + _IDS_PER_BLOCK)
        yield records.encode(
            {
                records.FIRST_ID: [first + start],
                records.DEGREE: degree[rows].tolist(),
                records.NEIGHBORS: neighbors[rows].reshape(-1).tolist(),
            }
        )


class WriteAdjacency(beam.PTransform):
    """{"edges": ((file, training file), packed `Edges`), "plan"} -> FileRow.

    File i holds ids [1 + i * ids_per_file, 1 + (i + 1) * ids_per_file).
    """

    def __init__(self, directory: str, config: CkgConfig, to: Exchange):
        super().__init__()
        self._directory, self._to = directory, to
        self._ids_per_file, self._stored = config.ids_per_file, config.stored_neighbors

    def expand(self, inputs):
        found = inputs["edges"]
        if self._to.parts > _FAN_IN:
            # A category that all files have edges of would keep the last step busy for long.
            found = (
                found
                | "FanIn" >> beam.MapTuple(lambda place, one: ((place[0], place[1] // _FAN_IN), one))
                | "PerFan" >> beam.GroupByKey()
                | "Merge" >> beam.MapTuple(self._merge)
            )
        ids = beam.pvalue.AsSingleton(inputs["plan"])
        # Every range gets a value, so that one with isolated ids only is written too.
        ranges = inputs["plan"] | "Ranges" >> beam.FlatMap(
            lambda plan, size: ((part, None) for part in range(-(-plan.number // size))), self._ids_per_file
        )
        rows = found | "RangeOf" >> beam.MapTuple(lambda place, one: (place[0], one))
        return (ranges, rows) | beam.Flatten() | "PerRange" >> beam.GroupByKey() | "Write" >> beam.Map(self._write, ids)

    def _merge(self, place: tuple[int, int], packed: Iterable[tuple[bytes, bytes]]) -> tuple:
        return place, tuple(map(self._to.pack, merged(packed, self._stored)))

    def _write(self, element: tuple[int, Iterable[tuple[bytes, bytes] | None]], ids: Plan) -> writing.FileRow:
        part, values = element
        first = 1 + part * self._ids_per_file
        number = min(self._ids_per_file, ids.number + 1 - first)
        found = merged(filter(None, values), self._stored)
        return writing.write_file(
            self._directory,
            group="adjacency",
            name=writing.shard_name("adjacency", part, -(-ids.number // self._ids_per_file), "tfrecord"),
            data=writing.tfrecord(blocks(*found, first=first, number=number, stored=self._stored)),
            count=number,
            first=first,
        )
