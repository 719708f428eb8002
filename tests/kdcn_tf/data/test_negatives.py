import numpy as np
import tensorflow as tf

from kdcn_tf.data.negatives import TypeRanges, corrupt

RANGES = {"user": (1, 11), "item": (11, 31), "empty": (31, 31), "tag": (31, 41)}


def draw(targets, type_constrained, degree_weighted=0.0, count=2000):
    @tf.function
    def drawn(entities):
        return corrupt(
            entities, count=count, type_ranges=TypeRanges(RANGES), num_ids=41, type_constrained=type_constrained,
            degree_weighted=degree_weighted, seed=tf.constant([1, 2]),
        )  # fmt: skip

    return drawn(tf.constant(targets, tf.int64)).numpy()


def test_type_of_an_id():
    first, last = TypeRanges(RANGES).of(tf.constant([[1, 10], [11, 40]], tf.int64))
    np.testing.assert_array_equal(first, [[1, 1], [11, 31]])
    np.testing.assert_array_equal(last, [[11, 11], [31, 41]])


def test_constrained_negatives_keep_the_type_of_their_chunk():
    negatives = draw([[3, 4], [12, 35]], type_constrained=1.0)
    assert set(negatives[0]) == set(range(1, 11))
    assert set(negatives[1]) == set(range(11, 41))
    # Half of the second chunk's positives are items: the share of items is 0.5 +- 4 standard errors of 0.011.
    assert abs(np.mean(negatives[1] < 31) - 0.5) < 0.045


def test_unconstrained_negatives_cover_all_entities_but_never_pad():
    assert set(draw([[3, 4], [12, 35]], type_constrained=0.0)[1]) == set(range(1, 41))


def test_degree_weighted_negatives_come_from_their_chunk():
    negatives = draw([[3, 3, 3, 4], [12, 12, 35, 35]], type_constrained=0.0, degree_weighted=0.5)
    weighted = negatives[:, :1000]
    assert set(weighted[0]) == {3, 4}
    assert set(weighted[1]) == {12, 35}
    # 3 is met three times as often as 4: 0.75 +- 4 standard errors of 0.0137.
    assert abs(np.mean(weighted[0] == 3) - 0.75) < 0.055
    assert set(negatives[0, 1000:]) == set(range(1, 41))
