import numpy as np
import pytest

from kdcn_tf.training.ranking import Ranks, rank_triples, summarize

# Entities on a line, row 0 is PAD: positions of ids 1..5. One relation that moves by +1.
ENTITIES = np.array([[2.0], [0.0], [1.0], [2.0], [1.1], [5.0]], np.float32)
RELATIONS = np.array([[1.0]], np.float32)


@pytest.mark.parametrize("norm", [1, 2])
def test_ranks_by_hand(norm):
    # (1, 0, 3): as tail, query 0 + 1 = 1; distances of ids 1..5: 1, 0, 1, 0.1, 4. True tail 3 at distance 1:
    # better are 2 and 4, tied is 1. Optimistic 3, pessimistic 4.
    # As head, query t - r = 2 - 1 = 1: true head 1 at distance 1; better 2 and 4, tied 3. The same ranks.
    triples = np.array([[1, 0, 3]])
    ranks = rank_triples(ENTITIES, RELATIONS, triples, triples, norm)
    np.testing.assert_array_equal(ranks.optimistic, [3, 3])
    np.testing.assert_array_equal(ranks.pessimistic, [4, 4])
    np.testing.assert_array_equal(ranks.realistic, [3.5, 3.5])


def test_known_triples_are_filtered():
    # Known (1, 0, 2) and (1, 0, 4) leave only id 1 beside the true tail 3: tied, ranks 1 to 2.
    # Known heads of (?, 0, 3) are only the true one, so the head rank stays 3 to 4.
    known = np.array([[1, 0, 3], [1, 0, 2], [1, 0, 4], [1, 0, 4]])  # one twice
    ranks = rank_triples(ENTITIES, RELATIONS, np.array([[1, 0, 3]]), known, 2)
    np.testing.assert_array_equal(ranks.optimistic, [1, 3])
    np.testing.assert_array_equal(ranks.pessimistic, [2, 4])


def test_summary_by_hand():
    # Ranks 1, 2, 4 and 20 without ties: MRR (1 + 0.5 + 0.25 + 0.05) / 4 = 0.45; Hits@1 0.25, @3 0.5, @10 0.75.
    rank = np.array([1.0, 2.0, 4.0, 20.0])
    got = summarize(Ranks(rank, rank))
    expected = {"mrr": 0.45, "hits@1": 0.25, "hits@3": 0.5, "hits@10": 0.75, "mean_rank": 6.75, "tie_gap": 0.0}
    assert got == pytest.approx(expected)


def test_nothing_to_rank_is_undefined():
    empty = np.empty((0, 3), np.int64)
    ranks = rank_triples(ENTITIES, RELATIONS, empty, empty, 2)
    assert set(summarize(ranks).values()) == {None}
