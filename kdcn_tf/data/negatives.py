"""Negative entities, shared inside the chunks of a batch (so that scoring is a matrix product)."""

import tensorflow as tf

from kdcn_tf.ckg import IdMap


class TypeRanges:
    """Draws of an entity type, whatever ranges it has, by two binary searches over the ranges' starts.

    The entities get places 0, 1, 2, ..., so that those of one type lie together: a uniform place in a type's interval
    is a uniform entity of it.
    """

    def __init__(self, id_map: IdMap):
        rows, start = [], 0  # of each range: first id, first place, places of its type
        for entity_type in id_map.ranges:
            low, high = start, start + id_map.size(entity_type)
            for first, last in id_map.spans(entity_type):
                if first < last:
                    rows.append((first, start, low, high))
                start += last - first
        by_id = sorted(rows)
        self._first, self._low, self._high = (tf.constant([row[i] for row in by_id], tf.int64) for i in (0, 2, 3))
        self._start = tf.constant([row[1] for row in rows], tf.int64)
        self._shift = tf.constant([row[0] - row[1] for row in rows], tf.int64)

    def of(self, ids: tf.Tensor) -> tf.Tensor:
        """Places of the type of each id, [low, high): int64, the shape of `ids` and 2."""
        index = tf.searchsorted(self._first, tf.reshape(ids, [-1]), side="right") - 1
        found = tf.stack([tf.gather(self._low, index), tf.gather(self._high, index)], axis=1)
        return tf.reshape(found, [*ids.shape, 2])

    def at(self, places: tf.Tensor) -> tf.Tensor:
        """Ids at places; same shape."""
        index = tf.searchsorted(self._start, tf.reshape(places, [-1]), side="right") - 1
        return places + tf.reshape(tf.gather(self._shift, index), tf.shape(places))


def corrupt(
    targets: tf.Tensor,
    *,
    count: int,
    type_ranges: TypeRanges,
    num_ids: int,
    type_constrained: float,
    degree_weighted: float,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Draws the negatives of each chunk (equation 3's e').

    A type-constrained negative takes the type of a positive drawn from its own chunk, so each chunk's
    negatives follow the mix of types that they replace. A degree-weighted one is an entity drawn from its chunk:
    triples are drawn uniformly, so their entities come in proportion to their degrees.

    Args:
        targets: int64 [C, b], the entities that the negatives replace.
        count: N, negatives per chunk.
        type_ranges: ids of every type.
        num_ids: ids lie in [1, num_ids).
        type_constrained: share of negatives drawn from a type's ids.
        degree_weighted: share of negatives drawn from the chunk; what both leave comes from all entities.
        seed: int [2].

    Returns:
        int64 [C, N].
    """
    chunks = targets.shape[0]
    seeds = tf.random.experimental.stateless_split(seed, 3)
    weighted = round(count * degree_weighted)
    constrained = min(round(count * type_constrained), count - weighted)
    picked = _picks(targets, weighted, seeds[2])
    count -= weighted
    # float64 holds every id below 2^53 exactly; float32 would reach only every 64th of a billion.
    share = tf.random.stateless_uniform([chunks, count], seeds[1], dtype=tf.float64)
    low = tf.ones([chunks, count - constrained], tf.int64)
    parts = [picked, _between(low, num_ids * low, share[:, constrained:])]
    if constrained:  # tf.searchsorted fails on nothing inside a tf.function
        low, high = tf.unstack(type_ranges.of(_picks(targets, constrained, seeds[0])), axis=-1)
        parts.insert(1, type_ranges.at(_between(low, high, share[:, :constrained])))
    return tf.concat(parts, axis=1)


def _between(low: tf.Tensor, high: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """int64 numbers in [low, high), at `share` in [0, 1) of the way."""
    drawn = low + tf.cast(share * tf.cast(high - low, tf.float64), tf.int64)
    return tf.minimum(drawn, high - 1)


def _picks(targets: tf.Tensor, count: int, seed: tf.Tensor) -> tf.Tensor:
    """int64 [C, count], entities drawn from the chunks of `targets` [C, b]."""
    chunks, size = targets.shape
    places = tf.random.stateless_uniform([chunks, count], seed, 0, size, tf.int32)
    return tf.gather(targets, places, batch_dims=1)
