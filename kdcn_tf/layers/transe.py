"""TransE distances, equation 2: f(h, r, t) = ||h + r - t||_p, or its square. Lower is more plausible."""

import tensorflow as tf

from kdcn_tf.layers.manhattan import manhattan

# d sqrt(x)/dx is infinite at 0: a positive at distance 0 would give NaN gradients.
_TINY = 1e-12

# A distance as the root of a difference of large squares is noise below this, and so is the direction of its gradient,
# which fades there.
_ROUNDING = 1e-3


def distance(
    head: tf.Tensor, relation: tf.Tensor | float, tail: tf.Tensor, norm: int, squared: bool = False
) -> tf.Tensor:
    """Distance of each triple.

    Args:
        head: [..., d].
        relation: [..., d].
        tail: [..., d].
        norm: p, 1 or 2.
        squared: whether to square the distance, for p = 2.

    Returns:
        [...].
    """
    gap = head + relation - tail
    if norm == 1:
        return tf.reduce_sum(tf.abs(gap), axis=-1)
    squares = _squared_length(gap)
    return squares if squared else tf.sqrt(squares + _TINY)


@tf.custom_gradient
def _squared_length(gap: tf.Tensor) -> tuple:
    """Sum of squares; the gradient is a product, where that of `tf.reduce_sum` makes copies first."""
    return tf.reduce_sum(gap * gap, axis=-1), lambda upstream: 2.0 * upstream[..., None] * gap


def pairwise_distance(queries: tf.Tensor, candidates: tf.Tensor, norm: int, squared: bool = False) -> tf.Tensor:
    """Distance of every query to every candidate of the same chunk.

    A query is h + r against candidate tails, or t - r against candidate heads. For p = 2 the work is one
    matrix product per chunk; neither norm writes [C, b, N, d].

    Args:
        queries: [C, b, d].
        candidates: [C, N, d].
        norm: p, 1 or 2.
        squared: whether to square the distance, for p = 2.

    Returns:
        [C, b, N].
    """
    if norm == 1:
        return manhattan(queries, candidates)
    return _euclidean(queries, candidates, squared)


def _euclidean(queries: tf.Tensor, candidates: tf.Tensor, squared: bool) -> tf.Tensor:
    """`pairwise_distance` for p = 2, with a gradient of two matrix products.

    |q - c|^2 = -2 q c + |q|^2 + |c|^2 is one product of vectors with two more columns, and its gradient one more
    product per side with one more column: no pass over [b, N] is spent on adding up.
    """

    @tf.custom_gradient
    def compute(queries: tf.Tensor, candidates: tf.Tensor) -> tuple:
        own, other = (tf.reduce_sum(x * x, axis=-1, keepdims=True) for x in (queries, candidates))
        left = tf.concat([-2.0 * queries, own, tf.ones_like(own)], axis=-1)
        right = tf.concat([candidates, tf.ones_like(other), other], axis=-1)
        # Rounding can push a difference of near-equal numbers below 0.
        squares = tf.maximum(tf.matmul(left, right, transpose_b=True), 0.0)
        distances = squares if squared else tf.sqrt(squares + _TINY)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            pull = 2.0 * upstream if squared else upstream / tf.maximum(distances, _ROUNDING)
            return _pulled(pull, queries, right[..., :-1], False), _pulled(pull, candidates, _with_ones(queries), True)

        return distances, gradient

    return compute(queries, candidates)


def _pulled(pull: tf.Tensor, own: tf.Tensor, others: tf.Tensor, transpose: bool) -> tf.Tensor:
    """Sum over the others of pull * (own - other), [..., n, d]; `others` [..., m, d + 1] end with ones."""
    sums = tf.matmul(pull, others, transpose_a=transpose)
    return own * sums[..., -1:] - sums[..., :-1]


def _with_ones(x: tf.Tensor) -> tf.Tensor:
    return tf.concat([x, tf.ones_like(x[..., :1])], axis=-1)
