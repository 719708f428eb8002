import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from kdcn_tf.training import metrics

LN3 = np.log(3.0)


def array(*values):
    return np.array(values, np.float64)


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


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="2 of 3 logits are NaN or infinite"):
        metrics.summarize(array(1, 0, 1), array(np.nan, 0, np.inf), array(1, 1, 1))


@st.composite
def impressions(draw):
    """Labels, logits with many ties, and sessions, of any click rate; also of one class, and of one row."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, rate = draw(st.integers(1, 60)), draw(st.sampled_from([0.0, 0.03, 0.3, 0.8, 1.0]))
    logits = np.round(rng.normal(-1.0, 2.0, rows), draw(st.integers(0, 2)))
    return (rng.random(rows) < rate).astype(np.float32), logits, rng.integers(0, draw(st.integers(1, 20)), rows)


@given(impressions())
@settings(max_examples=60, deadline=None)
def test_equal_scikit_learn(found):
    labels, logits, sessions = found
    probabilities = 1 / (1 + np.exp(-logits))
    groups = [(labels[sessions == s], logits[sessions == s]) for s in np.unique(sessions)]
    mixed = [(y, x) for y, x in groups if 0 < y.sum() < len(y)]
    areas = [sklearn_metrics.roc_auc_score(y, x) for y, x in mixed]
    both = 0 < labels.sum() < len(labels)
    expected = {
        "auc": sklearn_metrics.roc_auc_score(labels, logits) if both else None,
        "log_loss": sklearn_metrics.log_loss(labels, probabilities, labels=[0, 1]),
        "gauc": np.average(areas, weights=[len(y) for y, _ in mixed]) if mixed else None,
    }
    for k in metrics.NDCG_AT:  # scikit-learn wants two documents at least; a single clicked one has NDCG 1
        clicked = [sklearn_metrics.ndcg_score([y], [x], k=k) if len(y) > 1 else 1.0 for y, x in groups if y.any()]
        expected[f"ndcg@{k}"] = np.mean(clicked) if clicked else None
    got = metrics.summarize(labels, logits, sessions)
    assert {name: got[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@given(impressions(), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_bins_of_the_calibration_error(found, bins):
    labels, logits, _ = found
    order = np.random.default_rng(3).permutation(len(labels))
    made = metrics.calibration_bins(labels, logits, bins=bins)
    shuffled = metrics.calibration_bins(labels[order], logits[order], bins=bins)
    assert [one.impressions for one in made] == [one.impressions for one in shuffled]
    # Each bin holds neighbouring logits, wholly: cutting the sorted logits by the bins' sizes cuts no tie.
    assert sum(one.impressions for one in made) == len(labels)
    parts = np.split(np.sort(logits), np.cumsum([one.impressions for one in made])[:-1])
    assert all(low[-1] < high[0] for low, high in itertools.pairwise(parts))
    for part, one in zip(parts, made, strict=True):
        inside = np.isin(logits, part)
        assert one.clicked == pytest.approx(labels[inside].mean())
        assert one.predicted == pytest.approx((1 / (1 + np.exp(-logits[inside]))).mean())
    if len(np.unique(logits)) == len(logits):
        sizes = [one.impressions for one in made]
        assert max(sizes) - min(sizes) <= 1


def test_calibration_error():
    # Two bins of two: p (0.25, 0.5) with one click, p (0.75, 0.75) with one: (2 |0.375 - 0.5| + 2 |0.75 - 0.5|) / 4.
    labels, logits = array(0, 1, 1, 0), array(-LN3, 0, LN3, LN3)
    assert metrics.calibration_error(labels, logits, bins=2) == pytest.approx(0.1875)
    # One bin cannot tell them apart: |0.5625 - 0.5|.
    assert metrics.calibration_error(labels, logits, bins=1) == pytest.approx(0.0625)
    # As good as calibrated bins get: each logit's click rate is its probability.
    assert metrics.calibration_error(array(1, 0, 0, 0), array(-LN3, -LN3, -LN3, -LN3)) == pytest.approx(0.0)
