"""Click rates of ids and of pairs of ids as features, such that no row's own label is in its features."""

import numpy as np

NONE = 0
"""The key that stands for no id, or for one that nobody knows."""

_PAIR = 2**31  # pairs have keys of their own up to two billion entities


def keys_of(ids: np.ndarray) -> np.ndarray:
    """Keys [n, m] of ids [n] or [n, m]; NONE for padding and for unknown entities."""
    return np.maximum(ids.reshape(len(ids), -1), NONE)


def pair_keys(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Keys [n, l * r] of all pairs of a key on the left [n, l] and one on the right [n, r] of each row."""
    one, other = left[:, :, None], right[:, None, :]
    return np.where((one != NONE) & (other != NONE), one * _PAIR + other, NONE).reshape(len(left), -1)


def folds_of(groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A fold [n] in [0, count) per row; rows of one group are in one fold."""
    distinct, places = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(distinct))
    return (order % count)[places]


class ClickRates:
    r"""Smoothed click rate of every key in the training rows, less that of all of them.

    $$ r = \frac{\sum_i w_i y_i + s p}{\sum_i w_i + s} - p = \frac{\sum_i w_i (y_i - p)}{\sum_i w_i + s} $$

    over the rows i that have the key, where p is the rate of all rows. What a training row gets is computed from the
    rows of the other folds alone, p included. As p differs from fold to fold, and is the lower the more clicks the fold
    itself has, it would tell trees the fold and with it the label; so it is taken off.

    Args:
        smoothing: s, the weight of p in rows.
    """

    def __init__(self, smoothing: float):
        self._smoothing = smoothing
        self._keys, self._sums, self._prior = np.zeros(0, np.int64), np.zeros((2, 0)), 0.0

    def fit(
        self, keys: np.ndarray, labels: np.ndarray, weights: np.ndarray, folds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Learns the rates; returns those of the training rows, out of fold.

        Args:
            keys: [n, m].
            labels: [n], 0 or 1.
            weights: [n].
            folds: [n].

        Returns:
            Rates and evidence (weight of the rows behind them), [n, m] each; NaN and 0 for NONE.
        """
        known = keys != NONE
        rows = np.nonzero(known)[0]
        self._keys, codes = np.unique(keys[known], return_inverse=True)
        clicks, weights = (labels * weights).astype(np.float64), weights.astype(np.float64)
        self._sums, self._prior = self._summed(codes, rows, clicks, weights), _rate(clicks, weights)
        rates, evidence = np.full(keys.shape, np.nan), np.zeros(keys.shape)
        own_rates, own_evidence, fold_of = np.empty(len(rows)), np.empty(len(rows)), folds[rows]
        for fold in np.unique(folds):
            inside, others = fold_of == fold, folds != fold
            # Summed anew, not as a difference from all: rounding would let a little of the row's own label through.
            sums = self._summed(codes[~inside], rows[~inside], clicks, weights)
            found = sums[:, codes[inside]]
            own_rates[inside] = self._smoothed(found, _rate(clicks[others], weights[others]))
            own_evidence[inside] = found[1]
        rates[known], evidence[known] = own_rates, own_evidence
        return rates, evidence

    def of(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rates and evidence of rows that weren't trained on; a key that training didn't see has 0 of both."""
        places = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        seen = self._keys[places] == keys if len(self._keys) else np.zeros(keys.shape, bool)
        sums = np.where(seen, self._sums[:, places], 0.0) if len(self._keys) else np.zeros((2, *keys.shape))
        return np.where(keys != NONE, self._smoothed(sums, self._prior), np.nan), sums[1]

    def _summed(self, codes: np.ndarray, rows: np.ndarray, clicks: np.ndarray, weights: np.ndarray) -> np.ndarray:
        size = len(self._keys)
        return np.stack([np.bincount(codes, values[rows], size) for values in (clicks, weights)])

    def _smoothed(self, sums: np.ndarray, prior: float) -> np.ndarray:
        return (sums[0] - prior * sums[1]) / (sums[1] + self._smoothing)


def _rate(clicks: np.ndarray, weights: np.ndarray) -> float:
    return float(clicks.sum() / weights.sum()) if weights.sum() > 0 else 0.5
