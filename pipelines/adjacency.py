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
_ROWS_BEFORE_CUT = 1 << 21
_LOW = np.uint64(32)

Edges = tuple[pa.Table, pa.Table]
"""The kept edges of a range of ids, (place, neighbor), sorted; what was cut, (id, cut); packed between steps.

A place is the id's number in its range and 32 bits of the edge's hash, in one uint64; edges of equal
places go by their neighbour. Ids are numbers in the range too. An id's degree is its edges and its cut.
"""


def edges(rows: pa.Table, ids_per_file: int, stored: int) -> Iterator[tuple[int, Edges]]:
    """(number of the adjacency file, edges of its ids) of a file's triples; all triples of a pair are in one file."""
    ids, neighbors, hashes = _ends(*(column(rows, name) for name in (records.HEAD, records.TAIL, PAIR)))
    starts, lengths = _groups(ids)
    more = lengths > stored
    cut = pa.table({"id": ids[starts[more]] % ids_per_file, "cut": lengths[more] - stored})
    cut_parts = ids[starts[more]] // ids_per_file
    if len(cut_parts):
        kept = _ranks(starts, lengths) < stored
        ids, neighbors, hashes = ids[kept], neighbors[kept], hashes[kept]
    part, number = np.divmod(ids, ids_per_file)
    found = pa.table({"place": number.astype(np.uint64) << _LOW | hashes, "neighbor": neighbors})
    for start, length in zip(*(one.tolist() for one in _groups(part)), strict=True):
        to = int(part[start])
        low, high = np.searchsorted(cut_parts, (to, to + 1)).tolist()
        yield to, (found.slice(start, length), cut.slice(low, high - low))


