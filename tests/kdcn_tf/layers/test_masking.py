import numpy as np
import tensorflow as tf

from kdcn_tf.layers.masking import fullness, mask_of, masked_mean


def test_only_padding_is_masked():
    # 0 is PAD; an unknown entity (-1) is there, though nothing is known about it.
    np.testing.assert_array_equal(mask_of(tf.constant([[7, 0], [-1, 0]], tf.int64)), [[1.0, 0.0], [1.0, 0.0]])


def test_mean_counts_entities_and_not_places():
    # First list: ([1, 2] + [3, 6]) / 2 = [2, 4], the third place is padding. Second list: one entity.
    # Third list is empty: zeros instead of 0 / 0.
    vectors = tf.constant(
        [[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]], [[9.0, 9.0], [5.0, 1.0], [9.0, 9.0]], [[9.0, 9.0]] * 3]
    )
    mask = tf.constant([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(masked_mean(vectors, mask), [[2.0, 4.0], [5.0, 1.0], [0.0, 0.0]])


def test_fullness_counts_entities_in_places():
    # 1 of 3: log 2 / log 4 = 1/2; 3 of 3: 1; none: 0. In one place it is 0 or 1; an unknown entity counts.
    lists = [tf.constant([[7, 0, 0], [4, -1, 5], [0, 0, 0]], tf.int64), tf.constant([[-1], [0], [3]], tf.int64)]
    np.testing.assert_allclose(fullness(*lists), [[0.5, 1.0], [1.0, 0.0], [0.0, 1.0]], rtol=1e-6)
