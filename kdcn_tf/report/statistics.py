"""How sure a difference is: over seeds, and over the sessions of the test split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdcn_tf import extras

LEVEL = 0.95
RESAMPLES = 1000
_SEED = 20
_AT_ONCE = 32  # resamples: their weights lie beside each other, so that a pass over rows is one over vectors


@dataclass(frozen=True)
class Estimate:
    """A mean with the interval that holds the true one in 95 of 100 repetitions; None is undefined."""

    mean: float | None
    low: float | None = None
    high: float | None = None
    number: int = 0


@dataclass(frozen=True)
class Redrawn:
    """A difference over drawn test splits: its 95% interval, and the share of splits in which it isn't above 0."""

    low: float | None = None
    high: float | None = None
    share_not_above: float | None = None
    resamples: int = 0


def mean_over_seeds(values: Sequence[float | None]) -> Estimate:
    """The mean with Student's t interval; a single value has none.

    Args:
        values: one per seed. A None makes the mean undefined, as a mean of the others would be of another thing.
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Estimate(None, number=len(known))
    mean, number = float(np.mean(known)), len(known)
    if number == 1:
        return Estimate(mean, number=1)
    half = _t_quantile(number - 1) * _standard_error(known)
    return Estimate(mean, mean - half, mean + half, number)


def pooled(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of independent means, each counting the same; its interval says how far the chance in them moves it.

    Standard errors are read off the intervals and added in squares; degrees of freedom by Welch and Satterthwaite
    (Satterthwaite, 1946). `number` is of runs.

    Args:
        estimates: of `mean_over_seeds`. An undefined one makes the mean undefined, one without interval the interval.
    """
    number = sum(one.number for one in estimates)
    means = [one.mean for one in estimates if one.mean is not None]
    if not means or len(means) < len(estimates):
        return Estimate(None, number=number)
    mean = float(np.mean(means))
    parts = [(one.high - one.low, one.number - 1) for one in estimates if one.low is not None and one.high is not None]
    if len(parts) < len(estimates):
        return Estimate(mean, number=number)
    squares = [((width / 2 / _t_quantile(freedom)) ** 2, freedom) for width, freedom in parts]
    total = sum(square for square, _ in squares)
    if not total:
        return Estimate(mean, mean, mean, number)
    freedom = total**2 / sum(square**2 / freedom for square, freedom in squares)
    half = _t_quantile(freedom) * total**0.5 / len(means)
    return Estimate(mean, mean - half, mean + half, number)


def pooled_draws(intervals: Sequence[tuple[float | None, float | None]], mean: float | None) -> Redrawn:
    """The interval over drawn test splits of a mean of means whose test rows have nothing to do with each other.

    Half widths are added in squares, as those of normal distributions may be.

    Args:
        intervals: (low, high) of each, of `redrawn`; None is undefined, and makes the whole so.
        mean: around which it lies.
    """
    widths = [high - low for low, high in intervals if low is not None and high is not None]
    if mean is None or not widths or len(widths) < len(intervals):
        return Redrawn()
    half = float(np.linalg.norm(widths)) / 2 / len(widths)
    return Redrawn(mean - half, mean + half)


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) / len(values) ** 0.5


def _t_quantile(freedom: float) -> float:
    return float(extras.load("scipy.special").stdtrit(freedom, 0.5 + LEVEL / 2))


def paired_p_value(differences: Sequence[float]) -> float | None:
    """Of the two-sided paired t-test: how often seeds alone give a mean this far from 0.

    Returns:
        None for one seed, and where all differences are equal: seeds then say nothing.
    """
    if len(differences) < 2 or np.ptp(differences) == 0:
        return None
    t = abs(float(np.mean(differences))) / _standard_error(differences)
    return float(2 * extras.load("scipy.special").stdtr(len(differences) - 1, -t))


def resampled_aucs(
    labels: np.ndarray, sessions: np.ndarray, scores: Sequence[np.ndarray], resamples: int = RESAMPLES
) -> np.ndarray:
    """AUCs of score vectors on the same test splits, drawn anew: as many sessions, with repetition.

    Args:
        labels: [n], 0 or 1.
        sessions: [n]; rows of one session come together, as they aren't independent.
        scores: vectors [n].
        resamples: how many splits are drawn, always the same ones.

    Returns:
        [vectors, resamples], NaN where a drawn split holds one class only.
    """
    codes = np.unique(sessions, return_inverse=True)[1].reshape(-1)
    number = int(codes.max()) + 1 if len(codes) else 0
    clicked = np.asarray(labels) == 1
    found = np.full((len(scores), resamples), np.nan)
    if not clicked.any() or clicked.all():
        return found
    plans = [_Ordered.of(codes, clicked, np.asarray(vector)) for vector in scores]
    generator = np.random.default_rng(_SEED)
    for first in range(0, resamples, _AT_ONCE):
        places = slice(first, min(first + _AT_ONCE, resamples))
        weights = _drawn(generator, number, places.stop - places.start)
        positive, negative = (np.bincount(codes[rows], minlength=number) @ weights for rows in (clicked, ~clicked))
        pairs = positive.astype(np.float64) * negative
        for row, plan in enumerate(plans):
            with np.errstate(invalid="ignore"):
                found[row, places] = plan.wins(weights) / np.where(pairs > 0, pairs, np.nan)
    return found


def _drawn(generator: np.random.Generator, sessions: int, resamples: int) -> np.ndarray:
    """How often each session is drawn: [sessions, resamples]."""
    drawn = generator.integers(0, sessions, (resamples, sessions)) + sessions * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.reshape(-1), minlength=resamples * sessions)
    # Sums of these stay below 2^24, up to which float32 counts exactly.
    return np.ascontiguousarray(counts.reshape(resamples, sessions).T.astype(np.float32))


@dataclass(frozen=True)
class _Ordered:
    """A score vector's order, in which a weighted AUC takes a sum over rows."""

    negatives: np.ndarray  # session of each row without a click, by rising score
    positives: np.ndarray  # session of each click
    below: np.ndarray  # rows without a click that score below each click
    upto: np.ndarray  # and below or the same

    @classmethod
    def of(cls, codes: np.ndarray, clicked: np.ndarray, scores: np.ndarray) -> "_Ordered":
        order = np.argsort(scores[~clicked], kind="stable")
        ranked = scores[~clicked][order]
        below, upto = (np.searchsorted(ranked, scores[clicked], side) for side in ("left", "right"))
        return cls(codes[~clicked][order], codes[clicked], below, upto)

    def wins(self, weights: np.ndarray) -> np.ndarray:
        """Pairs in which the click scores higher, ties counting half: [resamples]."""
        sums = np.zeros((len(self.negatives) + 1, weights.shape[1]), np.float32)
        np.cumsum(weights[self.negatives], axis=0, out=sums[1:])
        beaten = sums[self.below]
        beaten += sums[self.upto]
        return 0.5 * np.einsum("pr,pr->r", weights[self.positives], beaten, dtype=np.float64)


def redrawn(first: np.ndarray, second: np.ndarray) -> Redrawn:
    """The seed-averaged difference of two models over the same drawn splits.

    Args:
        first: [seeds, resamples], of `resampled_aucs`.
        second: the same of the other model.
    """
    differences = np.mean(first, axis=0) - np.mean(second, axis=0)
    known = differences[np.isfinite(differences)]
    if not len(known):
        return Redrawn()
    low, high = np.quantile(known, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    return Redrawn(float(low), float(high), float(np.mean(known <= 0)), len(known))