def _ends(head: np.ndarray, tail: np.ndarray, pair: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids from 0, their neighbours, and 32 bits of the edge's hash: an edge once per end, sorted."""
    low, high = np.minimum(head, tail), np.maximum(head, tail)
    order, first = batches.sorted_groups(pair, low, high)
    once = order[first]
    once = once[low[once] != high[once]]
    low, high, pair = low[once], high[once], pair[once] >> _LOW
    # Most graphs' ids fit 32 bits, which saves a quarter of what is shuffled.
    fits = not high.max(initial=0) >> 32
    ids, neighbors = np.r_[low, high] - 1, np.r_[high, low].astype(np.uint32 if fits else np.int64)
    hashes = np.r_[pair, pair]
    places = ids.astype(np.uint64) << _LOW | hashes
    order = _order(places, neighbors) if fits else np.lexsort((neighbors, hashes, ids))
    return ids[order], neighbors[order], hashes[order]


def _order(places: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    order = np.argsort(places)
    if not batches.first_of_groups(places[order]).all():
        order = np.lexsort((neighbors, places))
    return order


def _groups(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the rows of each id begin, and how many they are; `ids` are sorted."""
    starts = np.flatnonzero(batches.first_of_groups(ids))
    return starts, np.diff(np.r_[starts, len(ids)])


def _ranks(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Place of each row among those of its id."""
    return np.arange(lengths.sum()) - np.repeat(starts, lengths)


NONE = (
    pa.table({"place": np.zeros(0, np.uint64), "neighbor": np.zeros(0, np.uint32)}),
    pa.table({"id": np.zeros(0, np.int64), "cut": np.zeros(0, np.int64)}),
)


class Merged:
    """Edges of one range of ids, added piece by piece.

    Never more in memory than the pieces of what is kept and a bounded rest: pieces are sorted, so
    `_IDS_PER_BLOCK` ids at a time are taken from all of them.

    Args:
        stored: edges kept per id.
    """

    def __init__(self, stored: int):
        self._stored = stored
        self._edges, self._cut = [NONE[0]], [NONE[1]]
        self._rows = self._limit = 0

    def add(self, found: Edges) -> None:
        edges_of, cut = found
        self._edges.append(edges_of)
        self._cut.append(cut)
        self._rows += edges_of.num_rows
        if self._rows > 2 * self._limit + _ROWS_BEFORE_CUT:
            edges_of, cut = self.result()
            self._edges, self._cut = [edges_of], [cut]
            self._rows = self._limit = edges_of.num_rows

    def result(self) -> Edges:
        """Kept edges, sorted, and (id, cut) with an id as often as it was cut."""
        last = max(int(column(one, "place")[-1] >> _LOW) for one in self._edges if one.num_rows) if self._rows else -1
        kept, cut = [NONE[0]], list(self._cut)
        for places, neighbors in self._sorted(last + 1):
            starts, lengths = _groups(places >> _LOW)
            few, more = _ranks(starts, lengths) < self._stored, lengths > self._stored
            kept.append(pa.table({"place": places[few], "neighbor": neighbors[few]}))
            ids = (places[starts[more]] >> _LOW).astype(np.int64)
            cut.append(pa.table({"id": ids, "cut": lengths[more] - self._stored}))
        return _joined(kept), _joined(cut)

    def _sorted(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places and neighbours of `_IDS_PER_BLOCK` ids of the first `number`, and of the next; uncut."""
        starts = np.arange(0, number + _IDS_PER_BLOCK, _IDS_PER_BLOCK, np.uint64) << _LOW
        pieces = [(column(one, "place"), column(one, "neighbor")) for one in self._edges]
        cuts = [np.searchsorted(places, starts).tolist() for places, _ in pieces]
        for block in range(len(starts) - 1):
            spans = [slice(*cut[block : block + 2]) for cut in cuts]
            places = np.concatenate([one[span] for (one, _), span in zip(pieces, spans, strict=True)])
            neighbors = np.concatenate([one[span] for (_, one), span in zip(pieces, spans, strict=True)])
            order = _order(places, neighbors)
            yield places[order], neighbors[order]

    def blocks(self, *, first: int, number: int) -> Iterator[bytes]:
        """Adjacency blocks (`kdcn_tf.records`) of `number` ids from `first`; an id without edges is isolated."""
        cut, degree = _joined(self._cut), np.zeros(number, np.int64)
        np.add.at(degree, column(cut, "id"), column(cut, "cut"))
        for block, (places, found) in enumerate(self._sorted(number)):
            start = block * _IDS_PER_BLOCK
            degree_of = degree[start : start + _IDS_PER_BLOCK]
            ids = (places >> _LOW).astype(np.int64) - start
            degree_of += np.bincount(ids, minlength=len(degree_of))
            rank = _ranks(*_groups(ids))
            few = rank < self._stored
            neighbors = np.full((len(degree_of), self._stored), ckg.PAD_ID, np.int64)
            neighbors[ids[few], rank[few]] = found[few]
            yield records.encode(
                {
                    records.FIRST_ID: [first + start],
                    records.DEGREE: degree_of.tolist(),
                    records.NEIGHBORS: neighbors.reshape(-1).tolist(),
                }
            )


def _joined(pieces: Iterable[pa.Table]) -> pa.Table:
    # Neighbours of 32 and of 64 bits may come together.
    return pa.concat_tables(pieces, promote_options="permissive").combine_chunks()


def merged(packed: Iterable[tuple[bytes, bytes]], stored: int) -> Merged:
    """All edges of a range of ids, of packed ones."""
    together = Merged(stored)
    for kept, cut in packed:
        together.add((exchange.unpack([kept]), exchange.unpack([cut])))
    return together


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
        plan = beam.pvalue.AsSingleton(inputs["plan"])
        # Every range gets a value, so that one with isolated ids only is written too.
        ranges = inputs["plan"] | "Ranges" >> beam.FlatMap(
            lambda plan, size: ((part, None) for part in range(-(-plan.number // size))), self._ids_per_file
        )
        rows = found | "RangeOf" >> beam.MapTuple(lambda place, one: (place[0], one))
        return (
            (ranges, rows) | beam.Flatten() | "PerRange" >> beam.GroupByKey() | "Write" >> beam.Map(self._write, plan)
        )

    def _merge(self, place: tuple[int, int], packed: Iterable[tuple[bytes, bytes]]) -> tuple:
        return place, tuple(map(self._to.pack, merged(packed, self._stored).result()))

    def _write(self, element: tuple[int, Iterable[tuple[bytes, bytes] | None]], plan: Plan) -> writing.FileRow:
        part, values = element
        first = 1 + part * self._ids_per_file
        number = min(self._ids_per_file, plan.number + 1 - first)
        found = merged(filter(None, values), self._stored)
        return writing.write_file(
            self._directory,
            group="adjacency",
            name=writing.shard_name("adjacency", part, -(-plan.number // self._ids_per_file), "tfrecord"),
            data=writing.tfrecord(found.blocks(first=first, number=number)),
            count=number,
            first=first,
        )
