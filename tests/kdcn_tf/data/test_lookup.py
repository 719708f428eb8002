import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.distribute.sharded_variable import ShardedVariable

from kdcn_tf.data.lookup import gather_beside, gather_rows

ROWS = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [8.03125, 9]], np.float32)


def table():
    return ShardedVariable([tf.Variable(ROWS[:3]), tf.Variable(ROWS[3:])])


@pytest.mark.parametrize("wire", [tf.float32, tf.bfloat16])
def test_rows_of_all_shards_in_the_order_of_ids(wire):
    found = gather_rows(table(), tf.constant([3, 0, 2, 4], tf.int64), wire)
    assert found.dtype == tf.float32
    # 8.03125 needs 9 bits of mantissa; bfloat16 has 8 and rounds it to 8.0.
    last = 8.03125 if wire == tf.float32 else 8.0
    np.testing.assert_array_equal(found, [[6, 7], [0, 1], [4, 5], [last, 9]])


@pytest.mark.parametrize("wire", [tf.float32, tf.bfloat16])
def test_gradients_are_rows_of_their_shard(wire):
    sharded = table()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(gather_rows(sharded, tf.constant([4, 1], tf.int64), wire) * [[1.0, 2.0], [3.0, 4.0]])
    first, second = tape.gradient(total, list(sharded.variables))
    np.testing.assert_array_equal(first.indices, [1])
    np.testing.assert_array_equal(first.values, [[3, 4]])
    np.testing.assert_array_equal(second.indices, [1])
    np.testing.assert_array_equal(second.values, [[1, 2]])


def test_no_ids_give_no_rows():
    assert gather_rows(table(), tf.zeros([0], tf.int64), tf.bfloat16).shape == [0, 2]


def column(*lengths):
    """1/3, 2/3, ..., none of which bfloat16 can hold."""
    parts = np.split(np.arange(1, 6, dtype=np.float32)[:, None] / 3, np.cumsum(lengths)[:-1])
    return ShardedVariable([tf.Variable(part) for part in parts])


@pytest.mark.parametrize("wire", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("lengths", [(3, 2), (5,)])
def test_a_column_beside_the_rows_is_exact(wire, lengths):
    # The column is cut as the table is and travels with it, or it isn't and comes alone.
    sharded, ids = table(), tf.constant([4, 0, 3], tf.int64)
    with tf.GradientTape() as tape:
        rows, numbers = tf.function(gather_beside)(sharded, column(*lengths), ids, wire)
        total = tf.reduce_sum(rows * [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(rows, gather_rows(sharded, ids, wire))
    np.testing.assert_array_equal(numbers, np.array([5, 1, 4], np.float32) / 3)
    first, second = tape.gradient(total, list(sharded.variables))
    np.testing.assert_array_equal(first.indices, [0])
    np.testing.assert_array_equal(first.values, [[3, 4]])
    np.testing.assert_array_equal(second.indices, [1, 0])
    np.testing.assert_array_equal(second.values, [[1, 2], [5, 6]])
