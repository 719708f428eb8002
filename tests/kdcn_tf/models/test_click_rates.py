import numpy as np
import pytest

from kdcn_tf.models.click_rates import NONE, ClickRates, folds_of, keys_of, pair_keys


def column(*values):
    return np.array(values)[:, None]


def fitted(keys, labels, folds, weights=None, smoothing=2.0):
    rates = ClickRates(smoothing)
    weights = np.ones(len(labels)) if weights is None else np.array(weights)
    return rates, rates.fit(np.array(keys), np.array(labels, float), weights, np.array(folds))


def test_rates_of_training_rows_come_from_the_other_folds():
    # Keys 7, 7, 7, 8 with clicks 1, 1, 0, 1 in folds 0, 1, 1, 0.
    # Fold 0 sees rows 1 and 2: p = 1/2; key 7: (1 + 2 * 1/2) / (2 + 2) - p = 0; key 8, unseen: 0.
    # Fold 1 sees rows 0 and 3: p = 1; key 7: (1 + 2 * 1) / (1 + 2) - p = 0.
    rates, (found, evidence) = fitted(column(7, 7, 7, 8), [1, 1, 0, 1], [0, 1, 1, 0])
    np.testing.assert_allclose(found, column(0, 0, 0, 0))
    np.testing.assert_allclose(evidence, column(2, 1, 1, 0))
    # New rows see all: p = 3/4; key 7: (2 + 3/2) / 5 - p; key 8: (1 + 3/2) / 3 - p; key 9: 0.
    found, evidence = rates.of(column(7, 8, 9, NONE))
    np.testing.assert_allclose(found, column(0.7 - 0.75, 2.5 / 3 - 0.75, 0, np.nan))
    np.testing.assert_allclose(evidence, column(3, 1, 0, 0))


def test_training_rows_by_hand():
    # Fold 0 holds row 0 alone: from the others, p = 1/3 and key 7 has a click in 2 rows: (1 + 2/3) / 4 - 1/3.
    _, (found, _) = fitted(column(7, 7, 7, 8), [0, 1, 0, 0], [0, 1, 1, 1])
    np.testing.assert_allclose(found[0], [(1 + 2 / 3) / 4 - 1 / 3])
    np.testing.assert_allclose(found[1:], column(0, 0, 0))  # row 0 says p = 0, and so does its key


def test_weights_count_as_rows():
    rates, _ = fitted(column(7, 7, 8), [1, 0, 0], [0, 1, 1], weights=[3.0, 1.0, 2.0])
    found, evidence = rates.of(column(7))
    np.testing.assert_allclose(found, [[(3 + 2 * 0.5) / (4 + 2) - 0.5]])
    np.testing.assert_allclose(evidence, [[4]])


@pytest.mark.parametrize("seed", range(5))
def test_a_rows_own_label_never_changes_its_own_features(seed):
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 6, (40, 3))
    labels, weights, folds = rng.integers(0, 2, 40), rng.random(40), folds_of(rng.integers(0, 15, 40), 4, seed)
    _, before = fitted(keys, labels, folds, weights)
    for row in range(40):
        flipped = labels.copy()
        flipped[row] = 1 - flipped[row]
        _, after = fitted(keys, flipped, folds, weights)
        for old, new in zip(before, after, strict=True):
            np.testing.assert_array_equal(new[folds == folds[row]], old[folds == folds[row]])
        assert not np.array_equal(after[0], before[0], equal_nan=True)


def test_a_group_is_in_one_fold_and_folds_are_of_one_size():
    groups = np.repeat(np.random.default_rng(0).integers(-(2**60), 2**60, 100), 7)
    folds = folds_of(groups, 5, seed=1)
    assert all(len(set(folds[groups == group])) == 1 for group in np.unique(groups))
    assert np.bincount(folds).tolist() == [140] * 5
    assert not np.array_equal(folds, folds_of(groups, 5, seed=2))
    np.testing.assert_array_equal(folds, folds_of(groups, 5, seed=1))


def test_one_fold_alone_knows_nothing():
    _, (found, evidence) = fitted(column(7, 8), [1, 1], [0, 0])
    np.testing.assert_array_equal(found, column(0, 0))
    np.testing.assert_array_equal(evidence, column(0, 0))


def test_nothing_known_at_all():
    rates, (found, _) = fitted(column(NONE, NONE), [1, 0], [0, 1])
    assert np.isnan(found).all()
    np.testing.assert_array_equal(rates.of(column(NONE, 5))[0], column(np.nan, 0))


def test_pairs_have_a_key_each():
    left, right = np.array([[1, 2, 0]]), np.array([[2, 1, 0]])
    found = pair_keys(left, right).reshape(3, 3)
    assert (found[:2, :2] != NONE).all()
    assert len(set(found[:2, :2].ravel().tolist())) == 4
    assert (found[2] == NONE).all()
    assert (found[:, 2] == NONE).all()
    assert keys_of(np.array([3, -1, 0])).tolist() == [[3], [NONE], [NONE]]
