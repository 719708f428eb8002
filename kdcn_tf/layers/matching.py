"""Products of entity vectors: how well a candidate fits its context. Not in the paper."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class Match(tf.keras.layers.Layer):
    r"""Element-wise product of two projected vectors.

    $$ z = (P x) \odot (Q y) $$

    A weighted sum of z is a bilinear form x^T W y of rank m, which a plain product x \odot y (a diagonal
    W) can't express: TransE puts a user's tags and an item's properties in different directions.

    Args:
        dim: m.

    Input shape:
        `(x, y)`: [B, d] each.

    Output shape:
        [B, m].
    """

    def __init__(self, dim: int = 32, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim

    def build(self, input_shape):
        left, right = (int(shape[-1]) for shape in input_shape)
        self.left = self.add_weight("left", [left, self.dim], initializer="glorot_uniform")
        self.right = self.add_weight("right", [right, self.dim], initializer="glorot_uniform")
        super().build(input_shape)

    def call(self, inputs):
        x, y = inputs
        return tf.matmul(x, self.left) * tf.matmul(y, self.right)

    def get_config(self):
        return {**super().get_config(), "dim": self.dim}


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class Similarities(tf.keras.layers.Layer):
    r"""Scaled dot products of what sets vectors apart from others of their entity type.

    $$ (x - \mu)^T (y_i - \mu_i) / \sqrt d $$ where mu is the mean vector of the type.

    No weight has to be learned before they say something, so a few hundred clicks suffice to use them. Without the
    means they would be large numbers that hardly vary: most of a vector is what all entities of its type share.

    Args:
        own: entity type of x.
        others: that of each y_i.

    Input shape:
        `(x, y, present)`: [B, d], [B, n, d] and [B, n], 0 where y_i is no vector.

    Output shape:
        [B, n], 0 where y_i is no vector.
    """

    def __init__(self, own: str, others: Sequence[str], **kwargs):
        super().__init__(**kwargs)
        self.types = [own, *others]

    def build(self, input_shape):
        shape = [len(self.types), int(input_shape[0][-1])]
        self.centers = self.add_weight("centers", shape, initializer="zeros", trainable=False)
        super().build(input_shape)

    @property
    def output_size(self) -> int:
        """How many similarities there are, n."""
        return len(self.types) - 1

    def assign_center(self, entity_type: str, mean: np.ndarray) -> None:
        """Sets mu [d] of a type; before, it is 0."""
        centers = self.centers.numpy()
        centers[[name == entity_type for name in self.types]] = mean
        self.centers.assign(centers)

    def call(self, inputs):
        x, others, present = inputs
        centers = tf.convert_to_tensor(self.centers)
        products = tf.linalg.matvec(others - centers[1:], x - centers[0])
        return present * products * int(x.shape[-1]) ** -0.5

    def get_config(self):
        own, *others = self.types
        return {**super().get_config(), "own": own, "others": others}
