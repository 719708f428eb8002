"""Sums of absolute differences of every pair, compiled by XLA.

p = 1 has no matrix product, and as separate operations it writes [b, N, d] floats several times. Compiled, what is
added up stays in registers for a few terms and in a cache for the rest: a tenth of the time on a CPU.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

_UNROLLED = 4
"""Terms that are added in one pass. With 8, XLA makes arrays of them again: five times as slow."""


@tf.custom_gradient
def manhattan(queries: tf.Tensor, candidates: tf.Tensor) -> tuple:
    r"""Distances of every query to every candidate of its chunk.

    $$ D_{cij} = \sum_k |q_{cik} - c_{cjk}| $$

    At a difference of 0 the gradient's sign is -1, for the query and for the candidate.

    Args:
        queries: float [C, b, d].
        candidates: float [C, N, d].

    Returns:
        float [C, b, N].
    """
    # XLA can't compile what a tape would keep of the loop.
    queries, candidates = tf.stop_gradient(queries), tf.stop_gradient(candidates)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        turned = tf.transpose(upstream, [0, 2, 1])
        return _pulls(queries, candidates, upstream), _pulls(candidates, queries, turned)

    return _distances(queries, candidates), gradient


@tf.function(jit_compile=True, reduce_retracing=True)
def _distances(queries: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """`manhattan`, a column of the vectors after the other."""
    return _sum_over(
        lambda own, other: tf.abs(own[:, :, None] - other[:, None, :]),
        [tf.transpose(queries, [2, 0, 1]), tf.transpose(candidates, [2, 0, 1])],
        tf.concat([tf.shape(queries)[:2], tf.shape(candidates)[1:2]], axis=0),
    )


@tf.function(jit_compile=True, reduce_retracing=True)
def _pulls(own: tf.Tensor, others: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """Sum of upstream * sign(own - other), one of the others after the other.

    Args:
        own: float [C, n, d].
        others: float [C, m, d].
        upstream: float [C, n, m].

    Returns:
        float [C, n, d].
    """
    return _sum_over(
        lambda other, pull: tf.where(own > other[:, None, :], pull[:, :, None], -pull[:, :, None]),
        [tf.transpose(others, [1, 0, 2]), tf.transpose(upstream, [2, 0, 1])],
        tf.shape(own),
    )


def _sum_over(
    term: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], parts: Sequence[tf.Tensor], shape: tf.Tensor
) -> tf.Tensor:
    """Sum of `term` over the first axis of the parts. Behind their end there is padding, whose terms must be 0."""
    blocks = [_blocks(part) for part in parts]

    def add(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = zip(*(tf.unstack(block[index], _UNROLLED) for block in blocks), strict=True)
        return index + 1, total + sum(term(*row) for row in rows)

    count = tf.shape(blocks[0])[0]
    _, total = tf.while_loop(lambda index, _: index < count, add, (tf.constant(0), tf.zeros(shape, parts[0].dtype)))
    return total


def _blocks(rows: tf.Tensor) -> tf.Tensor:
    """[n, a, b] as [n / `_UNROLLED`, `_UNROLLED`, a, b], padded with zeros."""
    missing = -tf.shape(rows)[0] % _UNROLLED
    padded = tf.pad(rows, [[0, missing], [0, 0], [0, 0]])
    return tf.reshape(padded, tf.concat([[-1, _UNROLLED], tf.shape(rows)[1:]], axis=0))
