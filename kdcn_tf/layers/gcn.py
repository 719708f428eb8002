"""Graph convolution over sampled neighbours."""

from collections.abc import Sequence
from typing import NamedTuple

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


def types_of(ids: tf.Tensor, type_starts: Sequence[Sequence[int]]) -> tf.Tensor:
    """Number of each entity's type, int64 in the shape of `ids`; PAD_ID has any.

    Args:
        ids: int64 [...].
        type_starts: (first id, number of the type) of every id range, by id.
    """
    firsts, numbers = (tf.constant(column, tf.int64) for column in zip(*type_starts, strict=True))
    place = tf.searchsorted(firsts, tf.reshape(ids, [-1]), side="right") - 1
    return tf.reshape(tf.gather(numbers, tf.maximum(place, 0)), tf.shape(ids))


class TypeGroups(NamedTuple):
    """The neighbours of n nodes, those of one node and one type together, in the order of types.

    Attributes:
        group: int [n, k], group of each neighbour; padding has groups of its own, behind all others.
        weights: float [n, k], 1 over the size of the neighbour's group, 0 for padding.
        node: int64 [g], node of each group, padding's left out.
        sizes: int32 [types + 1], groups of each type, then of padding.
    """

    group: tf.Tensor
    weights: tf.Tensor
    node: tf.Tensor
    sizes: tf.Tensor


def group_by_type(types: tf.Tensor, mask: tf.Tensor, num_types: int) -> TypeGroups:
    """Groups neighbours by node and type.

    Args:
        types: int64 [n, k], type of each neighbour, in [0, num_types).
        mask: float [n, k], 1 where there is a neighbour.
        num_types: T.
    """
    nodes = tf.shape(types, tf.int64)[0]
    kind = tf.where(mask > 0, types, tf.constant(num_types, tf.int64))
    keys = tf.reshape(kind * nodes + tf.range(nodes)[:, None], [-1])
    found, index = tf.unique(keys)
    order = tf.argsort(found)
    found = tf.gather(found, order)
    group = tf.gather(tf.math.invert_permutation(order), index)
    flat = tf.reshape(mask, [-1])
    members = tf.math.unsorted_segment_sum(flat, group, tf.size(found))
    weights = tf.math.divide_no_nan(flat, tf.gather(members, group))
    ends = tf.searchsorted(found, tf.range(1, num_types + 1, dtype=tf.int64) * nodes)
    sizes = tf.concat([ends, [tf.size(found)]], axis=0) - tf.concat([[0], ends], axis=0)
    shape = tf.shape(types)
    node = found[: ends[-1]] % tf.maximum(nodes, 1)
    return TypeGroups(tf.reshape(group, shape), tf.reshape(weights, shape), node, sizes)


def aggregate_groups(x: tf.Tensor, neighbors: tf.Tensor, groups: TypeGroups) -> tf.Tensor:
    """Mean of each group's neighbours.

    Args:
        x: float [m, d].
        neighbors: int [n, k], rows of x.
        groups: of the neighbours.

    Returns:
        float [g, d], padding's groups among them, as zeros, last.
    """
    column = tf.reshape(groups.group, [-1, 1])
    return _product(
        x, column, tf.reshape(neighbors, [-1, 1]), tf.reshape(groups.weights, [-1]), tf.reduce_sum(groups.sizes)
    )


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
    count, sampled = tf.unstack(tf.shape(neighbors))
    nodes = tf.repeat(tf.range(count), sampled)[:, None]
    return _product(x, nodes, tf.reshape(neighbors, [-1, 1]), tf.reshape(weights, [-1]), count)


@tf.custom_gradient
def _product(x: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, weights: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """A sparse matrix of `count` rows times x; only x gets a gradient."""
    places = tf.concat([tf.cast(rows, tf.int64), tf.cast(columns, tf.int64)], axis=1)
    shape = tf.stack([tf.cast(count, tf.int64), tf.shape(x, tf.int64)[0]])
    matrix = tf.SparseTensor(places, weights, shape)

    def gradient(upstream: tf.Tensor) -> tuple:
        return tf.sparse.sparse_dense_matmul(matrix, upstream, adjoint_a=True), None, None, None, None

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


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class TypedGraphConvolution(tf.keras.layers.Layer):
    r"""A GCN layer that treats the neighbours of each entity type apart; not in the paper.

    $$ x_i' = \sigma(\sum_t W_t \frac{1}{|N_t(i)|} \sum_{j \in N_t(i)} x_j) $$

    R-GCN (Schlichtkrull et al., 2018, equation 2) with the neighbour's type in place of the relation. In equation 1 of
    the paper a user's three tags vanish among hundreds of sessions, and what everybody shares (a tag of high degree)
    counts least; here each type has its mean and a matrix of its own. With `residual`, x_i is added to the result.

    Args:
        types: T, entity types.
        activation: sigma.
        residual: whether to add the layer's input.

    Input shape:
        `(x, means, node, sizes)`: [n, d] the nodes, [g, d] what `aggregate_groups` made of their neighbours, and
        `node` and `sizes` of its `TypeGroups`.

    Output shape:
        [n, d].
    """

    def __init__(self, types: int, activation: str = "identity", residual: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.types, self.residual = types, residual
        self.activation = tf.keras.activations.get("linear" if activation == "identity" else activation)
        self._activation_name = activation

    def build(self, input_shape):
        dim = int(input_shape[0][-1])
        bound = (3.0 / dim) ** 0.5  # Glorot's, of each matrix
        initializer = tf.keras.initializers.RandomUniform(-bound, bound)
        self.kernel = self.add_weight("kernel", [self.types, dim, dim], initializer=initializer)
        super().build(input_shape)

    def call(self, inputs):
        x, means, node, sizes = inputs
        parts = tf.split(means, sizes, num=self.types + 1)[:-1]
        turned = [tf.matmul(part, kernel) for part, kernel in zip(parts, tf.unstack(self.kernel), strict=True)]
        out = self.activation(tf.math.unsorted_segment_sum(tf.concat(turned, axis=0), node, tf.shape(x)[0]))
        return x + out if self.residual else out

    def get_config(self):
        own = {"types": self.types, "activation": self._activation_name, "residual": self.residual}
        return {**super().get_config(), **own}
