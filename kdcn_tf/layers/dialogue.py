"""Dialogue-interaction representation, equations 6 to 8."""

from collections.abc import Sequence

import tensorflow as tf


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
        places = tf.reshape(tf.range(tf.size(mask)), tf.shape(mask))
        return self.attend_placed(tf.reshape(vectors, [-1, self._dim]), places, mask)

    def attend_placed(self, vectors: tf.Tensor, places: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`attend` to vectors that occur in several places, each projected once.

        Args:
            vectors: [U, d].
            places: int32 [B, n], which of the vectors stands where.
            mask: [B, n].
        """
        # A head's part of a projected vector is a row, so what is fetched lies as the products need it.
        rows = places[:, None, :] * self.heads + tf.range(self.heads)[None, :, None]
        m_a = self.m_a * (self._dim / self.heads) ** -0.5 if self.scale else self.m_a
        left, right, values = (self._fetched(vectors, weight, rows) for weight in (m_a, self.m_b, self.w_v))
        filled = mask[:, None, None, :]
        weights = masked_softmax(tf.matmul(left, right, transpose_b=True), filled)  # [B, h, n, n]
        mixed = tf.matmul(self._wanted(weights, mask), values)  # [B, h, rows wanted, d / h]
        return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, self.output_size]), weights * filled

    def _fetched(self, vectors: tf.Tensor, weight: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """[B, h, n, d / h]: the vectors times a matrix, laid out by places."""
        return tf.gather(tf.reshape(tf.matmul(vectors, weight), [-1, self._dim // self.heads]), rows)

    def _wanted(self, weights: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """[B, h, rows, n]: the weights of every place that isn't padding, or their means over each list."""
        if self.lists is None:
            return weights * mask[:, None, :, None]
        members = tf.repeat(tf.eye(len(self.lists)), self.lists, axis=1)[None] * mask[:, None, :]
        shares = tf.math.divide_no_nan(members, tf.reduce_sum(members, axis=-1, keepdims=True))
        return tf.matmul(shares[:, None], weights)

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "scale": self.scale,
            "lists": self.lists and list(self.lists),
        }


def masked_softmax(scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis among the places where `mask` is 1; equal weights, which say nothing, if none is."""
    return tf.nn.softmax(scores + (mask - 1) * (scores.dtype.max / 2))
