import numpy as np
import tensorflow as tf

from kdcn_tf.ckg import IdMap
from kdcn_tf.data.negatives import TypeRanges, corrupt

IDS = IdMap({"user": (1, 11), "item": (11, 31), "empty": (31, 31), "tag": (31, 41)}, (), "f")

GROWN = IdMap(
    {"user": (1, 4), "item": (4, 8), "tag": (10, 11)}, (), "f", {"user": ((8, 10), (14, 15)), "item": ((11, 14),)}
)
"""Users 1 to 3, 8, 9 and 14; items 4 to 7 and 11 to 13; tag 10."""


def draw(targets, type_constrained, degree_weighted=0.0, count=2000, id_map=IDS):
    @tf.function
    def drawn(entities):
        return corrupt(
            entities, count=count, type_ranges=TypeRanges(id_map), num_ids=id_map.num_ids,
            type_constrained=type_constrained, degree_weighted=degree_weighted, seed=tf.constant([1, 2]),
        )  # fmt: skip

    return drawn(tf.constant(targets, tf.int64)).numpy()


def test_places_of_a_types_ids():
    """In order of the types: users at 0 to 5, items at 6 to 12, the tag at 13."""
    ranges = TypeRanges(GROWN)
    ids = tf.constant([[1, 3, 9, 14], [4, 7, 13, 10]], tf.int64)
    np.testing.assert_array_equal(ranges.of(ids), [[[0, 6]] * 4, [*[[6, 13]] * 3, [13, 14]]])
    np.testing.assert_array_equal(
        ranges.at(tf.range(14, dtype=tf.int64)), [1, 2, 3, 8, 9, 14, 4, 5, 6, 7, 11, 12, 13, 10]
    )


def test_constrained_negatives_of_a_type_that_grew_are_uniform_over_all_its_ranges():
    users, items = draw([[1, 1], [12, 5]], type_constrained=1.0, id_map=GROWN)
    for drawn, ids in ((users, [1, 2, 3, 8, 9, 14]), (items, [4, 5, 6, 7, 11, 12, 13])):
        found, counts = np.unique(drawn, return_counts=True)
        assert found.tolist() == ids
        # Of 2000, each expects 2000/6 = 333 or 2000/7 = 286; 4 standard errors are 67 and 63.
        assert abs(counts - 2000 / len(ids)).max() < 67


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
