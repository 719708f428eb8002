"""Category embeddings, the c^(1), ..., c^(k) of equation 9."""

from typing import Any

import tensorflow as tf

from kdcn_tf.layers.embedding import EntityEmbedding, Spans


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class CategoryEmbedding(tf.keras.layers.Layer):
    """Embeddings of the levels of a candidate's category path, concatenated from the top level down.

    "Randomly initialised during training" (paper, III-B-3): a table of its own, not the pretrained one.
    A missing level is zeros.

    Args:
        id_ranges: entity ids of the categories.
        dim: size of one level's embedding.
        seed: of the initial values.

    Input shape:
        int64 [B, C], padded with 0.

    Output shape:
        [B, C * dim].
    """

    def __init__(self, id_ranges: Spans, dim: int = 16, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.dim, self._seed = dim, seed
        self.embedding = EntityEmbedding({"category": id_ranges}, dim, seed=seed, name="levels")

    def build(self, input_shape):
        self.embedding.build()
        super().build(input_shape)

    def call(self, inputs):
        levels = self.embedding([inputs])[0]
        return tf.reshape(levels, [-1, int(inputs.shape[1]) * self.dim])

    def get_config(self) -> dict[str, Any]:
        id_ranges = self.embedding.get_config()["ranges"]["category"]
        return {**super().get_config(), "id_ranges": id_ranges, "dim": self.dim, "seed": self._seed}
