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
        self.convolutions = [tf.keras.layers.Conv1D(filters, n, activation="relu") for n in self.widths]

    def build(self, input_shape):
        _, kinds, dim = input_shape
        self._missing_kinds = max(0, max(self.widths) - kinds)
        length = kinds + self._missing_kinds
        for convolution in self.convolutions:
            convolution.build([None, length, dim])
        self._positions = [length - n + 1 for n in self.widths]
        self.output_size = sum(self._positions) * self.filters
        super().build(input_shape)

    def call(self, inputs):
        means = tf.pad(inputs, [[0, 0], [0, self._missing_kinds], [0, 0]])
        outputs = [
            tf.reshape(convolution(means), [-1, positions * self.filters])
            for convolution, positions in zip(self.convolutions, self._positions, strict=True)
        ]
        return tf.concat(outputs, axis=1)

    def get_config(self):
        return {**super().get_config(), "widths": list(self.widths), "filters": self.filters}
