"""One embedding table over chosen types of entities, looked up by entity id."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kdcn_tf.ckg import PAD_ID

Spans = Sequence[Sequence[int]]
"""Id ranges [first, last) of one entity type; disjoint, in id order."""

PAD_ROW, OOV_ROW, FIRST_ROW = 0, 1, 2
"""Rows of a table: padding, entities that the table doesn't know, then the ranges one after the other."""

_TINY = 1e-6  # keeps the scale of a zero vector finite


class Placed(NamedTuple):
    """Distinct vectors [U, d], and for each of some id tensors [...] which of them stands where, int32 [...]."""

    vectors: tf.Tensor
    places: list[tf.Tensor]


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class EntityEmbedding(tf.keras.layers.Layer):
    """Vectors of entities, for several id tensors at once.

    The ids of all inputs are made distinct before the one lookup, so the gradient is `IndexedSlices`
    over distinct rows, and no operation's cost grows with the number of rows.

    Row 0 is PAD and always reads as zeros. Row 1 stands for every entity outside the ranges (OOV); it is
    trained like the others. Only the ranges' entities have rows, whatever else the graph holds.

    Args:
        ranges: entity type -> its id ranges; disjoint.
        dim: embedding size d.
        scale: initial values are uniform in [-scale, scale].
        seed: of the initial values.
        normalize: bring each vector to mean 0 and variance 1 (PAD stays zeros).

    Input shape:
        List of int64 tensors of any shapes [...].

    Output shape:
        List of float tensors [..., d], in the same order.
    """

    def __init__(
        self,
        ranges: Mapping[str, Spans],
        dim: int,
        *,
        scale: float = 0.05,
        seed: int | None = None,
        normalize: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._ranges = {name: tuple((int(first), int(last)) for first, last in spans) for name, spans in ranges.items()}
        self.dim, self._scale, self._seed, self._normalize = dim, scale, seed, normalize
        self.types = list(self._ranges)
        self._blocks: list[tuple[int, int, int]] = []  # first id, last id, row of the first
        row = FIRST_ROW
        for first, last in itertools.chain.from_iterable(self._ranges.values()):
            self._blocks.append((first, last, row))
            row += last - first
        self.num_rows = row

    def build(self, input_shape=None):
        initializer = tf.keras.initializers.RandomUniform(-self._scale, self._scale, self._seed)
        self.table = self.add_weight("table", [self.num_rows, self.dim], initializer=initializer)
        super().build(input_shape)

    def call(self, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return self.look_up(inputs)[0]

    def look_up(
        self, inputs: Sequence[tf.Tensor], lists: Sequence[tf.Tensor] = (), placed: Sequence[tf.Tensor] = ()
    ) -> tuple[list[tf.Tensor], list[tf.Tensor], Placed]:
        """Vectors of ids, means of the vectors of lists of ids, and distinct vectors, by one lookup.

        A list's vectors are never laid out beside each other, and its padding costs nothing.

        Args:
            inputs: int64 tensors of any shapes [...].
            lists: int64 tensors [..., n], padded with PAD_ID.
            placed: int64 tensors of any shapes [...].

        Returns:
            Float tensors [..., d] of the inputs; float tensors [..., d] of the lists: the mean over the entities
            of each (known or not), zeros for an empty one; the distinct vectors of `placed` and their places.
        """
        filled = [tf.where(tf.reshape(ids, [-1]) != PAD_ID)[:, 0] for ids in lists]
        members = [tf.gather(tf.reshape(ids, [-1]), place) for ids, place in zip(lists, filled, strict=True)]
        flat = [*(tf.reshape(ids, [-1]) for ids in (*placed, *inputs)), *members]
        rows, index = tf.unique(self.rows_of(tf.concat(flat, axis=0)))
        vectors = self._vectors_of(rows)
        places = tf.split(index, [tf.size(ids) for ids in flat], num=len(flat))
        first_single, first_list = len(placed), len(placed) + len(inputs)
        shown, single, listed = places[:first_single], places[first_single:first_list], places[first_list:]
        found = [_shaped(tf.gather(vectors, row), ids, [self.dim]) for row, ids in zip(single, inputs, strict=True)]
        means = []
        for place, where, ids in zip(listed, filled, lists, strict=True):
            length, firsts = int(ids.shape[-1]), ids[..., 0]
            mean = _means(vectors, place, where // length, tf.size(firsts, tf.int64))
            means.append(_shaped(mean, firsts, [self.dim]))
        return found, means, _placed(vectors, shown, placed)

    def shown(self, rows: np.ndarray) -> np.ndarray:
        """What rows [n, d] of the table are looked up as."""
        return normalized(tf.constant(rows, tf.float32)).numpy() if self._normalize else rows

    def _vectors_of(self, rows: tf.Tensor) -> tf.Tensor:
        """Vectors [n, d] of rows of the table, distinct ones."""
        vectors = tf.nn.embedding_lookup(self.table, rows)
        if self._normalize:
            vectors = normalized(vectors)
        return vectors * tf.cast(rows != PAD_ROW, vectors.dtype)[:, None]

    def rows_of(self, ids: tf.Tensor) -> tf.Tensor:
        """Table row of each entity id: int64, same shape."""
        rows = tf.where(ids == PAD_ID, tf.constant(PAD_ROW, tf.int64), tf.constant(OOV_ROW, tf.int64))
        for first, last, row in self._blocks:
            inside = (ids >= first) & (ids < last)
            rows = tf.where(inside, ids - first + row, rows)
        return rows

    def row_of(self, entity_id: int) -> int:
        """Table row of one entity id."""
        for first, last, row in self._blocks:
            if first <= entity_id < last:
                return entity_id - first + row
        return PAD_ROW if entity_id == PAD_ID else OOV_ROW

    def assign_rows(self, first_id: int, values: np.ndarray) -> None:
        """Overwrites the vectors of the entities first_id, first_id + 1, ...

        Args:
            first_id: of one of the types.
            values: float [n, d]; the n ids must be of one range of that type.

        Raises:
            ValueError: an id that has no row, or vectors of another size.
        """
        end = first_id + len(values)
        if not any(first <= first_id and end <= last for first, last, _ in self._blocks):
            raise ValueError(f"ids [{first_id}, {end}) are in none of the ranges {self._ranges}")
        if values.shape[1:] != (self.dim,):
            raise ValueError(f"vectors of shape {values.shape[1:]}, expected ({self.dim},)")
        start = self.row_of(first_id)
        shard_start = 0
        for shard in getattr(self.table, "variables", [self.table]):
            size = int(shard.shape[0])
            low, high = max(start, shard_start), min(start + len(values), shard_start + size)
            if low < high:
                rows = tf.range(low - shard_start, high - shard_start)
                block = tf.constant(values[low - start : high - start], tf.float32)
                shard.scatter_update(tf.IndexedSlices(block, rows))
            shard_start += size

    def get_config(self) -> dict[str, Any]:
        ranges = {name: [list(span) for span in spans] for name, spans in self._ranges.items()}
        own = {"dim": self.dim, "scale": self._scale, "seed": self._seed, "normalize": self._normalize}
        return {**super().get_config(), "ranges": ranges, **own}


def _placed(vectors: tf.Tensor, places: Sequence[tf.Tensor], ids: Sequence[tf.Tensor]) -> Placed:
    """Rows are numbered as they first occur, and these ids come first: so their rows are the first ones."""
    count = tf.reduce_max(tf.concat([[-1], *places], axis=0)) + 1
    first, _ = tf.split(vectors, [count, tf.shape(vectors)[0] - count])
    return Placed(first, [_shaped(place, of, []) for place, of in zip(places, ids, strict=True)])


def _shaped(values: tf.Tensor, ids: tf.Tensor, inner: Sequence[int]) -> tf.Tensor:
    """A value of shape `inner` per id, laid out as the ids are."""
    laid_out = tf.reshape(values, tf.concat([tf.shape(ids), tf.constant(inner, tf.int32)], axis=0))
    return tf.ensure_shape(laid_out, [*ids.shape, *inner])


def _means(vectors: tf.Tensor, rows: tf.Tensor, lists: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Mean of the rows of each of `count` lists [count, d], without laying the rows out beside each other.

    A row goes to a list of nobody: of no row at all, TensorFlow 2.16 leaves the gradient uninitialised. A batch of
    no impressions has no such row, and no gradient either.
    """
    spare = tf.minimum(tf.shape(vectors)[0], 1)
    rows = tf.concat([rows, tf.zeros([spare], rows.dtype)], axis=0)
    lists = tf.concat([lists, tf.fill([spare], count)], axis=0)
    return tf.sparse.segment_mean(vectors, rows, lists, num_segments=count + 1)[:-1]


def normalized(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors [n, d] at mean 0 and variance 1 each."""
    mean, variance = tf.nn.moments(vectors, axes=[-1], keepdims=True)
    return (vectors - mean) * tf.math.rsqrt(variance + _TINY)
