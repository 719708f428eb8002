"""The wide part of Wide & Deep (Cheng et al., 2016): weights of single ids and of hashed pairs of ids."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kdcn_tf.data.lookup import gather_rows
from kdcn_tf.layers.embedding import EntityEmbedding, Spans
from kdcn_tf.layers.masking import mask_of, masked_mean

# Odd numbers whose products with ids fill 64 bits (from SplitMix64), for the left id, the right id, and the pair.
_LEFT, _RIGHT, _PAIR = -7046029254386353131, -4658895280553007687, -7723592293110705685


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class IdWeights(tf.keras.layers.Layer):
    """A linear model over one-hot ids of one entity type: a weight per id and role, 0 at first.

    An id has a weight of its own in each role that it can play, an item for example as the candidate and in each
    list of behaviours. A list counts as the mean of its ids. Padding counts nothing; unknown ids share a weight.

    Args:
        id_ranges: of the entity type.
        roles: number of inputs.

    Input shape:
        Tuple of `roles` int64 tensors [B] or [B, n], padded with 0.

    Output shape:
        List of `roles` sums [B].
    """

    def __init__(self, id_ranges: Spans, roles: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.roles = roles
        self.weights_of = EntityEmbedding({"ids": id_ranges}, roles, scale=0.0, name="ids")

    def build(self, input_shape=None):
        self.weights_of.build()
        super().build(input_shape)

    def call(self, inputs):
        lists = [ids[:, None] if ids.shape.rank == 1 else ids for ids in tf.nest.flatten(inputs)]
        found = self.weights_of(lists)
        return [masked_mean(w, mask_of(ids))[:, role] for role, (w, ids) in enumerate(zip(found, lists, strict=True))]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "id_ranges": self.weights_of.get_config()["ranges"]["ids"], "roles": self.roles}


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class HashedCrosses(tf.keras.layers.Layer):
    """A linear model over pairs of ids, hashed into one table of bounded size: a weight per bucket, 0 at first.

    For each of the crosses, all pairs of an id on the left and an id on the right count, as their mean; a pair
    with padding doesn't. The hash is arithmetic on the ids, so it is the same everywhere and in every process.

    Args:
        crosses: (left, right) places of inputs.
        buckets: rows of the table, shared by all crosses.

    Input shape:
        Tuple of int64 tensors [B, n], padded with 0.

    Output shape:
        [B].
    """

    def __init__(self, crosses: Sequence[Sequence[int]], buckets: int, **kwargs):
        super().__init__(**kwargs)
        self.crosses, self.buckets = [(left, right) for left, right in crosses], buckets

    def build(self, input_shape=None):
        self.table = self.add_weight("table", [self.buckets, 1], initializer="zeros")
        super().build(input_shape)

    def call(self, inputs):
        pairs, masks, sizes = [], [], []
        for number, (left, right) in enumerate(self.crosses):
            one, other = inputs[left][:, :, None], inputs[right][:, None]
            sizes.append(int(one.shape[1]) * int(other.shape[2]))
            pairs.append(tf.reshape(self.bucket_of(number, one, other), [-1, sizes[-1]]))
            masks.append(tf.reshape(mask_of(one) * mask_of(other), [-1, sizes[-1]]))
        buckets = tf.concat(pairs, axis=1)
        distinct, index = tf.unique(tf.reshape(buckets, [-1]))
        weights = tf.reshape(tf.gather(gather_rows(self.table, distinct), index), [-1, sum(sizes), 1])
        parts = zip(tf.split(weights, sizes, axis=1), masks, strict=True)
        return tf.add_n([masked_mean(weight, mask)[:, 0] for weight, mask in parts])

    def bucket_of(self, cross: int, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        """Bucket of each pair of the cross of that number: int64, in the ids' common shape."""
        mixed = left * _LEFT + right * _RIGHT + (cross + 1) * tf.constant(_PAIR, tf.int64)
        mixed = tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, tf.constant(32, tf.int64))) * _PAIR
        mixed = tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, tf.constant(29, tf.int64)))
        return tf.math.floormod(mixed, tf.constant(self.buckets, tf.int64))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "crosses": [list(pair) for pair in self.crosses], "buckets": self.buckets}
