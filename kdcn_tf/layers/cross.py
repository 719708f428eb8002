"""Cross layers: equation 10 as the paper writes it, and TensorFlow Recommenders' two forms."""

import tensorflow as tf

VECTOR, MATRIX, LOW_RANK = "vector", "matrix", "low_rank"


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class VectorCross(tf.keras.layers.Layer):
    r"""Cross layer with a weight vector (DCN, Wang et al., 2017), equation 10.

    $$ x^{(l+1)} = x^{(0)} ({x^{(l)}}^T w_l) + b_l + x^{(l)} $$

    Equation 10 writes "f(x)^T w": f is the network's input x^{(0)}, of which the layer returns a multiple.

    Input shape:
        `(x0, x)`: [B, n] each.

    Output shape:
        [B, n].
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def build(self, input_shape):
        size = int(input_shape[0][-1])
        bound = (3.0 / size) ** 0.5
        self.kernel = self.add_weight("kernel", [size], initializer=tf.keras.initializers.RandomUniform(-bound, bound))
        self.bias = self.add_weight("bias", [size], initializer="zeros")
        super().build(input_shape)

    def call(self, inputs):
        x0, x = inputs
        return x0 * tf.linalg.matvec(x, self.kernel)[:, None] + self.bias + x

    def get_config(self):
        return super().get_config()


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class MatrixCross(tf.keras.layers.Layer):
    r"""Cross layer with a weight matrix (DCN v2, Wang et al., 2020), `tfrs.layers.dcn.Cross`.

    $$ x^{(l+1)} = x^{(0)} \odot (W_l x^{(l)} + b_l) + x^{(l)}, \qquad W_l = U V \text{ of rank } r $$

    Args:
        rank: r, or None for a full matrix.

    Input shape:
        `(x0, x)`: [B, n] each.

    Output shape:
        [B, n].
    """

    def __init__(self, rank: int | None = None, **kwargs):
        super().__init__(**kwargs)
        import tensorflow_recommenders as tfrs  # the other cross layer doesn't need it

        self.rank = rank
        self.cross = tfrs.layers.dcn.Cross(projection_dim=rank)

    def build(self, input_shape):
        self.cross.build(input_shape[0])
        size = int(input_shape[0][-1])
        denses = [self.cross._dense] if self.rank is None else [self.cross._dense_u, self.cross._dense_v]
        for dense, width in zip(denses, [size, self.rank], strict=False):
            dense.build([None, width])  # Cross would make its kernels at the first call
        super().build(input_shape)

    def call(self, inputs):
        x0, x = inputs
        return self.cross(x0, x)

    def get_config(self):
        return {**super().get_config(), "rank": self.rank}


def make_cross(kind: str, rank: int) -> tf.keras.layers.Layer:
    """A cross layer by its name in `kdcn.cross`.

    Args:
        kind: "vector", "matrix" or "low_rank".
        rank: of "low_rank".

    Raises:
        ValueError: unknown name.
    """
    if kind == VECTOR:
        return VectorCross()
    if kind in (MATRIX, LOW_RANK):
        return MatrixCross(rank if kind == LOW_RANK else None)
    raise ValueError(f"cross: expected {VECTOR}, {MATRIX} or {LOW_RANK}, got {kind!r}")
