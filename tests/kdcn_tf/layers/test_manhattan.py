import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf.layers.manhattan import manhattan


def with_gradients(function, queries, candidates, upstream):
    with tf.GradientTape() as tape:
        tape.watch([queries, candidates])
        distances = function(queries, candidates)
    return [distances, *tape.gradient(distances, [queries, candidates], upstream)]


@pytest.mark.parametrize("function", [manhattan, tf.function(manhattan)], ids=["eager", "graph"])
def test_by_hand(function):
    # Gaps of the query [4, 4]: [3, 4] and [-1, 2], so 7 and 3; weights 1 and 10, signs [1, 1] and [-1, 1].
    queries, candidates = tf.constant([[[4.0, 4.0]]]), tf.constant([[[1.0, 0.0], [5.0, 2.0]]])
    found = with_gradients(function, queries, candidates, tf.constant([[[1.0, 10.0]]]))
    expected = [[[[7, 3]]], [[[-9, 11]]], [[[-1, -1], [10, -10]]]]
    for got, value in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 7, 3), (3, 8, 4, 12), (1, 9, 2, 17)])
def test_equals_separate_operations_whatever_the_sizes(shape):
    """Sizes below, at and above whole blocks of terms."""
    chunks, rows, others, dim = shape
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=size) for size in ((chunks, rows, dim), (chunks, others, dim), (chunks, rows, others))]
    tensors = [tf.constant(array, tf.float32) for array in drawn]
    expected = with_gradients(lambda q, c: tf.reduce_sum(tf.abs(q[:, :, None] - c[:, None]), axis=-1), *tensors)
    for got, value in zip(with_gradients(manhattan, *tensors), expected, strict=True):
        np.testing.assert_allclose(got, value, atol=1e-5)


def test_one_graph_serves_batches_of_different_sizes():
    function = tf.function(manhattan, input_signature=[tf.TensorSpec([1, None, 2])] * 2)
    for rows in (1, 3, 4):
        np.testing.assert_array_equal(function(tf.ones([1, rows, 2]), tf.zeros([1, 5, 2])), np.full((1, rows, 5), 2.0))


def test_no_gradient_is_left_at_a_distance_of_zero():
    point = tf.constant([[[1.0, 2.0]]])
    _, by_query, by_candidate = with_gradients(manhattan, point, tf.identity(point), tf.ones([1, 1, 1]))
    assert np.isfinite(by_query).all()
    assert np.isfinite(by_candidate).all()
