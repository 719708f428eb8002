import itertools

import numpy as np
import tensorflow as tf

from kdcn_tf.training.known_triples import Known, Queries, matches

# Two queries of (1, 0, 3) with 2 relations: tails of (1, 0) and heads of (0, 3).
QUERIES = Queries.of(np.array([[1, 0, 3], [1, 0, 4]]))
KNOWN = [[1, 0, 3], [1, 0, 2], [1, 1, 2], [2, 0, 3], [5, 0, 3], [1, 0, 2], [3, 0, 1]]


def test_two_queries_of_each_triple():
    assert len(QUERIES) == 4
    np.testing.assert_array_equal(QUERIES.given, [1, 1, 3, 4])
    np.testing.assert_array_equal(QUERIES.wanted, [3, 4, 1, 1])
    keys = QUERIES.keys(2)
    assert keys[0] == keys[1]  # both ask for the tails of (1, 0)
    assert len(set(keys.tolist())) == 3


def test_known_answers_among_the_candidates():
    keys, key_of = np.unique(QUERIES.keys(2), return_inverse=True)
    candidates = np.array([1, 2, 3, 4])  # 5 is none
    codes = matches(*(tf.constant(values, tf.int64) for values in (KNOWN, keys, candidates)), 2).numpy()
    splits, columns = Known([codes, codes], len(keys), 4).of(key_of)
    found = [set((columns[a:b] + 1).tolist()) for a, b in itertools.pairwise(splits)]
    # Tails of (1, 0) are 2 and 3, heads of (0, 3) are 1, 2 and 5; nothing is known of heads of (0, 4).
    assert found == [{2, 3}, {2, 3}, {1, 2}, set()]
    assert len(columns) == 6  # each once


def test_nothing_known():
    splits, columns = Known([np.empty(0, np.int64)], 2, 4).of(np.array([1, 0]))
    assert (splits.tolist(), columns.tolist()) == ([0, 0, 0], [])
