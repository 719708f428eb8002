"""Sampled neighbours and degrees of all entities, as variables (sharded where the scope shards)."""

from typing import Protocol

import tensorflow as tf

from kdcn_tf import ckg, records

_BLOCKS_PER_READ = 1 << 20


class Graph(Protocol):
    """What an encoder asks of a graph."""

    def neighbors(self, ids: tf.Tensor) -> tf.Tensor:
        """int64 [n, k]: sampled neighbours of ids [n], PAD_ID where there are fewer."""

    def degrees(self, ids: tf.Tensor) -> tf.Tensor:
        """Float [n]: number of distinct neighbours in the whole graph."""


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
        blocks = tf.data.TFRecordDataset(file).batch(_BLOCKS_PER_READ).get_single_element()
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


class SampledGraph:
    """The first `count` stored neighbours of every entity.

    The stored list is itself a uniform sample (bottom-K of a hash), so any prefix of it is one.
    """

    def __init__(self, adjacency: Adjacency, count: int):
        self._adjacency, self._count = adjacency, count

    def neighbors(self, ids: tf.Tensor) -> tf.Tensor:
        rows = tf.nn.embedding_lookup(self._adjacency.neighbors, ids)
        return tf.cast(rows[:, : self._count], tf.int64)

    def degrees(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.nn.embedding_lookup(self._adjacency.degrees, ids)[:, 0]


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
