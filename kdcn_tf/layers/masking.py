"""Padding: masks and means that ignore it."""

import math

import tensorflow as tf

from kdcn_tf.ckg import PAD_ID


def mask_of(ids: tf.Tensor) -> tf.Tensor:
    """Float tensor of the ids' shape: 1 for an entity (known or not), 0 for padding."""
    return tf.cast(ids != PAD_ID, tf.float32)


def masked_mean(vectors: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean over the entities of a list; zeros for an empty one.

    Args:
        vectors: float [..., n, d].
        mask: float [..., n], 1 or 0, or how much each vector counts.

    Returns:
        float [..., d].
    """
    total = tf.reduce_sum(vectors * mask[..., None], axis=-2)
    return tf.math.divide_no_nan(total, tf.reduce_sum(mask, axis=-1)[..., None])


def fullness(*lists: tf.Tensor) -> tf.Tensor:
    r"""How full each of n lists is, for which a mean of its vectors says nothing of how many they are.

    $$ \log(1 + \textrm{entities}) / \log(1 + \textrm{places}) $$

    Args:
        lists: ids, int64 [B, L] each, with an L of its own.

    Returns:
        float [B, n], from 0 to 1.
    """
    counts = tf.stack([tf.reduce_sum(mask_of(ids), axis=-1) for ids in lists], axis=-1)
    return tf.math.log1p(counts) / [math.log1p(int(ids.shape[-1])) for ids in lists]
