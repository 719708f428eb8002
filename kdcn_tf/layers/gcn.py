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


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class GraphConvolution(tf.keras.layers.Layer):
    r"""One GCN layer, equation 1 of the paper (Kipf and Welling's GCN, without added self-loops).

    $$ X^{(l+1)} = \sigma(\hat D^{-1/2} \hat A \hat D^{-1/2} X^{(l)} W^{(l)}) $$

    row by row over sampled neighbours; with `residual`, X^{(l)} of the node itself is added to the result.

    Input shape:
        `(x, neighbors, weights)`: [n, d], [n, k, d] and [n, k] (see `sampled_weights`).

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
        x, neighbors, weights = inputs
        gathered = tf.einsum("nk,nkd->nd", weights, neighbors)
        out = self.activation(tf.matmul(gathered, self.kernel))
        return x + out if self.residual else out

    def get_config(self):
        return {**super().get_config(), "activation": self._activation_name, "residual": self.residual}
