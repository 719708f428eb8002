"""AUC of streamed scores, and the best AUC that a model of known click probabilities can expect."""

import numpy as np


def histogram_auc(positive: np.ndarray, negative: np.ndarray) -> float | None:
    """AUC from a histogram over scores; ties inside a bin count half.

    With the true click probability p as the score, and the sums of p and 1 - p as counts, it is the
    expected AUC of the best possible model.

    Args:
        positive: (expected) clicks per bin.
        negative: (expected) impressions without click per bin.

    Returns:
        None where one class is empty.
    """
    pairs = positive.sum() * negative.sum()
    if pairs <= 0:
        return None
    below = np.cumsum(negative) - negative
    return float(np.sum(positive * (below + negative / 2)) / pairs)


class ScoreHistogram:
    """AUC of scores in [0, 1], streamed; scores in one of `bins` equal bins count as tied."""

    def __init__(self, bins: int = 8192):
        self._positive, self._negative = np.zeros(bins), np.zeros(bins)

    def add(self, score: float, positive: float) -> None:
        """Adds an example whose label is 1 with probability `positive` (1 or 0 where it is known)."""
        index = min(int(score * len(self._positive)), len(self._positive) - 1)
        self._positive[index] += positive
        self._negative[index] += 1 - positive

    @property
    def auc(self) -> float | None:
        return histogram_auc(self._positive, self._negative)
