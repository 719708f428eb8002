"""Negative entities, shared inside the chunks of a batch (so that scoring is a matrix product)."""

import tensorflow as tf


class TypeRanges:
    """Finds the id range of an id's entity type by binary search over the range starts."""

    def __init__(self, ranges: dict[str, tuple[int, int]]):
        spans = sorted(span for span in ranges.values() if span[0] < span[1])
        self._first = tf.constant([first for first, _ in spans], tf.int64)
        self._last = tf.constant([last for _, last in spans], tf.int64)

    def of(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """First and one-past-last id of the type of each id; same shape as `ids`."""
        index = tf.searchsorted(self._first, tf.reshape(ids, [-1]), side="right") - 1
        first, last = tf.gather(self._first, index), tf.gather(self._last, index)
        return tf.reshape(first, tf.shape(ids)), tf.reshape(last, tf.shape(ids))


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
        type_ranges: id range of every type.
        num_ids: ids lie in [1, num_ids).
        type_constrained: share of negatives drawn from a type's range.
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
    low = tf.ones([chunks, count - constrained], tf.int64)
    high = num_ids * low
    if constrained:  # tf.searchsorted fails on nothing inside a tf.function
        first, last = type_ranges.of(_picks(targets, constrained, seeds[0]))
        low, high = tf.concat([first, low], axis=1), tf.concat([last, high], axis=1)
    # float64 holds every id below 2^53 exactly; float32 would reach only every 64th of a billion.
    share = tf.random.stateless_uniform([chunks, count], seeds[1], dtype=tf.float64)
    drawn = low + tf.cast(share * tf.cast(high - low, tf.float64), tf.int64)
    return tf.concat([picked, tf.minimum(drawn, high - 1)], axis=1)


def _picks(targets: tf.Tensor, count: int, seed: tf.Tensor) -> tf.Tensor:
    """int64 [C, count], entities drawn from the chunks of `targets` [C, b]."""
    chunks, size = targets.shape
    places = tf.random.stateless_uniform([chunks, count], seed, 0, size, tf.int32)
    return tf.gather(targets, places, batch_dims=1)
