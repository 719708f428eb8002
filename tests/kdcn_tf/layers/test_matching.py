import numpy as np
import tensorflow as tf

from kdcn_tf.layers.matching import Match, Similarities


def test_product_of_projections():
    # P x = [1 + 2 * 2, 3 * 2] = [5, 6] for x = [1, 2]; Q y = [2 * 3, 3 - 4] = [6, -1] for y = [3, 4].
    # Product: [30, -6].
    layer = Match(2)
    layer.build([[None, 2], [None, 2]])
    layer.set_weights([np.array([[1.0, 0.0], [2.0, 3.0]]), np.array([[2.0, 1.0], [0.0, -1.0]])])
    np.testing.assert_allclose(layer((tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 4.0]]))), [[30.0, -6.0]])


def test_similarity_is_of_what_lies_apart_from_the_mean_of_a_type():
    # x = [5, 1, 1, 1] - [1, 1, 1, 1] = [4, 0, 0, 0]; items [3, 0, 0, 0] and nothing, a user [7, 0, 0, 0], whose mean is
    # [5, 0, 0, 0].
    # Products over sqrt(4): 4 * (3 - 1) / 2 = 4, none, 4 * 2 / 2 = 4.
    layer = Similarities("item", ["item", "item", "user"])
    layer.build([[None, 4], [None, 3, 4], [None, 3]])
    layer.assign_center("item", np.ones(4))
    layer.assign_center("user", np.array([5.0, 0.0, 0.0, 0.0]))
    others = tf.constant([[[3.0, 0.0, 0.0, 0.0], [0.0] * 4, [7.0, 0.0, 0.0, 0.0]]])
    found = layer((tf.constant([[5.0, 1.0, 1.0, 1.0]]), others, tf.constant([[1.0, 0.0, 1.0]])))
    np.testing.assert_allclose(found, [[4.0, 0.0, 4.0]])
    assert not layer.trainable_weights
