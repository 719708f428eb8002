"""User-state representation, equations 4 and 5."""

from collections.abc import Sequence

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class UserState(tf.keras.layers.Layer):
    r"""Convolutions over the k behaviour kinds of a user.

    $$ b_i = \frac{1}{|b_i|} \sum_{e_j \in b_i} e_j, \qquad u = f_{CNN}(B * w + b), \quad
       B = [b_1, \ldots, b_k] \in R^{d \times k} $$

    The lookup makes the means b_i (`EntityEmbedding.look_up`); a kind without behaviours has b_i = 0. A kernel
    spans N neighbouring kinds and the whole embedding ("N x itemEmbeddingSize"), moves along the kinds and is
    not padded: k - N + 1 positions. Where the largest N exceeds k, B is filled up with empty kinds (zero columns)
    to N. The paper doesn't mention pooling: all positions of all filters are kept and, for all N, concatenated.
    f_CNN is a ReLU.

    Args:
        widths: N of each convolution.
        filters: kernels per width.

    Input shape:
        [B, k, d], the means.

    Output shape:
        [B, sum over N of (max(k, max N) - N + 1) * filters].
    """

    def __init__(self, widths: Sequence[int] = (2, 4), filters: int = 64, **kwargs):
        super().__init__(**kwargs)
        if not widths:
            raise ValueError("widths: expected at least one convolution")
        self.widths, self.filters = tuple(widths), filters

    def build(self, input_shape):
        _, kinds, dim = input_shape
        length = max(kinds, *self.widths)
        positions = [length - n + 1 for n in self.widths]
        self.kernels, self.biases = [], []
        for i, n in enumerate(self.widths):
            self.kernels.append(self.add_weight(f"kernel_{i}", [n, dim, self.filters], initializer="glorot_uniform"))
            self.biases.append(self.add_weight(f"bias_{i}", [self.filters], initializer="zeros"))
        self._kinds, self._length, self._positions = kinds, length, positions
        self.output_size = sum(positions) * self.filters
        super().build(input_shape)

    def call(self, inputs):
        # A kernel meets few places, so all its positions and all widths are one product.
        flat = tf.reshape(inputs, [-1, self._kinds * inputs.shape[2]])
        matrix = tf.concat([self._banded(kernel) for kernel in self.kernels], axis=1)
        bias = tf.concat([tf.tile(b, [p]) for b, p in zip(self.biases, self._positions, strict=True)], axis=0)
        return tf.nn.relu(tf.nn.bias_add(tf.matmul(flat, matrix), bias))

    def _banded(self, kernel: tf.Tensor) -> tf.Tensor:
        """[k * d, positions * filters]: the kernel at each position, zeros elsewhere; empty kinds left out."""
        width, dim, filters = kernel.shape
        shifted = [
            tf.pad(kernel, [[first, self._length - width - first], [0, 0], [0, 0]])[: self._kinds]
            for first in range(self._length - width + 1)
        ]
        return tf.concat([tf.reshape(part, [self._kinds * dim, filters]) for part in shifted], axis=1)

    def get_config(self):
        return {**super().get_config(), "widths": list(self.widths), "filters": self.filters}
