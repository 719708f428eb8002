import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf.training.optimizers import Adam, AveragedAdam, RowAdagrad, linear_decay, warmed_up


def test_adam_equals_dense_adam_where_every_row_is_touched():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(6, 3)).astype(np.float32)
    ours, theirs = tf.Variable(start), tf.Variable(start)
    mine, stock = Adam([ours], 0.05), tf.keras.optimizers.Adam(0.05, jit_compile=False)
    for _ in range(20):
        rows = rng.normal(size=(6, 3)).astype(np.float32)
        order = rng.permutation(6)
        mine.apply([tf.IndexedSlices(tf.constant(rows[order]), tf.constant(order), [6, 3])])
        stock.apply_gradients([(tf.constant(rows), theirs)])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_dense_gradient_equals_stock_adam():
    ours, theirs = tf.Variable([1.0, -2.0]), tf.Variable([1.0, -2.0])
    mine, stock = Adam([ours], 0.1), tf.keras.optimizers.Adam(0.1, jit_compile=False)
    for gradient in ([1.0, 2.0], [-0.5, 1.0], [0.0, 3.0]):
        mine.apply([tf.constant(gradient)])
        stock.apply_gradients([(tf.constant(gradient), theirs)])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_untouched_rows_and_their_moments_stay():
    table = tf.Variable(tf.ones([4, 2]))
    optimizer = Adam([table], 0.1)
    optimizer.apply([tf.IndexedSlices(tf.ones([1, 2]), tf.constant([2]), [4, 2])])
    before = table.numpy()
    optimizer.apply([tf.IndexedSlices(tf.ones([1, 2]), tf.constant([0]), [4, 2])])
    np.testing.assert_array_equal(table.numpy()[[1, 2, 3]], before[[1, 2, 3]])
    assert np.all(optimizer.slots["m"][0].numpy()[[1, 3]] == 0)


@pytest.mark.parametrize("kind", [Adam, RowAdagrad])
def test_repeated_ids_are_summed_before_the_square(kind):
    split, whole = tf.Variable(tf.zeros([3, 2])), tf.Variable(tf.zeros([3, 2]))
    kind([split], 0.1).apply([tf.IndexedSlices(tf.constant([[1.0, 0.0], [2.0, 4.0]]), tf.constant([1, 1]), [3, 2])])
    kind([whole], 0.1).apply([tf.IndexedSlices(tf.constant([[3.0, 4.0]]), tf.constant([1]), [3, 2])])
    np.testing.assert_allclose(split, whole)


@pytest.mark.parametrize("kind", [Adam, RowAdagrad])
def test_distinct_ids_need_no_summing(kind):
    found = []
    for distinct in (False, True):
        table = tf.Variable(tf.zeros([4, 2]))
        rows = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([3, 1]), [4, 2])
        kind([table], 0.1).apply([rows], distinct=distinct)
        found.append(table.numpy())
    np.testing.assert_allclose(*found)
    assert np.all(found[0][[1, 3]] < 0)


def test_row_adagrad_by_hand():
    # Row gradient [3, 4]: accumulator mean(9, 16) = 12.5; step 0.5 * [3, 4] / sqrt(12.5) = [0.4243, 0.5657].
    table = tf.Variable(tf.zeros([2, 2]))
    optimizer = RowAdagrad([table], 0.5)
    optimizer.apply([tf.IndexedSlices(tf.constant([[3.0, 4.0]]), tf.constant([1]), [2, 2])])
    np.testing.assert_allclose(table, [[0.0, 0.0], [-0.4243, -0.5657]], atol=1e-4)
    assert optimizer.slots["accumulator"][0].shape == [2, 1]


def test_the_rate_falls_in_a_line():
    # Adam's first steps on a constant gradient are as long as the rate: steps 1 to 4 of 4 are 1, 0.75, 0.5 and 0.25.
    weight = tf.Variable([10.0])
    optimizer = Adam([weight], linear_decay(1.0, 4))
    found = []
    for _ in range(4):
        optimizer.apply([tf.constant([2.0])])
        found.append(float(weight[0]))
    np.testing.assert_allclose(found, [9.0, 8.25, 7.75, 7.5], atol=1e-4)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(1.0, [9.5, 8.5, 7.5, 6.5]), (linear_decay(1.0, 4), [9.5, 8.75, 8.25, 8.0])],
    ids=["constant", "falling"],
)
def test_the_rate_rises_first(rate, expected):
    # Warm-up over 2 steps halves the first one: 0.5, 1, 1, 1; of the falling rates above 0.5, 0.75, 0.5 and 0.25.
    weight = tf.Variable([10.0])
    optimizer = Adam([weight], warmed_up(rate, 2))
    found = []
    for _ in range(4):
        optimizer.apply([tf.constant([2.0])])
        found.append(float(weight[0]))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_gradients_that_travel_are_rounded_and_summed_in_full():
    # bfloat16 rounds 1.00390625 = 1 + 2^-8 to 1; a row that occurs 3 times adds up to 3 exactly. Adagrad: 3 / 3.
    table = tf.Variable(tf.zeros([2, 1]))
    rows = tf.IndexedSlices(tf.constant([[1.00390625]] * 3), tf.constant([1, 1, 1]), [2, 1])
    RowAdagrad([table], 1.0, wire="bfloat16").apply([rows])
    np.testing.assert_allclose(table, [[0.0], [-1.0]], atol=1e-5)


@pytest.mark.parametrize("rows", [True, False], ids=["rows", "dense"])
def test_averages_follow_the_weights(rows):
    # Steps 1, 2, 3 keep 1/10, 2/11 and 1/5, the limit, of the old mean. The last row never gets a gradient.
    start = np.array([[1.0, -1.0], [5.0, 5.0]], np.float32)
    table, plain = tf.Variable(start), tf.Variable(start)
    mine, other = AveragedAdam([table], 0.1, average=0.2), Adam([plain], 0.1)
    mean = start.copy()
    for kept, gradient in ((0.1, [1.0, 2.0]), (2 / 11, [-3.0, 1.0]), (0.2, [0.5, 0.0])):
        for optimizer in (mine, other):
            dense = tf.constant([gradient, [0.0, 0.0]])
            optimizer.apply([tf.IndexedSlices(dense[:1], tf.constant([0]), [2, 2]) if rows else dense])
        mean = kept * mean + (1 - kept) * plain.numpy()
    np.testing.assert_allclose(table, plain, atol=1e-6)
    with mine.averages():
        np.testing.assert_allclose(table, mean, atol=1e-6)
    np.testing.assert_allclose(table, plain, atol=1e-6)


def test_averages_of_no_memory_are_the_weights():
    weight = tf.Variable([1.0])
    optimizer = AveragedAdam([weight], 0.1, average=0.0)
    optimizer.apply([tf.constant([1.0])])
    with optimizer.averages():
        np.testing.assert_allclose(weight, [0.9], atol=1e-6)
