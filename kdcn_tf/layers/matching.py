"""Products of two entity vectors: how well a candidate fits its context. Not in the paper."""

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
