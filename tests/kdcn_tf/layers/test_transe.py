import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf.layers.transe import distance, pairwise_distance


@pytest.mark.parametrize(("norm", "expected"), [(1, 7.0), (2, 5.0)])
def test_equation_2(norm, expected):
    # h + r - t = [1, 2] + [3, 4] - [1, 2] = [3, 4]: L1 7, L2 5.
    got = distance(tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0]), tf.constant([1.0, 2.0]), norm)
    assert float(got) == pytest.approx(expected)


@pytest.mark.parametrize("norm", [1, 2])
def test_pairwise_equals_one_by_one(norm):
    rng = np.random.default_rng(0)
    queries, candidates = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    got = pairwise_distance(tf.constant(queries), tf.constant(candidates), norm)
    for c, b, n in np.ndindex(2, 3, 5):
        assert float(got[c, b, n]) == pytest.approx(np.linalg.norm(queries[c, b] - candidates[c, n], norm), abs=1e-5)


@pytest.mark.parametrize("norm", [1, 2])
def test_gradient_at_distance_zero_is_finite(norm):
    point = tf.constant([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(point)
        total = tf.reduce_sum(distance(point, tf.zeros([1, 2]), tf.constant([[1.0, 2.0]]), norm))
        total += tf.reduce_sum(pairwise_distance(point[None], tf.constant([[[1.0, 2.0]]]), norm))
    assert np.all(np.isfinite(tape.gradient(total, point)))


@pytest.mark.parametrize("squared", [False, True])
def test_pairwise_gradient_by_hand(squared):
    # Gaps [3, 4] and [0, 2]; weights 1 and 10. Of distances: [0.6, 0.8] + 10 [0, 1]; of squares: 2 [3, 4] + 20 [0, 2].
    query, candidates = tf.constant([[4.0, 4.0]]), tf.constant([[1.0, 0.0], [4.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch([query, candidates])
        total = tf.reduce_sum(pairwise_distance(query, candidates, 2, squared) * [1.0, 10.0])
    by_query, by_candidates = tape.gradient(total, [query, candidates])
    each = [[6.0, 8.0], [0.0, 40.0]] if squared else [[0.6, 0.8], [0.0, 10.0]]
    np.testing.assert_allclose(by_query, [np.sum(each, axis=0)], atol=1e-4)
    np.testing.assert_allclose(by_candidates, -np.array(each), atol=1e-4)


@pytest.mark.parametrize("gap", [0.0, 1e-7, 1e-5, 1e-3])
def test_pairwise_gradient_stays_short_where_rounding_is_all_there_is(gap):
    far_out = tf.constant([[30.0, -20.0, 5.0]])
    with tf.GradientTape() as tape:
        tape.watch(far_out)
        total = tf.reduce_sum(pairwise_distance(far_out, far_out + tf.constant([[gap, 0.0, 0.0]]), 2))
    assert np.linalg.norm(tape.gradient(total, far_out)) < 1.5


@pytest.mark.parametrize(("squared", "expected"), [(False, [[1.2, 1.6]]), (True, [[12, 16]])])
def test_gradient_of_a_distance_by_hand(squared, expected):
    # A gap of [3, 4], weight 2: of the distance [3, 4] / 5, of its square 2 [3, 4].
    head = tf.constant([[4.0, 6.0]])
    with tf.GradientTape() as tape:
        tape.watch(head)
        total = 2.0 * tf.reduce_sum(distance(head, tf.constant([[0.0, -1.0]]), tf.constant([[1.0, 1.0]]), 2, squared))
    np.testing.assert_allclose(tape.gradient(total, head), expected, rtol=1e-6)
