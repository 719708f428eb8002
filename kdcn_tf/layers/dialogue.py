"""Dialogue-interaction representation, equations 6 to 8."""

from collections.abc import Sequence

import tensorflow as tf

from kdcn_tf.layers.masking import masked_mean


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class DialogueInteraction(tf.keras.layers.Layer):
    r"""Multi-head self-attention over the keywords of query and title.

    $$ a_{ij} = \frac{\exp((M_a w_i) \cdot (M_b w_j))}{\sum_t \exp((M_a w_i) \cdot (M_b w_t))}, \qquad
       \tilde w_i = \sum_j a_{ij} W_v w_j, \qquad d = [\tilde w_1, \ldots, \tilde w_{M+N}] $$

    With h heads, each works on its own d / h rows of M_a, M_b and W_v, and their results are
    concatenated. The paper has neither 1/sqrt(d/h) (`scale`), nor bias, nor output projection. Padding is
    never attended to, and its own rows are zeros; without any keyword everything is zero.

    Args:
        heads: h; has to divide d.
        scale: divide the scores by sqrt(d / h).
        lists: lengths of the lists that the places consist of, (M, N): the output has the mean of each list's
            \tilde w_i. None, as in the paper, lays all of them side by side.

    Input shape:
        `(vectors, mask)`: [B, n, d] and [B, n], n = M + N.

    Output shape:
        [B, n * d], or with `lists` [B, number of lists * d].
    """

    def __init__(self, heads: int = 4, scale: bool = False, lists: Sequence[int] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.scale, self.lists = heads, scale, None if lists is None else tuple(lists)

    def build(self, input_shape):
        _, self._length, self._dim = input_shape[0]
        if self.lists is not None and sum(self.lists) != self._length:
            raise ValueError(f"lists: {list(self.lists)} don't make up {self._length} places")
        self.output_size = (self._length if self.lists is None else len(self.lists)) * self._dim
        if self._dim % self.heads:
            raise ValueError(f"heads: {self.heads} heads don't divide the embedding size {self._dim}")
        shape = [self._dim, self._dim]
        self.m_a = self.add_weight("m_a", shape, initializer="glorot_uniform")
        self.m_b = self.add_weight("m_b", shape, initializer="glorot_uniform")
        self.w_v = self.add_weight("w_v", shape, initializer="glorot_uniform")
        super().build(input_shape)

    def call(self, inputs):
        return self.attend(inputs)[0]

    def attend(self, inputs) -> tuple[tf.Tensor, tf.Tensor]:
        """The output, and the weights a that it was made with.

        Returns:
            The output, and [B, h, n, n]: how much of its representation each place (third axis) takes from each (last
            axis); a row sums to 1, without any keyword to 0.
        """
        vectors, mask = inputs
        # One product of all places with all three matrices: a product per example would have a gradient per example.
        places = tf.reshape(vectors, [-1, self._dim])
        projected = tf.matmul(places, tf.concat([self.m_a, self.m_b, self.w_v], axis=1))
        left, right, values = (self._split(part) for part in tf.split(projected, 3, axis=1))
        scores = tf.matmul(left, right, transpose_b=True)  # [B, h, n, n]
        if self.scale:
            scores /= (self._dim / self.heads) ** 0.5
        weights = masked_softmax(scores, mask[:, None, None, :])
        mixed = tf.transpose(tf.matmul(weights, values), [0, 2, 1, 3])  # [B, n, h, d / h]
        return self._joined(tf.reshape(mixed, [-1, self._length, self._dim]), mask), weights

    def _joined(self, rows: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Rows [B, n, d] of all places, or means of lists, side by side."""
        if self.lists is None:
            flat = tf.reshape(rows, [-1, self._length * self._dim])
            return flat * tf.repeat(mask, self._dim, axis=1)
        parts = zip(tf.split(rows, list(self.lists), axis=1), tf.split(mask, list(self.lists), axis=1), strict=True)
        return tf.concat([masked_mean(*part) for part in parts], axis=1)

    def _split(self, x: tf.Tensor) -> tf.Tensor:
        """[B * n, d] -> [B, h, n, d / h]."""
        heads = tf.reshape(x, [-1, self._length, self.heads, self._dim // self.heads])
        return tf.transpose(heads, [0, 2, 1, 3])

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "scale": self.scale,
            "lists": self.lists and list(self.lists),
        }


def masked_softmax(scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis among the places where `mask` is 1; zeros where none is."""
    scores = tf.where(mask > 0, scores, scores.dtype.min / 2)
    weights = tf.exp(scores - tf.stop_gradient(tf.reduce_max(scores, axis=-1, keepdims=True))) * mask
    return tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=-1, keepdims=True))
