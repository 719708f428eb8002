"""Category embeddings, the c^(1), ..., c^(k) of equation 9."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kdcn_tf.layers.embedding import EntityEmbedding


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class CategoryEmbedding(tf.keras.layers.Layer):
    """Embeddings of the levels of a candidate's category path, concatenated from the top level down.

    "Randomly initialised during training" (paper, III-B-3): a table of its own, not the pretrained one.
    A missing level is zeros.

    Args:
        id_range: entity ids [first, last) of the categories.
        dim: size of one level's embedding.
        seed: of the initial values.

    Input shape:
        int64 [B, C], padded with 0.

    Output shape:
        [B, C * dim].
    """

    def __init__(self, id_range: Sequence[int], dim: int = 16, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self._id_range, self.dim, self._seed = [int(i) for i in id_range], dim, seed
        self.embedding = EntityEmbedding({"category": self._id_range}, dim, seed=seed, name="levels")

    def build(self, input_shape):
        self.embedding.build()
        super().build(input_shape)

    def call(self, inputs):
        levels = self.embedding([inputs])[0]
        return tf.reshape(levels, [-1, int(inputs.shape[1]) * self.dim])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "id_range": self._id_range, "dim": self.dim, "seed": self._seed}
