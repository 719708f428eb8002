import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from kdcn_tf.training import metrics

LN3 = np.log(3.0)


def array(*values):
    return np.array(values, np.float64)


@pytest.fixture(scope="module")
def impressions():
    """(labels, logits, sessions) of 3000 impressions in some 300 sessions; logits are rounded, so many are equal."""
    rng = np.random.default_rng(5)
    sessions = rng.integers(0, 300, 3000)
    logits = np.round(rng.normal(-1.5, 1.0, 3000), 1)
    labels = (rng.random(3000) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    return labels, logits, sessions


def by_session(impressions):
    labels, logits, sessions = impressions
    return [(labels[sessions == s], logits[sessions == s]) for s in np.unique(sessions)]


def test_auc_counts_ties_half():
    # Clicks score 3 and 2, the others 2 and 1: 3 > 2, 3 > 1, 2 = 2 (half), 2 > 1: 3.5 of 4 pairs.
    assert metrics.auc(array(1, 0, 1, 0), array(3, 2, 2, 1)) == pytest.approx(0.875)
    assert metrics.auc(array(1, 0, 1, 0), array(7, 7, 7, 7)) == pytest.approx(0.5)


def test_gauc_weighs_sessions_by_impressions():
    # Session 8, two impressions: AUC 1. Session 3, three: the click at 1 loses to 2 and ties with 1: (0 + 0.5) / 2.
    # Session 5 has no click and 6 nothing else: left out. (2 * 1 + 3 * 0.25) / 5 = 0.55.
    labels = array(1, 0, 1, 0, 0, 0, 0, 1)
    scores = array(5, 4, 1, 2, 1, 9, 9, 9)
    assert metrics.gauc(labels, scores, array(8, 8, 3, 3, 3, 5, 5, 6)) == pytest.approx(0.55)


def test_gauc_does_not_depend_on_the_order_of_impressions(impressions):
    mixed = np.random.default_rng(0).permutation(len(impressions[0]))
    assert metrics.gauc(*(column[mixed] for column in impressions)) == pytest.approx(metrics.gauc(*impressions))


@pytest.mark.parametrize(
    ("labels", "scores", "k", "expected"),
    [
        # Clicks on places 2 and 3: 1/log2(3) = 0.6309 and 1/log2(4) = 0.5; best is 1 + 0.6309 = 1.6309.
        (array(1, 0, 1), array(1, 3, 2), 3, 1.1309 / 1.6309),
        (array(1, 0, 1), array(1, 3, 2), 2, 0.6309 / 1.6309),
        # The click shares places 1 and 2: (1 + 0.6309) / 2 = 0.8155; best is 1.
        (array(1, 0, 0), array(4, 4, 1), 5, 0.8155),
        # It shares places 1 to 3, of which only the first counts: 1/3.
        (array(0, 1, 0), array(4, 4, 4), 1, 1 / 3),
    ],
    ids=["all", "cut", "tie", "tie over the cut"],
)
def test_ndcg_of_one_session(labels, scores, k, expected):
    assert metrics.ndcg(labels, scores, np.zeros(3), k) == pytest.approx(expected, abs=1e-4)


def test_ndcg_is_the_mean_over_sessions_with_a_click():
    # Session 2: click on place 1, NDCG 1. Session 1: on place 2, 0.6309. Session 3 has none. (1 + 0.6309) / 2.
    got = metrics.ndcg(array(0, 1, 1, 0, 0), array(2, 4, 1, 3, 1), array(2, 2, 1, 1, 3), 5)
    assert got == pytest.approx(0.8155, abs=1e-4)


def test_log_loss_is_equation_13():
    # Logit 0 is p = 0.5, ln 3 is p = 0.75: -(ln 0.5 + ln 0.25) / 2 = (0.6931 + 1.3863) / 2 = 1.0397.
    assert metrics.log_loss(array(1, 0), array(0, LN3)) == pytest.approx(1.0397, abs=1e-4)
    # A logit of 1000 is p = 1 in floating point; the loss is 1000 nonetheless.
    assert metrics.log_loss(array(0, 1), array(1000, 1000)) == pytest.approx(500.0)


def test_calibration():
    # Mean p (0.5 + 0.75) / 2 = 0.625, mean label 0.5: 1.25. Huge logits don't overflow: p = 0 and 1, labels 0 and 1.
    assert metrics.calibration(array(1, 0), array(0, LN3)) == pytest.approx(1.25)
    assert metrics.calibration(array(0, 1), array(-1e4, 1e4)) == pytest.approx(1.0)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_alone_has_no_auc(label):
    found = metrics.summarize(np.full(3, label), array(1, 2, 3), array(1, 1, 2))
    assert found["auc"] is None
    assert found["gauc"] is None
    assert found["log_loss"] is not None
    assert found["click_rate"] == label
    # Without a click there is nothing to rank or to calibrate on; with clicks alone every order is best.
    assert [found["ndcg@5"], found["ndcg@10"]] == ([None, None] if label == 0 else [1.0, 1.0])
    assert (found["calibration"] is None) == (label == 0)


def test_no_impressions_have_no_figures():
    found = metrics.summarize(array(), array(), array())
    assert found.pop("impressions") == 0
    assert set(found.values()) == {None}


def test_sliced():
    # Slice "a" has labels 1, 0 at scores 2, 1: AUC 1. Slice "b" has them at 1, 2: AUC 0.
    found = metrics.sliced(
        array(1, 0, 1, 0), array(2, 1, 1, 2), array(1, 1, 2, 2), {"source": np.array([b"a", b"a", b"b", b"b"])},
        lambda column, value: f"{column} {value.decode()}",
    )  # fmt: skip
    assert {name: figures["auc"] for name, figures in found["source"].items()} == {"source a": 1.0, "source b": 0.0}
    assert [figures["impressions"] for figures in found["source"].values()] == [2, 2]


def test_auc_and_log_loss_equal_scikit_learn(impressions):
    labels, logits, _ = impressions
    assert metrics.auc(labels, logits) == pytest.approx(sklearn_metrics.roc_auc_score(labels, logits), abs=1e-12)
    expected = sklearn_metrics.log_loss(labels, 1 / (1 + np.exp(-logits)))
    assert metrics.log_loss(labels, logits) == pytest.approx(expected, abs=1e-12)


def test_gauc_equals_scikit_learn(impressions):
    mixed = [(labels, logits) for labels, logits in by_session(impressions) if 0 < labels.sum() < len(labels)]
    areas = [sklearn_metrics.roc_auc_score(labels, logits) for labels, logits in mixed]
    expected = np.average(areas, weights=[len(labels) for labels, _ in mixed])
    assert metrics.gauc(*impressions) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_ndcg_equals_scikit_learn(impressions, k):
    # scikit-learn wants two documents at least; a single clicked one has NDCG 1.
    expected = [
        sklearn_metrics.ndcg_score([labels], [logits], k=k) if len(labels) > 1 else 1.0
        for labels, logits in by_session(impressions)
        if labels.any()
    ]
    assert metrics.ndcg(*impressions, k) == pytest.approx(np.mean(expected), abs=1e-12)
