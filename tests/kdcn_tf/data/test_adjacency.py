import numpy as np
import pytest
import tensorflow as tf
from support.ckg_data import write_adjacency

from kdcn_tf.data.adjacency import Adjacency, HiddenEdges, SampledGraph, StoredGraph, scatter_rows
from kdcn_tf.data.lookup import gather_rows

TRIPLES = [(1, 0, 2), (1, 0, 3), (2, 1, 1), (4, 0, 4), (1, 0, 5)]


def test_rows_land_at_their_ids(tmp_path):
    # Distinct neighbours, self-loop of 4 left out: 1 has 2, 3, 5; 2, 3, 5 have 1; 4 and 6 have none.
    write_adjacency(tmp_path / "adj", TRIPLES, num_ids=7, stored=4, rows_per_block=4)
    adjacency = Adjacency(num_ids=7, stored=4)
    assert int(adjacency.load_file(tf.constant(str(tmp_path / "adj")))) == 6
    graph = StoredGraph(adjacency)
    ids = tf.range(7, dtype=tf.int64)
    rows, degrees = graph.with_degrees(tf.Variable(10 * tf.range(7.0)[:, None]), ids, tf.float32)
    np.testing.assert_array_equal(rows[:, 0], 10 * np.arange(7))
    np.testing.assert_array_equal(degrees, [0, 3, 1, 1, 0, 1, 0])
    neighbors = graph.neighbors(ids).numpy()
    assert neighbors.shape == (7, 4)
    assert sorted(neighbors[1]) == [0, 2, 3, 5]
    np.testing.assert_array_equal(neighbors[[2, 3, 5]], [[1, 0, 0, 0]] * 3)
    np.testing.assert_array_equal(neighbors[[0, 4, 6]], np.zeros((3, 4)))


def test_a_block_of_another_width_is_an_error(tmp_path):
    write_adjacency(tmp_path / "adj", TRIPLES, num_ids=7, stored=4)
    with pytest.raises(tf.errors.InvalidArgumentError):
        Adjacency(num_ids=7, stored=5).load_file(tf.constant(str(tmp_path / "adj")))


def test_scatter_rows_writes_only_the_named_rows():
    table = tf.Variable(tf.zeros([4, 2]))
    scatter_rows(table, tf.constant([3, 1], tf.int64), tf.constant([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(table, [[0, 0], [3, 4], [0, 0], [1, 2]])


class Lists:
    ROWS = tf.constant([[0, 0, 0, 0], [2, 3, 4, 5], [1, 3, 4, 0], [1, 0, 0, 0]], tf.int64)

    def neighbors(self, ids):
        return tf.gather(self.ROWS, ids)

    def with_degrees(self, table, ids, wire):
        return gather_rows(table, ids, wire), tf.cast(ids, tf.float32)


def test_samples_are_distinct_and_cover_the_list():
    seen: dict[int, set] = {0: set(), 1: set(), 2: set(), 3: set()}
    for seed in range(40):
        graph = SampledGraph(Lists(), 2, tf.constant([seed, 1]))
        for row, sample in enumerate(graph.neighbors(tf.range(4, dtype=tf.int64)).numpy()):
            assert len(set(sample)) == 2 or row == 0
            seen[row].update(sample)
    # Longer lists never give PAD, shorter ones are taken whole, once.
    assert seen == {0: {0}, 1: {2, 3, 4, 5}, 2: {1, 3, 4}, 3: {0, 1}}
    alone = SampledGraph(Lists(), 2, tf.constant([1, 1])).neighbors(tf.constant([3], tf.int64))
    np.testing.assert_array_equal(alone, [[1, 0]])


def test_hidden_edges_are_hidden_from_both_ends_and_no_others():
    graph = HiddenEdges(Lists(), tf.constant([1, 3], tf.int64), tf.constant([2, 1], tf.int64))
    got = graph.neighbors(tf.constant([1, 2, 3], tf.int64))
    np.testing.assert_array_equal(got, [[0, 0, 4, 5], [0, 3, 4, 0], [0, 0, 0, 0]])
    _, degrees = graph.with_degrees(tf.Variable(tf.zeros([4, 1])), tf.constant([2], tf.int64), tf.float32)
    np.testing.assert_array_equal(degrees, [2])
