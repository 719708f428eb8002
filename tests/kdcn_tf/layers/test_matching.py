import numpy as np
import tensorflow as tf

from kdcn_tf.layers.matching import Match


def test_product_of_projections():
    # P x = [1 + 2 * 2, 3 * 2] = [5, 6] for x = [1, 2]; Q y = [2 * 3, 3 - 4] = [6, -1] for y = [3, 4].
    # Product: [30, -6].
    layer = Match(2)
    layer.build([[None, 2], [None, 2]])
    layer.set_weights([np.array([[1.0, 0.0], [2.0, 3.0]]), np.array([[2.0, 1.0], [0.0, -1.0]])])
    np.testing.assert_allclose(layer((tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 4.0]]))), [[30.0, -6.0]])
