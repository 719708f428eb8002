import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.distribute.sharded_variable import ShardedVariable

from kdcn_tf.layers.lookup import gather_rows

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
