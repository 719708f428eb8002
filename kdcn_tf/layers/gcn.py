"""Graph convolution over sampled neighbours."""

import tensorflow as tf


def sampled_weights(degree: tf.Tensor, neighbor_degree: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    r"""Weights that make a sum over k sampled neighbours an unbiased estimate of equation 1's sum.

    $$ w_{ij} = \frac{deg(i)}{k_i} \frac{1}{\sqrt{deg(i) deg(j)}} $$ where k_i neighbours of i were sampled.

    Args:
        degree: float [n], true degree of the node.
        neighbor_degree: float [n, k], true degree of each sampled neighbour.
        mask: float [n, k], 1 where there is a neighbour.

    Returns:
        float [n, k], 0 where masked; a node without neighbours gets zeros, not NaN.
    """
    sampled = tf.reduce_sum(mask, axis=1, keepdims=True)
    share = tf.math.divide_no_nan(degree[:, None], sampled)
    return mask * tf.math.divide_no_nan(share, tf.sqrt(degree[:, None] * neighbor_degree))


@tf.custom_gradient
def aggregate(x: tf.Tensor, neighbors: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted sum of each node's neighbours, as a sparse matrix times x.

    Gathering the neighbours first would write, and in the gradient sum up, [n, k, d] floats: most of a step.
    The weights get no gradient: they are the graph's.

    Args:
        x: float [m, d].
        neighbors: int [n, k], rows of x.
        weights: float [n, k] (see `sampled_weights`).

    Returns:
        float [n, d].
    """
    count, sampled = tf.unstack(tf.shape(neighbors, tf.int64))
    nodes = tf.repeat(tf.range(count), sampled)
    places = tf.stack([nodes, tf.reshape(tf.cast(neighbors, tf.int64), [-1])], axis=1)
    matrix = tf.SparseTensor(places, tf.reshape(weights, [-1]), tf.stack([count, tf.shape(x, tf.int64)[0]]))

    def gradient(upstream: tf.Tensor) -> tuple:
        return tf.sparse.sparse_dense_matmul(matrix, upstream, adjoint_a=True), None, None

    return tf.sparse.sparse_dense_matmul(matrix, x), gradient


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class GraphConvolution(tf.keras.layers.Layer):
    r"""One GCN layer, equation 1 of the paper (Kipf and Welling's GCN, without added self-loops).

    $$ X^{(l+1)} = \sigma(\hat D^{-1/2} \hat A \hat D^{-1/2} X^{(l)} W^{(l)}) $$

    row by row over sampled neighbours; with `residual`, X^{(l)} of the node itself is added to the result.

    Input shape:
        `(x, gathered)`: [n, d] each, the nodes themselves and what `aggregate` made of their neighbours.

    Output shape:
        [n, d].
    """

    def __init__(self, activation: str = "sigmoid", residual: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.activation = tf.keras.activations.get("linear" if activation == "identity" else activation)
        self._activation_name = activation
        self.residual = residual

    def build(self, input_shape):
        dim = int(input_shape[0][-1])
        self.kernel = self.add_weight("kernel", [dim, dim], initializer="glorot_uniform")
        super().build(input_shape)

    def call(self, inputs):
        x, gathered = inputs
        out = self.activation(tf.matmul(gathered, self.kernel))
        return x + out if self.residual else out

    def get_config(self):
        return {**super().get_config(), "activation": self._activation_name, "residual": self.residual}
