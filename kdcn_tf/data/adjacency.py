"""Sampled neighbours and degrees of all entities, as variables (sharded where the scope shards)."""

from typing import Protocol

import tensorflow as tf

from kdcn_tf import ckg, records
from kdcn_tf.config import RECORDS_PER_FILE
from kdcn_tf.data.lookup import gather_beside


class Graph(Protocol):
    """What an encoder asks of a graph."""

    def neighbors(self, ids: tf.Tensor) -> tf.Tensor:
        """int64 [n, k]: sampled neighbours of ids [n], PAD_ID where there are fewer."""

    def with_degrees(self, table: tf.Variable, ids: tf.Tensor, wire: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        """Rows of a table, float [n, d], and numbers of distinct neighbours in the whole graph, float [n]; of ids [n].

        Both are needed of the same ids, and come from the same servers. `wire` is that of `lookup.gather_rows`.
        """


class Adjacency(tf.Module):
    """Rows of up to K stored neighbours and the true degree of every entity.

    The variables are filled by `load_file`, one file of an id range after the other, and are input, not
    state: no checkpoint holds them.
    """

    def __init__(self, num_ids: int, stored: int):
        super().__init__(name="adjacency")
        self._stored = stored
        # int32 halves what the servers hold; TransE's ids stay int64 everywhere else.
        if num_ids >= 2**31:
            raise ValueError(f"num_ids: at most {2**31 - 1} ids fit the adjacency, got {num_ids}")
        self.neighbors = _zeros("neighbors", [num_ids, stored], tf.int32)
        self.degrees = _zeros("degrees", [num_ids, 1], tf.float32)

    def load_file(self, file: tf.Tensor) -> tf.Tensor:
        """Writes the blocks of one adjacency file into the variables; returns the rows written.

        Raises:
            tf.errors.DataLossError: the file is truncated or corrupt.
            tf.errors.InvalidArgumentError: a block's lists don't fit together.
        """
        spec = {
            records.FIRST_ID: tf.io.FixedLenFeature([], tf.int64),
            records.DEGREE: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
            records.NEIGHBORS: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
        }
        blocks = tf.data.TFRecordDataset(file).batch(RECORDS_PER_FILE).get_single_element()
        parsed = tf.io.parse_example(blocks, spec)
        degrees = parsed[records.DEGREE]
        rows = tf.ragged.range(
            parsed[records.FIRST_ID], parsed[records.FIRST_ID] + degrees.row_lengths(), row_splits_dtype=tf.int64
        )
        ids = rows.flat_values
        neighbors = tf.reshape(parsed[records.NEIGHBORS].flat_values, [-1, self._stored])
        with tf.control_dependencies(
            [tf.debugging.assert_equal(tf.shape(neighbors)[0], tf.shape(ids)[0], message=file)]
        ):
            scatter_rows(self.neighbors, ids, tf.cast(neighbors, tf.int32))
        scatter_rows(self.degrees, ids, tf.cast(degrees.flat_values, tf.float32)[:, None])
        return tf.shape(ids)[0]


class StoredGraph:
    """All stored neighbours of every entity."""

    def __init__(self, adjacency: Adjacency):
        self._adjacency = adjacency

    def neighbors(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.nn.embedding_lookup(self._adjacency.neighbors, ids), tf.int64)

    def with_degrees(self, table: tf.Variable, ids: tf.Tensor, wire: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        return gather_beside(table, self._adjacency.degrees, ids, wire)


class SampledGraph:
    """`count` neighbours of every entity out of those that another graph gives, drawn by `seed`.

    The stored list is itself a uniform sample in random order (bottom-K of a hash), so any run of it, going
    around its end, is one: a random place to start costs less than a draw without replacement.

    Args:
        graph: lists real neighbours first, then PAD_ID.
        count: k.
        seed: int32 [2].
    """

    def __init__(self, graph: Graph, count: int, seed: tf.Tensor):
        self._graph, self._count, self._seed = graph, count, seed

    def neighbors(self, ids: tf.Tensor) -> tf.Tensor:
        rows = self._graph.neighbors(ids)
        stored = tf.shape(rows)[1]
        length = tf.reduce_sum(tf.cast(rows != ckg.PAD_ID, tf.int32), axis=1)
        start = tf.random.stateless_uniform(tf.shape(length), self._seed, 0, stored, tf.int32)
        place = (start[:, None] + tf.range(self._count)) % tf.maximum(length, 1)[:, None]
        # A list shorter than `count` is taken whole, once.
        place = tf.where(length[:, None] < self._count, tf.minimum(tf.range(self._count), stored - 1), place)
        return tf.gather(rows, place, batch_dims=1)

    def with_degrees(self, table: tf.Variable, ids: tf.Tensor, wire: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        return self._graph.with_degrees(table, ids, wire)


class HiddenEdges:
    """A graph without some undirected edges, such as those that a training step is to predict.

    A neighbour at the end of a hidden edge becomes PAD_ID; degrees stay. Asked-for ids must be distinct: of an id that
    is there twice, one row keeps its hidden edges.

    Args:
        graph: to hide edges of.
        head: int64 [m], one end of each edge.
        tail: int64 [m], the other.
    """

    def __init__(self, graph: Graph, head: tf.Tensor, tail: tf.Tensor):
        self._graph = graph
        self._sources, self._targets = tf.concat([head, tail], axis=0), tf.concat([tail, head], axis=0)

    def neighbors(self, ids: tf.Tensor) -> tf.Tensor:
        rows = self._graph.neighbors(ids)
        # An edge looks for the row of its source, as there are fewer edges to hide than edges in the rows.
        order = tf.argsort(ids)
        place = tf.searchsorted(tf.gather(ids, order), self._sources)
        place = tf.gather(order, tf.minimum(place, tf.size(ids) - 1))
        there = tf.gather(ids, place) == self._sources
        hidden = there[:, None] & (tf.gather(rows, place) == self._targets[:, None])
        edge, column = tf.unstack(tf.where(hidden), axis=1)
        where = tf.stack([tf.cast(tf.gather(place, edge), tf.int64), column], axis=1)
        return tf.tensor_scatter_nd_update(rows, where, tf.fill([tf.size(edge)], tf.constant(ckg.PAD_ID, tf.int64)))

    def with_degrees(self, table: tf.Variable, ids: tf.Tensor, wire: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        return self._graph.with_degrees(table, ids, wire)


def _zeros(name: str, shape: list[int], dtype: tf.DType) -> tf.Variable:
    def initial(shape=tuple(shape), dtype=dtype, partition_shape=None, partition_offset=None):
        del partition_offset  # part of the call that a sharding scope makes
        return tf.zeros(partition_shape or shape, dtype)

    return tf.Variable(initial, shape=shape, dtype=dtype, trainable=False, name=name)


def scatter_rows(table: tf.Variable, ids: tf.Tensor, rows: tf.Tensor) -> None:
    """Writes `rows` at `ids` into a plain or sharded variable, each part on its own server."""
    first = 0
    for shard in getattr(table, "variables", [table]):
        last = first + shard.shape[0]
        mine = (ids >= first) & (ids < last)
        shard.scatter_update(tf.IndexedSlices(tf.boolean_mask(rows, mine), tf.boolean_mask(ids, mine) - first))
        first = last


def padding_mask(neighbors: tf.Tensor) -> tf.Tensor:
    """Float [n, k], 1 where there is a neighbour."""
    return tf.cast(neighbors != ckg.PAD_ID, tf.float32)
