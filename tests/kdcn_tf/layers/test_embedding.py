import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.distribute.sharded_variable import ShardedVariable

from kdcn_tf.layers.embedding import EntityEmbedding

# Rows: 0 PAD, 1 OOV, 2-3 the users 5-6, 4-6 the items 1-3. Id 4 lies between the ranges.
RANGES = {"user": [(5, 7)], "item": [(1, 4)]}
IDS, ROWS = [0, -1, 4, 5, 6, 7, 1, 3], [0, 1, 1, 2, 3, 1, 4, 6]


@pytest.fixture
def layer():
    """Row r of the table is [r + 90, -r]."""
    made = EntityEmbedding(RANGES, 2)
    made.build()
    made.set_weights([np.stack([np.arange(7.0) + 90, -np.arange(7.0)], axis=1)])
    return made


def test_rows_of_ids(layer):
    assert layer.num_rows == 7
    np.testing.assert_array_equal(layer.rows_of(tf.constant(IDS, tf.int64)), ROWS)
    assert [layer.row_of(i) for i in IDS] == ROWS


def test_rows_of_a_type_of_several_ranges_follow_each_other():
    """Items 1, 2, 7, 8 and 9 have rows 2 to 6, user 4 row 7."""
    layer = EntityEmbedding({"item": [(1, 3), (7, 10)], "user": [(4, 5)]}, 2)
    layer.build()
    np.testing.assert_array_equal(layer.rows_of(tf.constant([2, 7, 9, 4, 3, 6], tf.int64)), [3, 4, 6, 7, 1, 1])
    assert ([layer.row_of(i) for i in (2, 7, 6)], layer.num_rows) == ([3, 4, 1], 8)
    layer.assign_rows(8, np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(layer.table[5:7], [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match="none of the ranges"):
        layer.assign_rows(2, np.ones((2, 2)))  # 2 and 3


def test_lookup_keeps_shapes_and_padding_reads_as_zeros(layer):
    # Item 3 is row 6, user 5 row 2, item 1 row 4; id 9 is unknown: row 1.
    first, second = layer([tf.constant([[3, 0], [9, 3]], tf.int64), tf.constant([5, 1, 0], tf.int64)])
    np.testing.assert_array_equal(first, [[[96.0, -6.0], [0.0, 0.0]], [[91.0, -1.0], [96.0, -6.0]]])
    np.testing.assert_array_equal(second, [[92.0, -2.0], [94.0, -4.0], [0.0, 0.0]])


def test_means_of_lists_leave_padding_out(layer):
    # Equation 4. Rows r are [r + 90, -r]: item 1 is row 4, items 2 and 3 are 5 and 6, unknown ones 1. Padding may be
    # anywhere; of lists without entity there is nothing to add up, and without any entity nothing at all.
    lists = tf.constant([[[1, 3, 0], [0, 0, 0]], [[9, 0, 1], [2, 0, 0]]], tf.int64)
    (single,), (means, none), _ = layer.look_up([tf.constant([5], tf.int64)], [lists, tf.zeros([2, 4], tf.int64)])
    np.testing.assert_array_equal(single, [[92.0, -2.0]])
    np.testing.assert_allclose(means, [[[95.0, -5.0], [0.0, 0.0]], [[92.5, -2.5], [95.0, -5.0]]])
    np.testing.assert_array_equal(none, np.zeros([2, 2]))


def test_placed_vectors_are_distinct_and_those_of_the_others_not_among_them(layer):
    # Item 3 is row 6, user 5 row 2, item 1 row 4; padding is a vector as well, of zeros.
    query, title = tf.constant([[3, 0], [1, 3]], tf.int64), tf.constant([[1], [0]], tf.int64)
    (single,), (mean,), placed = layer.look_up([tf.constant([5, 3], tf.int64)], [query], [query, title])
    np.testing.assert_array_equal(placed.vectors, [[96.0, -6.0], [0.0, 0.0], [94.0, -4.0]])
    np.testing.assert_array_equal(placed.places[0], [[0, 1], [2, 0]])
    np.testing.assert_array_equal(placed.places[1], [[2], [1]])
    np.testing.assert_array_equal(single, [[92.0, -2.0], [96.0, -6.0]])
    np.testing.assert_array_equal(mean, [[96.0, -6.0], [95.0, -5.0]])


def test_nothing_placed_is_no_vector(layer):
    for placed in ([], [tf.zeros([0, 2], tf.int64)]):
        _, _, (vectors, places) = layer.look_up([tf.constant([5], tf.int64)], placed=placed)
        assert (vectors.shape, [place.shape for place in places]) == ((0, 2), [ids.shape for ids in placed])


def test_no_lists_have_no_means(layer):
    (single,), (means,), _ = layer.look_up([tf.zeros([0], tf.int64)], [tf.zeros([0, 3], tf.int64)])
    assert (single.shape, means.shape) == ((0, 2), (0, 2))


def test_means_have_the_gradient_of_means(layer):
    ids = tf.constant([[1, 3, 3], [3, 0, 0], [0, 0, 0]], tf.int64)
    with tf.GradientTape() as tape:
        _, (means,), _ = layer.look_up([], [ids])
        total = tf.reduce_sum(means * [[6.0, 6.0], [1.0, 2.0], [5.0, 5.0]])
    slices = tape.gradient(total, layer.table)
    got = {int(row): value.tolist() for row, value in zip(slices.indices, slices.values.numpy(), strict=True)}
    assert got == {4: [2.0, 2.0], 6: [5.0, 6.0]}  # item 3: two of three of the first list, all of the second


def test_gradient_has_one_slice_for_each_distinct_row(layer):
    # Item 3 occurs three times, in both inputs: its slice is 3, not three slices. PAD's slice is 0.
    with tf.GradientTape() as tape:
        first, second = layer([tf.constant([[3, 0], [3, 1]], tf.int64), tf.constant([3], tf.int64)])
        total = tf.reduce_sum(first) + tf.reduce_sum(second)
    slices = tape.gradient(total, layer.table)
    assert isinstance(slices, tf.IndexedSlices)
    got = {int(row): value.tolist() for row, value in zip(slices.indices, slices.values.numpy(), strict=True)}
    assert got == {6: [3.0, 3.0], 0: [0.0, 0.0], 4: [1.0, 1.0]}
    assert len(slices.indices) == 3


def test_normalize_leaves_padding_at_zero():
    # [1, 5]: mean 3, variance (4 + 4) / 2 = 4: [-2 / 2, 2 / 2].
    layer = EntityEmbedding(RANGES, 2, normalize=True)
    layer.build()
    layer.set_weights([np.tile([1.0, 5.0], [7, 1])])
    np.testing.assert_allclose(layer([tf.constant([0, 5], tf.int64)])[0], [[0.0, 0.0], [-1.0, 1.0]], atol=1e-5)


def test_assign_rows_across_shards(layer):
    # Rows 0-2, 3-4 and 5-6 in a shard each; items 1-3 are rows 4-6, in the last two.
    rows = layer.table.numpy()
    layer.table = ShardedVariable([tf.Variable(part) for part in np.split(rows, [3, 5])])
    layer.assign_rows(1, np.array([[1.0, 1.5], [2.0, 2.5], [3.0, 3.5]]))
    rows[4:] = [[1.0, 1.5], [2.0, 2.5], [3.0, 3.5]]
    # Nothing else has changed, and lookups see it.
    np.testing.assert_array_equal(tf.concat(layer.table.variables, axis=0), rows)
    np.testing.assert_array_equal(layer([tf.constant([3, 5, 1], tf.int64)])[0], rows[[6, 2, 4]])


@pytest.mark.parametrize(
    ("first_id", "shape", "message"),
    [(3, (2, 2), "none of the ranges"), (0, (1, 2), "none of the ranges"), (5, (2, 3), r"expected \(2,\)")],
    ids=["beyond the type", "padding", "other size"],
)
def test_assign_rows_refuses(layer, first_id, shape, message):
    before = layer.table.numpy()
    with pytest.raises(ValueError, match=message):
        layer.assign_rows(first_id, np.ones(shape))
    np.testing.assert_array_equal(layer.table, before)


def test_lists_of_nothing_leave_gradients_alone():
    """Memory that was never written would show as garbage, now and then: so it is looked at often, among freed NaNs."""
    layer = EntityEmbedding({"item": [[1, 40]]}, 8)
    layer.build()
    ids, empty = tf.constant([3, 0, 7], tf.int64), tf.zeros([3, 2, 4], tf.int64)
    for size in range(1, 60):
        [tf.fill([size, 8], float("nan")) + 0.0 for _ in range(8)]  # freed at once
        with tf.GradientTape() as tape:
            (single,), (means,), _ = layer.look_up([ids], [empty])
            loss = tf.reduce_sum(single) + tf.reduce_sum(means)
        gradient = tf.convert_to_tensor(tape.gradient(loss, layer.table)).numpy()
        expected = np.zeros(layer.table.shape)
        expected[[4, 8]] = 1.0
        np.testing.assert_array_equal(gradient, expected)
        np.testing.assert_array_equal(means, np.zeros([3, 2, 8]))
