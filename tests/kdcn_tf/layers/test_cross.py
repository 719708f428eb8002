import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from kdcn_tf.layers.cross import MatrixCrosses, VectorCrosses

X = tf.constant([[1.0, 2.0], [0.0, 3.0]])


def crossed(layer, *weights):
    layer.build(X.shape)
    layer.set_weights([np.array(weight) for weight in weights])
    return layer(X).numpy()


def test_equation_10():
    # w = [2, 1], b = [10, 20]. Row 1: x^T w = 2 + 2 = 4; x_0 * 4 + b + x = [4 + 10 + 1, 8 + 20 + 2] = [15, 30].
    # Row 2: x^T w = 3; [0 + 10 + 0, 9 + 20 + 3] = [10, 32].
    np.testing.assert_allclose(crossed(VectorCrosses(1), [[2.0], [1.0]], [[10.0, 20.0]]), [[15.0, 30.0], [10.0, 32.0]])


def test_equation_10_twice():
    # After the layer above w = [1, -1], b = [0, 1]. Row 1: 15 - 30 = -15; [-15 + 0 + 15, -30 + 1 + 30] = [0, 1].
    # Row 2: 10 - 32 = -22; [0 + 0 + 10, -66 + 1 + 32] = [10, -33].
    kernels, biases = [[2.0, 1.0], [1.0, -1.0]], [[10.0, 20.0], [0.0, 1.0]]
    np.testing.assert_allclose(crossed(VectorCrosses(2), kernels, biases), [[0.0, 1.0], [10.0, -33.0]])


def test_many_vector_layers_are_equation_10_over_and_over():
    rng = np.random.default_rng(0)
    x0, kernels, biases = rng.normal(size=(5, 6)), rng.normal(size=(6, 5)), rng.normal(size=(5, 6))
    x = x0
    for w, b in zip(kernels.T, biases, strict=True):
        x = x0 * (x @ w)[:, None] + b + x
    layer = VectorCrosses(5)
    layer.build(x0.shape)
    layer.set_weights([kernels, biases])
    np.testing.assert_allclose(layer(tf.constant(x0, tf.float32)), x, rtol=1e-4)


@pytest.mark.parametrize("rank", [None, 2])
def test_matrix_layers_are_those_of_tensorflow_recommenders_over_and_over(rank):
    rng = np.random.default_rng(0)
    x0 = tf.constant(rng.normal(size=(5, 6)), tf.float32)
    ours, weights, x = MatrixCrosses(2, rank), [], x0
    for _ in range(2):
        theirs = tfrs.layers.dcn.Cross(projection_dim=rank)
        theirs(x0, x)
        theirs.set_weights([rng.normal(size=weight.shape) for weight in theirs.weights])
        x = theirs(x0, x)
        weights += theirs.get_weights()
    ours.build(x0.shape)
    ours.set_weights(weights)
    np.testing.assert_array_equal(ours(x0), x)


def test_matrix_form():
    # Row vectors times [[1, 0], [2, 1]]: row 1 [1 + 4, 2] = [5, 2], row 2 [6, 3]; plus b = [1, 0]: [6, 2], [7, 3].
    # Times x_0, plus x: [6 * 1 + 1, 2 * 2 + 2] = [7, 6] and [7 * 0 + 0, 3 * 3 + 3] = [0, 12].
    np.testing.assert_allclose(
        crossed(MatrixCrosses(1), [[1.0, 0.0], [2.0, 1.0]], [1.0, 0.0]), [[7.0, 6.0], [0.0, 12.0]]
    )


@pytest.mark.parametrize("layer", [VectorCrosses(0), MatrixCrosses(0)])
def test_no_layers_pass_the_features_on(layer):
    np.testing.assert_array_equal(layer(X), X)
    assert not layer.weights
