import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from kdcn_tf.layers.cross import MatrixCross, VectorCross

X0, X = tf.constant([[1.0, 2.0], [0.0, 3.0]]), tf.constant([[3.0, -1.0], [1.0, 1.0]])


def crossed(layer, *weights):
    layer.build([X0.shape, X.shape])
    layer.set_weights([np.array(weight) for weight in weights])
    return layer((X0, X)).numpy()


def test_equation_10():
    # w = [2, 1], b = [10, 20]. Row 1: x^T w = 6 - 1 = 5; x_0 * 5 + b + x = [5 + 10 + 3, 10 + 20 - 1] = [18, 29].
    # Row 2: x^T w = 3; [0 + 10 + 1, 9 + 20 + 1] = [11, 30].
    np.testing.assert_allclose(crossed(VectorCross(), [2.0, 1.0], [10.0, 20.0]), [[18.0, 29.0], [11.0, 30.0]])


def test_matrix_form():
    # Row vectors times [[1, 0], [2, 1]]: row 1 [3 - 2, -1] = [1, -1], row 2 [3, 1]; plus b = [1, 0]: [2, -1], [4, 1].
    # Times x_0, plus x: [1 * 2 + 3, 2 * -1 - 1] = [5, -3] and [0 * 4 + 1, 3 * 1 + 1] = [1, 4].
    np.testing.assert_allclose(crossed(MatrixCross(), [[1.0, 0.0], [2.0, 1.0]], [1.0, 0.0]), [[5.0, -3.0], [1.0, 4.0]])


@pytest.mark.parametrize("rank", [None, 2])
def test_equals_tensorflow_recommenders(rank):
    rng = np.random.default_rng(0)
    x0, x = (tf.constant(rng.normal(size=(5, 6)), tf.float32) for _ in range(2))
    theirs, ours = tfrs.layers.dcn.Cross(projection_dim=rank), MatrixCross(rank)
    theirs(x0, x)
    weights = [rng.normal(size=weight.shape) for weight in theirs.weights]
    theirs.set_weights(weights)
    ours.build([x0.shape, x.shape])
    ours.set_weights(weights)
    np.testing.assert_array_equal(ours((x0, x)), theirs(x0, x))
