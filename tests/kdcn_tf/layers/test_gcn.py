import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf.layers.gcn import (
    GraphConvolution,
    TypedGraphConvolution,
    aggregate,
    aggregate_groups,
    group_by_type,
    sampled_weights,
)


def test_equation_1_on_a_path_of_three_nodes():
    # Path a - b - c: degrees 1, 2, 1. D^-1/2 A D^-1/2 has 1/sqrt(1*2) = 0.7071 on every edge.
    # X = [[1, 0], [0, 2], [4, 0]], W = [[1, 1], [0, 3]].
    # Row a: 0.7071 * [0, 2] = [0, 1.4142]; times W = [0, 4.2426].
    # Row b: 0.7071 * ([1, 0] + [4, 0]) = [3.5355, 0]; times W = [3.5355, 3.5355].
    # Row c: as a.
    x = tf.constant([[1.0, 0.0], [0.0, 2.0], [4.0, 0.0]])
    neighbors = tf.constant([[1, 0], [0, 2], [1, 0]])
    mask = tf.constant([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    degree = tf.constant([1.0, 2.0, 1.0])
    weights = sampled_weights(degree, tf.gather(degree, neighbors), mask)
    layer = GraphConvolution("sigmoid")
    layer.build([(None, 2), (None, 2)])
    layer.set_weights([np.array([[1.0, 1.0], [0.0, 3.0]])])
    linear = np.array([[0.0, 4.2426], [3.5355, 3.5355], [0.0, 4.2426]])
    got = layer((x, aggregate(x, neighbors, weights)))
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-linear)), atol=1e-4)


def test_residual_adds_the_node_itself():
    # One neighbour of degree 1: weight 1; identity and W = I give x_j; plus x_i.
    layer = GraphConvolution("identity", residual=True)
    layer.build([(None, 2), (None, 2)])
    layer.set_weights([np.eye(2)])
    got = layer((tf.constant([[1.0, 2.0]]), tf.constant([[10.0, 20.0]])))
    np.testing.assert_allclose(got, [[11.0, 22.0]])


def test_aggregation_and_its_gradient():
    # Node 0 takes 2 x_1 + 3 x_2, node 1 takes x_2 twice at 0.5 and, masked, x_0 at 0. With upstream [1, 10] and
    # [100, 1000], x_1 gets 2 * [1, 10], x_2 gets 3 * [1, 10] + [100, 1000], x_0 nothing.
    x = tf.constant([[7.0, 7.0], [1.0, 2.0], [3.0, 4.0]])
    neighbors, weights = tf.constant([[1, 2, 0], [2, 2, 0]]), tf.constant([[2.0, 3.0, 0.0], [0.5, 0.5, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        got = aggregate(x, neighbors, weights)
        total = tf.reduce_sum(got * [[1.0, 10.0], [100.0, 1000.0]])
    np.testing.assert_allclose(got, [[11, 16], [3, 4]])
    np.testing.assert_allclose(tape.gradient(total, x), [[0, 0], [2, 20], [103, 1030]])


def test_nothing_to_aggregate():
    empty = aggregate(tf.zeros([3, 2]), tf.zeros([0, 4], tf.int64), tf.zeros([0, 4]))
    assert empty.shape == [0, 2]


def test_sampled_weights_are_unbiased():
    # Node of degree 4 with neighbours of degrees 1, 4, 9, 16: equation 1's sum of ones is
    # 1/sqrt(4*1) + 1/sqrt(4*4) + 1/sqrt(4*9) + 1/sqrt(4*16) = 0.5 + 0.25 + 0.1667 + 0.125 = 1.0417.
    # Every sample of k = 2 of the 4 is equally likely: the mean over the 6 samples has to be the same.
    degrees = [1.0, 4.0, 9.0, 16.0]
    pairs = [(a, b) for i, a in enumerate(degrees) for b in degrees[i + 1 :]]
    weights = sampled_weights(tf.fill([6], 4.0), tf.constant(pairs), tf.ones([6, 2]))
    assert float(tf.reduce_mean(tf.reduce_sum(weights, axis=1))) == pytest.approx(1.0417, abs=1e-4)


def test_isolated_node_gets_zero_weights():
    weights = sampled_weights(tf.constant([0.0]), tf.constant([[0.0, 0.0]]), tf.zeros([1, 2]))
    np.testing.assert_array_equal(weights, [[0.0, 0.0]])


def test_neighbours_of_each_type_have_a_mean_and_a_matrix_of_their_own():
    # Rows of x: the nodes a and b, then u, v of type 0 and w of type 1. a has u, v, w; b has w, and padding.
    # a: W_0 doubles the mean of u and v, [2, 3], W_1 swaps w = [10, 20]: [4, 6] + [20, 10] = [24, 16]; b: [20, 10].
    x = tf.constant([[100.0, 200.0], [300.0, 400.0], [1.0, 2.0], [3.0, 4.0], [10.0, 20.0]])
    neighbors = tf.constant([[2, 4, 3], [4, 0, 0]], tf.int64)
    types, mask = tf.constant([[0, 1, 0], [1, 0, 0]], tf.int64), tf.constant([[1.0, 1, 1], [1, 0, 0]])
    layer = TypedGraphConvolution(3, "identity", residual=False)
    layer.build([(None, 2), (None, 2), (None,), (4,)])
    layer.set_weights([np.array([2 * np.eye(2), [[0, 1], [1, 0]], np.full((2, 2), 9)])])
    with tf.GradientTape() as tape:
        tape.watch(x)
        groups = group_by_type(types, mask, 3)
        got = layer((x[:2], aggregate_groups(x, neighbors, groups), groups.node, groups.sizes))
    np.testing.assert_allclose(got, [[24, 16], [20, 10]])
    assert groups.sizes.numpy().tolist() == [1, 2, 0, 1]  # type 0 of a; type 1 of a and b; none of type 2; b's padding
    # Of a sum of the outputs: half of W_0 for u and v, W_1 from a and from b for w; padding gives x_0 nothing.
    np.testing.assert_allclose(tape.gradient(got, x), [[0, 0], [0, 0], [1, 1], [1, 1], [2, 2]])


def test_isolated_nodes_and_no_nodes_have_no_groups():
    layer = TypedGraphConvolution(2)
    layer.build([(None, 2), (None, 2), (None,), (3,)])
    for count in (0, 2):
        x, pads = tf.ones([count, 2]), tf.zeros([count, 3], tf.int64)
        groups = group_by_type(pads, tf.zeros([count, 3]), 2)
        got = layer((x, aggregate_groups(tf.ones([1, 2]), pads, groups), groups.node, groups.sizes))
        np.testing.assert_allclose(got, x)
