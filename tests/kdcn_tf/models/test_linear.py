import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as Fitted
from sklearn.metrics import log_loss

from kdcn_tf import records
from kdcn_tf.config_clicks import LrConfig
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.models.linear import LogisticRegression

SPEC = CtrSpec(("click",), 2, 2, 1, 1, ("price",), (1.0,), (2.0,))
CLICK = records.behavior_key("click")


def model(*strengths):
    return LogisticRegression(SPEC, LrConfig(strengths=strengths))


def examples(labels, **changed):
    """One example per label, of user 1 and item 10, with nothing else but what `changed` says."""
    rows = len(labels)
    lists = {key: np.zeros((rows, size), np.int64) for key, size in SPEC.list_sizes().items()}
    scalars = {records.USER: np.full(rows, 1), records.ITEM: np.full(rows, 10)}
    floats = {records.DENSE: np.full((rows, 1), np.nan, np.float32), records.WEIGHT: np.ones(rows, np.float32)}
    return {**lists, **scalars, **floats, records.LABEL: np.array(labels, np.float32), **changed}


def random_examples(rng, rows):
    """Clicks follow the parity of the item, and weakly the price."""
    items = rng.integers(10, 20, rows)
    price = rng.lognormal(1, 1, (rows, 1)).astype(np.float32)
    labels = rng.random(rows) < np.where(items % 2 == 0, 0.7, 0.2)
    return examples(
        labels, item=items, dense=price, query_keywords=rng.integers(0, 5, (rows, 2)),
        **{CLICK: rng.integers(-1, 20, (rows, 2))},
    )  # fmt: skip


def by_hand(data, seen):
    """Dense input matrix: a mean of one-hot rows per feature over its known ids, and the scaled statistic."""
    columns = []
    for key in (records.USER, records.ITEM, CLICK, records.QUERY_KEYWORDS, records.TITLE_KEYWORDS, records.CATEGORIES):
        ids = data[key].reshape(len(data[records.LABEL]), -1)
        one_hot = (ids[:, :, None] == np.array(seen[key], int)).sum(1).astype(float)
        columns.append(one_hot / np.maximum(one_hot.sum(1, keepdims=True), 1))
    price = data[records.DENSE]
    columns.append((np.sign(price) * np.log1p(np.abs(price)) - 1.0) / 2.0)
    return np.concatenate(columns, axis=1)


def test_it_is_logistic_regression_over_means_of_one_hot_ids():
    rng = np.random.default_rng(3)
    train, valid = random_examples(rng, 300), random_examples(rng, 100)
    seen = {key: sorted(set(train[key].ravel().tolist()) - {0, -1}) for key in train if train[key].dtype == np.int64}
    expected = Fitted(C=0.1, max_iter=300).fit(by_hand(train, seen), train[records.LABEL])
    found = model(0.1).fit(train, valid)
    np.testing.assert_allclose(found.logits(valid), expected.decision_function(by_hand(valid, seen)), atol=1e-3)


def test_the_strength_is_chosen_on_the_validation_split():
    rng = np.random.default_rng(4)
    train, valid = random_examples(rng, 300), random_examples(rng, 300)
    strengths = (1e-4, 0.1, 1e4)
    losses = {}
    for strength in strengths:
        logits = model(strength).fit(train, valid).logits(valid)
        losses[strength] = log_loss(valid[records.LABEL], 1 / (1 + np.exp(-logits)))
    assert model(*strengths).fit(train, valid).chosen == min(losses, key=losses.get) == 0.1


def test_ids_that_training_did_not_see_count_nothing():
    train = examples([1, 0, 1, 0], item=np.array([10, 11, 10, 11]))
    fitted = model(1.0).fit(train, train)
    strange = examples([0, 0], item=np.array([12, records.OOV_ID]), user=np.array([1, 1]))
    known = examples([0, 0], item=np.array([10, 11]))
    unseen, seen = fitted.logits(strange), fitted.logits(known)
    assert unseen[0] == unseen[1]
    # By symmetry the two items' weights are opposite, so what counts nothing lies halfway.
    assert unseen[0] == pytest.approx(seen.mean(), abs=1e-4)
    assert seen[0] > unseen[0] > seen[1]


def test_weights_of_examples_count():
    # Two clicks and two others of one kind: weights 3 to 1 are log odds of ln 3, intercept and user are
    # hardly regularised.
    data = examples([1, 1, 0, 0], weight=np.array([3.0, 3.0, 1.0, 1.0], np.float32))
    logits = model(1e4).fit(data, data).logits(data)
    assert logits == pytest.approx(np.log(3.0), abs=1e-2)


def test_no_known_id_at_all_leaves_the_intercept():
    data = examples([1, 0], item=np.full(2, records.OOV_ID), user=np.full(2, records.OOV_ID))
    logits = model(1.0).fit(data, data).logits(data)
    assert logits == pytest.approx(0.0, abs=1e-6)
