"""TransE distances, equation 2: f(h, r, t) = ||h + r - t||_p. Lower is more plausible."""

import tensorflow as tf

# d sqrt(x)/dx is infinite at 0: a positive at distance 0 would give NaN gradients.
_TINY = 1e-12

_TILE = 4096


def distance(head: tf.Tensor, relation: tf.Tensor | float, tail: tf.Tensor, norm: int) -> tf.Tensor:
    """Distance of each triple.

    Args:
        head: [..., d].
        relation: [..., d].
        tail: [..., d].
        norm: p, 1 or 2.

    Returns:
        [...].
    """
    gap = head + relation - tail
    if norm == 1:
        return tf.reduce_sum(tf.abs(gap), axis=-1)
    return tf.sqrt(tf.reduce_sum(gap * gap, axis=-1) + _TINY)


def pairwise_distance(queries: tf.Tensor, candidates: tf.Tensor, norm: int) -> tf.Tensor:
    """Distance of every query to every candidate of the same chunk.

    A query is h + r against candidate tails, or t - r against candidate heads. For p = 2 the work is one
    matrix product per chunk.

    Args:
        queries: [..., b, d].
        candidates: [..., N, d].
        norm: p, 1 or 2.

    Returns:
        [..., b, N].
    """
    if norm == 1:
        return tf.reduce_sum(tf.abs(queries[..., :, None, :] - candidates[..., None, :, :]), axis=-1)
    squares = tf.reduce_sum(queries**2, axis=-1)[..., :, None] + tf.reduce_sum(candidates**2, axis=-1)[..., None, :]
    products = tf.matmul(queries, candidates, transpose_b=True)
    # Rounding can push a difference of near-equal numbers below 0.
    return tf.sqrt(tf.maximum(squares - 2.0 * products, 0.0) + _TINY)


def tiled_distance(queries: tf.Tensor, candidates: tf.Tensor, norm: int) -> tf.Tensor:
    """`pairwise_distance` of one chunk with many candidates, where [b, N, d] wouldn't fit in memory.

    p = 1 has no matrix product: it takes a query and a tile of candidates, small enough for a cache, at a time.

    Args:
        queries: [b, d].
        candidates: [N, d].
        norm: p, 1 or 2.

    Returns:
        [b, N].
    """
    if norm == 2:
        return pairwise_distance(queries, candidates, norm)
    tiles = tf.TensorArray(tf.float32, size=0, dynamic_size=True, infer_shape=False, element_shape=[None, None])
    for first in tf.range(0, tf.shape(candidates)[0], _TILE):
        tile = candidates[first : first + _TILE]
        near = tf.map_fn(lambda query, tile=tile: tf.reduce_sum(tf.abs(tile - query), axis=-1), queries)
        tiles = tiles.write(tiles.size(), tf.transpose(near))
    return tf.transpose(tiles.concat())
