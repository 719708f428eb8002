"""Cross layers: equation 10 as the paper writes it, and TensorFlow Recommenders' two forms."""

import tensorflow as tf

VECTOR, MATRIX, LOW_RANK = "vector", "matrix", "low_rank"


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class VectorCrosses(tf.keras.layers.Layer):
    r"""Cross layers with a weight vector each (DCN, Wang et al., 2017), equation 10.

    $$ x^{(l+1)} = x^{(0)} ({x^{(l)}}^T w_l) + b_l + x^{(l)} $$

    Equation 10 writes "f(x)^T w": f is the network's input x^{(0)}, of which a layer adds a multiple. So
    x^{(l)} = \alpha_l x^{(0)} + \beta_l, with a number per example and a vector for all:

    $$ \alpha_{l+1} = \alpha_l (1 + {x^{(0)}}^T w_l) + \beta_l^T w_l, \qquad \beta_{l+1} = \beta_l + b_l, \qquad
       \alpha_0 = 1, \quad \beta_0 = 0 $$

    and any number of layers costs one narrow product and one pass over the features.

    Args:
        count: number of layers L; none passes the features on.

    Input shape:
        [B, n], x^{(0)}.

    Output shape:
        [B, n], x^{(L)}.
    """

    def __init__(self, count: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def build(self, input_shape):
        size = int(input_shape[-1])
        if self.count:
            self._add_weights(size)
        super().build(input_shape)

    def _add_weights(self, size: int) -> None:
        bound = (3.0 / size) ** 0.5
        uniform = tf.keras.initializers.RandomUniform(-bound, bound)
        self.kernels = self.add_weight(name="kernels", shape=[size, self.count], initializer=uniform)
        self.biases = self.add_weight(name="biases", shape=[self.count, size], initializer="zeros")

    def call(self, inputs):
        if not self.count:
            return inputs
        products = tf.unstack(tf.matmul(inputs, self.kernels), num=self.count, axis=1)
        before = tf.cumsum(self.biases, exclusive=True)  # beta_0 to beta_{L-1}
        constants = tf.unstack(tf.einsum("ln,nl->l", before, self.kernels), num=self.count)
        alpha = tf.ones_like(inputs[:, 0])
        for product, constant in zip(products, constants, strict=True):
            alpha = alpha * (1.0 + product) + constant
        return alpha[:, None] * inputs + tf.reduce_sum(self.biases, axis=0)

    def get_config(self):
        return {**super().get_config(), "count": self.count}


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class MatrixCrosses(tf.keras.layers.Layer):
    r"""Cross layers with a weight matrix each (DCN v2, Wang et al., 2020), `tfrs.layers.dcn.Cross`.

    $$ x^{(l+1)} = x^{(0)} \odot (W_l x^{(l)} + b_l) + x^{(l)}, \qquad W_l = U V \text{ of rank } r $$

    Args:
        count: number of layers L; none passes the features on.
        rank: r, or None for full matrices.

    Input shape:
        [B, n], x^{(0)}.

    Output shape:
        [B, n], x^{(L)}.
    """

    def __init__(self, count: int = 1, rank: int | None = None, **kwargs):
        super().__init__(**kwargs)
        import tensorflow_recommenders as tfrs  # the other cross layers don't need it

        self.count, self.rank = count, rank
        self.crosses = [tfrs.layers.dcn.Cross(projection_dim=rank) for _ in range(count)]

    def build(self, input_shape):
        size = int(input_shape[-1])
        for cross in self.crosses:
            cross.build(input_shape)
            denses = [cross._dense] if self.rank is None else [cross._dense_u, cross._dense_v]
            for dense, width in zip(denses, [size, self.rank], strict=False):
                dense.build([None, width])  # Cross would make its kernels at the first call
        super().build(input_shape)

    def call(self, inputs):
        crossed = inputs
        for cross in self.crosses:
            crossed = cross(inputs, crossed)
        return crossed

    def get_config(self):
        return {**super().get_config(), "count": self.count, "rank": self.rank}


def make_crosses(kind: str, count: int, rank: int) -> tf.keras.layers.Layer:
    """Cross layers by their name in `kdcn.cross`.

    Args:
        kind: "vector", "matrix" or "low_rank".
        count: their number.
        rank: of "low_rank".

    Raises:
        ValueError: unknown name.
    """
    if kind == VECTOR:
        return VectorCrosses(count)
    if kind in (MATRIX, LOW_RANK):
        return MatrixCrosses(count, rank if kind == LOW_RANK else None)
    raise ValueError(f"cross: expected {VECTOR}, {MATRIX} or {LOW_RANK}, got {kind!r}")
