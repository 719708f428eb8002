import dataclasses
import warnings

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from support.click_models import tabular_examples

from kdcn_tf import records
from kdcn_tf.config_clicks import GbdtConfig, LrConfig
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.models.boosted import BoostedTrees
from kdcn_tf.models.linear import LogisticRegression

SPEC = CtrSpec(("click",), 3, 2, 2, 1, ("price",), (1.0,), (1.0,))
SMALL = GbdtConfig(rounds=40, patience=10, leaves=7, min_leaf_rows=10, learning_rate=0.2)


def world(seed, rows):
    """Clicks where the query names what the title names, on an item of the category of the last click."""
    rng = np.random.default_rng(seed)
    items, clicked = rng.integers(31, 51, rows), rng.integers(31, 51, (rows, 3))
    query = rng.integers(80, 84, (rows, 2))
    titles = np.stack([80 + items % 4, 80 + items % 3], axis=1)
    same = (items % 5 == clicked[:, 0] % 5).astype(float) + (query[:, 0] == titles[:, 0])
    labels = (rng.random(rows) < np.array([0.1, 0.45, 0.9])[same.astype(int)]).astype(np.float32)
    return tabular_examples(
        SPEC, rows, item=items, behavior_click=clicked, query_keywords=query, title_keywords=titles, label=labels,
        categories=(71 + items % 5)[:, None], user=rng.integers(1, 10, rows), session=np.arange(rows) // 4,
    )  # fmt: skip


def test_it_finds_what_a_linear_model_of_ids_cannot():
    train, valid, test = world(1, 2000), world(2, 500), world(3, 1000)
    trees = BoostedTrees(SPEC, SMALL, seed=1).fit(train, valid)
    linear = LogisticRegression(SPEC, LrConfig(strengths=(0.1,))).fit(train, valid)
    found, other = (roc_auc_score(test[records.LABEL], model.logits(test)) for model in (trees, linear))
    assert found > 0.64 > 0.55 > other
    logits = trees.logits(test)
    assert np.mean(1 / (1 + np.exp(-logits))) == pytest.approx(test[records.LABEL].mean(), abs=0.05)


def test_equal_seeds_give_equal_trees():
    train, valid = world(1, 400), world(2, 200)
    one, same, other = (BoostedTrees(SPEC, SMALL, seed).fit(train, valid).logits(valid) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_growing_stops_where_validation_says():
    train, valid = world(1, 400), world(2, 200)
    rng = np.random.default_rng(0)
    noise = {**train, records.LABEL: rng.integers(0, 2, 400).astype(np.float32)}
    assert BoostedTrees(SPEC, SMALL, 1).fit(noise, valid).trees < SMALL.rounds


def test_growing_goes_on_while_probabilities_get_better():
    """One number tells all: the first tree ranks as well as any later one, but its probabilities are all near 0.5."""
    price = np.tile([0.0, 1.0], 200).astype(np.float32)
    labels = np.where(np.arange(400) % 20 < 2, 1 - price, price)  # a tenth is the other way round
    train, valid = (tabular_examples(SPEC, 400, dense=price[:, None], label=labels) for _ in range(2))
    trees = BoostedTrees(SPEC, dataclasses.replace(SMALL, l2=0.0, learning_rate=0.1), 1).fit(train, valid)
    np.testing.assert_allclose(1 / (1 + np.exp(-trees.logits(valid)[:2])), [0.1, 0.9], atol=0.02)


@pytest.mark.parametrize("dense", [np.nan, 5.0, np.inf], ids=["missing", "constant", "infinite"])
def test_odd_columns_leave_finite_scores(dense):
    train, valid = (tabular_examples(SPEC, 60, dense=np.full((60, 1), dense, np.float32),
                                     label=np.arange(60) % 2) for _ in range(2))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logits = BoostedTrees(SPEC, SMALL, 1).fit(train, valid).logits(valid)
    np.testing.assert_allclose(logits, 0.0, atol=1e-6)  # nothing tells the rows apart


def test_validation_of_one_class():
    train, valid = world(1, 400), world(2, 100)
    valid[records.LABEL][:] = 0
    assert np.isfinite(BoostedTrees(SPEC, SMALL, 1).fit(train, valid).logits(valid)).all()


def test_rows_without_weight_teach_nothing():
    train, valid = world(1, 1500), world(2, 500)
    added = world(5, 1500)
    added[records.LABEL] = 1 - added[records.LABEL]
    both = {key: np.concatenate([values, added[key]]) for key, values in train.items()}
    both[records.WEIGHT][1500:] = 0
    logits = BoostedTrees(SPEC, SMALL, 1).fit(both, valid).logits(valid)
    assert roc_auc_score(valid[records.LABEL], logits) > 0.62  # with weights of 1, all that is learned cancels out
