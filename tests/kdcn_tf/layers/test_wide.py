import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf.layers.wide import HashedCrosses, IdWeights


def ids(*rows):
    return tf.constant(rows, tf.int64)


def test_an_id_has_a_weight_per_role_and_a_list_counts_as_its_mean():
    layer = IdWeights([[5, 7]], roles=2)
    layer.build()
    layer.set_weights([np.array([[9.0, 9], [1, 10], [2, 20], [4, 40]])])  # padding, unknown, 5, 6
    single, many = layer((ids(5, 6, -1, 0), ids([6, 5, 0], [6, 0, 0], [8, 5, 0], [0, 0, 0])))
    np.testing.assert_allclose(single, [2, 4, 1, 0])
    np.testing.assert_allclose(many, [30, 40, 15, 0])


def test_pairs_count_as_the_mean_of_their_weights():
    layer = HashedCrosses([(0, 1), (1, 1)], buckets=500)
    layer.build()
    table = np.zeros((500, 1))
    for cross, left, right, weight in ((0, 1, 3, 1.0), (0, 2, 3, 5.0), (1, 3, 3, 100.0)):
        table[int(layer.bucket_of(cross, *tf.constant([left, right], tf.int64)))] = weight
    layer.set_weights([table])
    found = layer((ids([1, 2, 0], [0, 0, 0], [2, 0, 0]), ids([3, 0], [3, 0], [0, 0])))
    np.testing.assert_allclose(found, [3 + 100, 100, 0])  # (1, 3) and (2, 3); none on the left; none at all


@pytest.mark.parametrize("buckets", [2**12, 5000])
def test_buckets_are_filled_as_by_chance(buckets):
    """N pairs thrown at random fill m (1 - e^(-n / m)) of m buckets."""
    layer = HashedCrosses([(0, 1)], buckets)
    left, right = tf.range(1, 101, dtype=tf.int64), tf.range(10**6, 10**6 + 64, dtype=tf.int64)
    found = layer.bucket_of(0, left[:, None], right[None])
    assert found.shape == (100, 64)
    assert 0 <= int(tf.reduce_min(found)) <= int(tf.reduce_max(found)) < buckets
    distinct = len(set(found.numpy().ravel().tolist()))
    assert distinct == pytest.approx(buckets * (1 - np.exp(-6400 / buckets)), rel=0.03)
    others = layer.bucket_of(1, left[:, None], right[None])
    assert np.mean(found == others) < 0.01
    assert np.mean(found == layer.bucket_of(0, right[None], left[:, None])) < 0.01


def test_the_hash_is_the_same_everywhere():
    """A model that is trained here and served there must find its weights again: these numbers never change."""
    found = HashedCrosses([(0, 1)], 10**6).bucket_of(0, *tf.constant([[1, -1, 123456789012], [2, 7, 3]], tf.int64))
    assert found.numpy().tolist() == [226876, 968557, 79740]
