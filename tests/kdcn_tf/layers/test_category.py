import numpy as np
import tensorflow as tf

from kdcn_tf.layers.category import CategoryEmbedding


def test_levels_from_the_top_down_and_zeros_for_a_missing_one():
    # Ids 7, 8, 9 have rows 2, 3, 4 (after PAD and OOV). Row r of the table is [r, 10 r], but PAD's row 0 is not zeros.
    # Path 9 > 7: [4, 40, 2, 20]. Path 8 of one level: [3, 30], zeros. Id 5 is no category: the OOV row [1, 10].
    layer = CategoryEmbedding([[7, 10]], dim=2)
    layer.build([None, 2])
    layer.set_weights([np.array([[99.0, 99.0], [1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]])])
    got = layer(tf.constant([[9, 7], [8, 0], [5, 0]], tf.int64))
    np.testing.assert_array_equal(got, [[4.0, 40.0, 2.0, 20.0], [3.0, 30.0, 0.0, 0.0], [1.0, 10.0, 0.0, 0.0]])


def test_a_graph_without_categories():
    layer = CategoryEmbedding([], dim=2)
    np.testing.assert_array_equal(layer(tf.zeros([1, 2], tf.int64)), np.zeros([1, 4]))
