import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipelines.datasets.ceiling import ScoreHistogram, histogram_auc


def test_histogram_auc_by_hand():
    # Clicks 1 and 3 in bins 0 and 2, others 2, 1 and 1: a click in bin 0 ties with two, 1 (half each); one in bin 2
    # beats three and ties with one, 3.5. (1 * 1 + 3 * 3.5) / (4 * 4) = 11.5 / 16.
    assert histogram_auc(np.array([1, 0, 3]), np.array([2, 1, 1])) == pytest.approx(11.5 / 16)
    assert histogram_auc(np.array([0, 2]), np.array([3, 0])) == 1.0
    assert histogram_auc(np.array([2]), np.array([3])) == 0.5


@pytest.mark.parametrize(("positive", "negative"), [([0, 0], [1, 2]), ([1, 2], [0, 0]), ([0], [0])])
def test_one_class_alone_has_no_auc(positive, negative):
    assert histogram_auc(np.array(positive), np.array(negative)) is None


def test_it_is_the_auc_of_drawn_labels():
    rng = np.random.default_rng(2)
    scores, labels = np.round(rng.random(500), 2), rng.random(500) < 0.3
    found = ScoreHistogram()
    for score, label in zip(scores, labels, strict=True):
        found.add(float(score), float(label))
    assert found.auc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_the_ends_of_the_scale_have_bins():
    found = ScoreHistogram(bins=4)
    found.add(0.0, 0.0)
    found.add(1.0, 1.0)
    found.add(0.999, 0.0)  # of one bin with 1.0
    assert found.auc == pytest.approx(0.75)


def test_expected_pairs_of_all_draws_of_labels():
    """Every draw of four labels, weighted by its probability: E[pairs won] / E[pairs].

    For independent labels E[y_i (1 - y_j)] = p_i (1 - p_j) for i != j; the histogram also pairs an
    impression with itself, as half a win, which is what vanishes as impressions grow in number.
    """
    p = np.array([0.2, 0.4, 0.6, 0.9])
    won = pairs = 0.0
    for draw in itertools.product([0, 1], repeat=4):
        labels = np.array(draw)
        chance = np.prod(np.where(labels, p, 1 - p))
        count = labels.sum() * (1 - labels).sum()
        pairs += chance * count
        won += chance * count * (roc_auc_score(labels, p) if count else 0.0)
    itself = np.sum(p * (1 - p))
    found = ScoreHistogram()
    for one in p:
        found.add(one, one)
    assert found.auc == pytest.approx((won + itself / 2) / (pairs + itself), abs=1e-12)
