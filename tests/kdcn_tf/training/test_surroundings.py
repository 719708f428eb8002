import numpy as np
import tensorflow as tf

from kdcn_tf.ckg import IdMap
from kdcn_tf.training.surroundings import turns, with_surroundings

IDS = IdMap({"user": (1, 3), "tag": (3, 5), "session": (5, 6)}, ("has",), "ids")
VECTORS = tf.constant([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0], [10.0, 0.0], [20.0, 2.0], [5.0, 7.0]])


class Star:
    """User 1 has both tags and the session, user 2 has nothing."""

    NEIGHBORS = tf.constant([[0, 0, 0], [3, 5, 4], [0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]], tf.int64)

    def neighbors(self, ids):
        return tf.gather(self.NEIGHBORS, ids)


def test_every_type_of_neighbours_has_its_turned_mean():
    # Tags: mean of [10, 0] and [20, 2] is [15, 1], doubled [30, 2]; session: [5, 7] with its elements swapped, [7, 5].
    matrices = tf.constant([np.eye(2), 2 * np.eye(2), [[0, 1], [1, 0]]], tf.float32)
    got = with_surroundings(
        tf.constant([2, 1], tf.int64), lambda ids: tf.gather(VECTORS, ids), Star(), IDS.type_starts(), matrices
    )
    np.testing.assert_allclose(got, [[3, 4, 0, 0], [1, 2, 37, 7]])


def test_turns_keep_lengths_and_belong_to_names():
    found = turns(IDS, 4)
    for matrix in found:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(4), atol=1e-6)
    other = turns(IdMap({"tag": (1, 9), "item": (9, 11)}, ("has",), "others"), 4)
    np.testing.assert_array_equal(other[0], found[1])
    assert np.abs(other[1] - found[0]).max() > 0.1
