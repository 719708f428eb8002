import numpy as np
import pytest
from scipy import stats

from kdcn_tf.report import statistics
from kdcn_tf.report.statistics import Estimate
from kdcn_tf.training import metrics


def test_the_interval_of_three_seeds():
    # Mean 2, standard deviation 1, standard error 1 / sqrt(3) = 0.5774; t(0.975, 2) = 4.3027: 2 -+ 2.4841.
    found = statistics.mean_over_seeds([1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, -0.4841, 4.4841), abs=1e-4)
    assert found.number == 3


def test_what_has_no_interval():
    assert statistics.mean_over_seeds([0.5]) == Estimate(0.5, None, None, 1)
    assert statistics.mean_over_seeds([0.5, None]) == Estimate(None, None, None, 1)
    assert statistics.mean_over_seeds([]) == Estimate(None)
    assert statistics.paired_p_value([0.3]) is None
    assert statistics.paired_p_value([0.3, 0.3, 0.3]) is None


@pytest.mark.parametrize("number", [2, 5, 30])
def test_equal_scipy(number):
    rng = np.random.default_rng(number)
    a, b = rng.normal(0.3, 1.0, number), rng.normal(0.0, 1.0, number)
    found = statistics.mean_over_seeds(list(a - b))
    low, high = stats.t.interval(0.95, number - 1, np.mean(a - b), stats.sem(a - b))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert statistics.paired_p_value(list(a - b)) == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)


def redrawn_rows(sessions, resamples):
    """The rows of each drawn test split, session by session, from the same generator."""
    codes = np.unique(sessions, return_inverse=True)[1]
    number = codes.max() + 1
    generator = np.random.default_rng(statistics._SEED)
    for first in range(0, resamples, statistics._AT_ONCE):
        at_once = min(statistics._AT_ONCE, resamples - first)
        for drawn in generator.integers(0, number, (at_once, number)):
            yield np.concatenate([np.flatnonzero(codes == session) for session in drawn])


def test_drawn_splits_repeat_whole_sessions():
    # 40 sessions, ties by rounding, more resamples than are drawn at once: each AUC is that of the rows written out.
    rng = np.random.default_rng(1)
    sessions, labels = rng.integers(0, 40, 200), rng.integers(0, 2, 200)
    scores = [np.round(rng.normal(labels, 1.5), 1), rng.normal(labels, 0.5)]
    found = statistics.resampled_aucs(labels, sessions, scores, resamples=40)
    expected = [[metrics.auc(labels[rows], vector[rows]) for rows in redrawn_rows(sessions, 40)] for vector in scores]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_drawn_splits_of_one_class_are_undefined():
    # Two sessions, one without a click: a half of the draws takes the same one twice.
    found = statistics.resampled_aucs(np.array([1, 1, 0]), np.array([8, 8, 9]), [np.array([2.0, 3.0, 1.0])], 200)
    assert set(np.unique(found[~np.isnan(found)])) == {1.0}
    assert 60 < np.isnan(found).sum() < 140
    assert np.isnan(statistics.resampled_aucs(np.ones(2), np.array([1, 2]), [np.zeros(2)], 5)).all()


def test_the_difference_over_drawn_splits():
    # Means over seeds: 0, 1, ..., 100 against 50: -50 to 50, of which 51 aren't above 0; one is undefined.
    first = np.stack([np.arange(101.0), np.arange(101.0) + 2])
    second = np.full((2, 102), 51.0)
    found = statistics.redrawn(np.append(first, [[np.nan], [1.0]], axis=1), second)
    assert (found.low, found.high) == pytest.approx((-47.5, 47.5))
    assert found.share_not_above == pytest.approx(51 / 101)
    assert found.resamples == 101
    assert statistics.redrawn(np.full((1, 3), np.nan), np.zeros((1, 3))) == statistics.Redrawn()


def test_the_interval_over_test_sets_is_as_wide_as_test_sets_differ():
    # The truth is known by drawing 150 new test sets of 300 sessions from the same source; every interval is of the
    # first alone. With sessions of 4 rows that share a click, rows drawn one by one would give half the width.
    def draw(rng):
        clicked = np.repeat(rng.random(300) < 0.3, 4)
        return clicked.astype(int), np.repeat(np.arange(300), 4), np.repeat(rng.normal(size=300), 4) + clicked

    rng = np.random.default_rng(3)
    spread = np.std([metrics.auc(labels, scores) for labels, _, scores in (draw(rng) for _ in range(150))])
    labels, sessions, scores = draw(rng)
    found = np.std(statistics.resampled_aucs(labels, sessions, [scores], 300))
    assert found == pytest.approx(spread, rel=0.2)
