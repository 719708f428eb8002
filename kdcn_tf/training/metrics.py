"""Metrics of click prediction, exact, in NumPy. None means 'undefined', as for AUC without a click."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Figures = dict[str, float | None]

NDCG_AT = (5, 10)

BINS = 10
"""Of the calibration error."""


def auc(labels: np.ndarray, scores: np.ndarray, counts: np.ndarray | None = None) -> float | None:
    """Area under the ROC curve: how often a click scores above a non-click, ties counting half.

    Exact, where a histogram of thresholds is wrong at low click rates.

    Args:
        labels: [n], 0 or 1.
        scores: [n], any monotone score.
        counts: [n], impressions that a row stands for, where it isn't one; `labels` are the clicks among them.

    Returns:
        None where only one class occurs.
    """
    areas, _ = _grouped_auc(labels, scores, np.zeros(len(labels), np.int64), counts)
    return float(areas[0]) if len(areas) else None


def _grouped_auc(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, counts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and impressions of each group in which both classes occur."""
    if not len(labels):
        return np.empty(0), np.empty(0)
    order = np.lexsort((scores, groups))
    clicks, shown = (column[order] for column in _counted(labels, counts))
    scores, groups = np.asarray(scores)[order], np.asarray(groups)[order]
    runs = _starts(groups, scores)  # a run: equal scores of a group
    clicks, shown = np.add.reduceat(clicks, runs), np.add.reduceat(shown, runs)
    others, starts = shown - clicks, _starts(groups[runs])
    positives, negatives = np.add.reduceat(clicks, starts), np.add.reduceat(others, starts)
    before = np.cumsum(others) - others
    below = before - np.repeat(before[starts], np.diff(np.append(starts, len(runs))))
    won = np.add.reduceat(clicks * (below + others / 2), starts)
    both = (positives > 0) & (negatives > 0)
    return won[both] / (positives[both] * negatives[both]), (positives + negatives)[both]


def _counted(labels: np.ndarray, counts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Clicks and impressions of each row, float64: whole numbers are exact up to 2^53."""
    clicks = np.asarray(labels, np.float64)
    return clicks, np.ones(len(clicks)) if counts is None else np.asarray(counts, np.float64)


def _starts(*sorted_columns: np.ndarray) -> np.ndarray:
    """Where a new combination of values begins."""
    changed = np.zeros(len(sorted_columns[0]), bool)
    changed[0] = True
    for column in sorted_columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed)


def gauc(labels: np.ndarray, scores: np.ndarray, sessions: np.ndarray) -> float | None:
    """Mean AUC of the sessions in which both classes occur, weighted by their impressions."""
    areas, sizes = _grouped_auc(labels, scores, _codes(sessions))
    return float(np.average(areas, weights=sizes)) if len(areas) else None


def _codes(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def log_loss(labels: np.ndarray, logits: np.ndarray, counts: np.ndarray | None = None) -> float | None:
    """Equation 13, from logits; `counts` as for `auc`."""
    if not len(labels):
        return None
    clicks, shown = _counted(labels, counts)
    logits = np.asarray(logits, np.float64)
    return float(np.sum(shown * np.logaddexp(0.0, logits) - clicks * logits) / np.sum(shown))


def ndcg(labels: np.ndarray, scores: np.ndarray, sessions: np.ndarray, k: int) -> float | None:
    """Mean NDCG@k of the sessions with a click; equal scores share the mean of their discounts."""
    found = _ndcgs(labels, scores, _codes(sessions), k)
    return float(np.mean(found)) if len(found) else None


def _ndcgs(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each group with a click."""
    if not len(labels):
        return np.empty(0)
    order = np.lexsort((-np.asarray(scores, np.float64), groups))
    gains = np.asarray(labels, np.float64)[order]
    groups, scores = groups[order], np.asarray(scores, np.float64)[order]
    starts = _starts(groups)
    sizes = np.diff(np.append(starts, len(groups)))
    discounts = _discounts(np.arange(len(groups)) - np.repeat(starts, sizes), k)
    ties = _starts(groups, scores)
    tie_sizes = np.diff(np.append(ties, len(groups)))
    shared = np.repeat(np.add.reduceat(discounts, ties) / tie_sizes, tie_sizes)
    reached = np.add.reduceat(gains * shared, starts)
    clicks = np.add.reduceat(gains, starts)
    # The best order puts a session's clicks first.
    first = np.arange(len(groups)) - np.repeat(starts, sizes) < np.repeat(clicks, sizes)
    best = np.add.reduceat(discounts * first, starts)
    clicked = clicks > 0
    return reached[clicked] / best[clicked]


def _discounts(positions: np.ndarray, k: int) -> np.ndarray:
    return np.where(positions < k, 1.0 / np.log2(positions + 2.0), 0.0)


def calibration(labels: np.ndarray, logits: np.ndarray, counts: np.ndarray | None = None) -> float | None:
    """Mean predicted click probability over mean label; 1 is right on average. `counts` as for `auc`."""
    clicks, shown = _counted(labels, counts)
    if not np.any(clicks):
        return None
    return float(np.sum(shown * probabilities(logits)) / np.sum(clicks))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Click probabilities of logits, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits, np.float64)))


def selection_score(auc: float | None, log_loss: float) -> float:
    """What weights are chosen by on validation: AUC, or where that is undefined the negative log loss."""
    return -log_loss if auc is None else auc


@dataclass(frozen=True)
class Bin:
    """Impressions of neighbouring logits.

    Attributes:
        impressions: in it.
        predicted: their mean click probability.
        clicked: their click rate.
    """

    impressions: int
    predicted: float
    clicked: float


def calibration_bins(
    labels: np.ndarray, logits: np.ndarray, counts: np.ndarray | None = None, bins: int = BINS
) -> list[Bin]:
    """Predicted and true click rate in bins of equally many impressions, from low logits to high ones.

    Equal logits stay together, in the bin where the middle of them lies, so bins don't depend on the order of rows;
    where many are equal, bins differ in size, and those that hold nothing are left out. `counts` as for `auc`.
    """
    if not len(labels):
        return []
    order = np.argsort(logits)
    clicks, shown = (column[order] for column in _counted(labels, counts))
    predicted = shown * probabilities(logits)[order]
    runs = _starts(np.asarray(logits)[order])
    sizes = np.add.reduceat(shown, runs)
    middles = np.cumsum(sizes) - sizes / 2
    starts = runs[_starts(np.floor(bins * middles / np.sum(sizes)))]
    sums = (np.add.reduceat(column, starts) for column in (shown, predicted, clicks))
    return [Bin(int(n), float(p / n), float(c / n)) for n, p, c in zip(*sums, strict=True)]


def calibration_error(
    labels: np.ndarray, logits: np.ndarray, counts: np.ndarray | None = None, bins: int = BINS
) -> float | None:
    """Expected calibration error: mean distance of predicted and true click rate over `calibration_bins`."""
    found = calibration_bins(labels, logits, counts, bins)
    if not found:
        return None
    total = sum(one.impressions for one in found)
    return sum(one.impressions * abs(one.predicted - one.clicked) for one in found) / total


class SessionSums(NamedTuple):
    """What the metrics that are means over sessions consist of; sums over disjoint sessions add up.

    Attributes:
        areas: AUC times impressions, of the sessions in which both classes occur.
        mixed: impressions of those.
        gains: NDCG@k for each k of `NDCG_AT`, of the sessions with a click.
        clicked: number of those.
    """

    areas: float = 0.0
    mixed: int = 0
    gains: tuple[float, ...] = (0.0,) * len(NDCG_AT)
    clicked: int = 0

    @classmethod
    def of(cls, labels: np.ndarray, logits: np.ndarray, sessions: np.ndarray) -> "SessionSums":
        groups = _codes(sessions)
        areas, sizes = _grouped_auc(labels, logits, groups)
        gains = [_ndcgs(labels, logits, groups, k) for k in NDCG_AT]
        return cls(float(np.sum(areas * sizes)), int(np.sum(sizes)), tuple(map(float, map(np.sum, gains))),
                   len(gains[0]))  # fmt: skip

    def plus(self, other: "SessionSums") -> "SessionSums":
        gains = tuple(a + b for a, b in zip(self.gains, other.gains, strict=True))
        return SessionSums(self.areas + other.areas, self.mixed + other.mixed, gains, self.clicked + other.clicked)

    def figures(self) -> Figures:
        means = [gain / self.clicked if self.clicked else None for gain in self.gains]
        named = {f"ndcg@{k}": mean for k, mean in zip(NDCG_AT, means, strict=True)}
        return {"gauc": self.areas / self.mixed if self.mixed else None, **named}


def require_finite(logits: np.ndarray) -> None:
    """Raises: ValueError: logits that are NaN, which would sort last and look like good scores, or infinite."""
    if wrong := int(np.sum(~np.isfinite(logits))):
        raise ValueError(f"{wrong:,} of {len(logits):,} logits are NaN or infinite")


def figures(labels: np.ndarray, logits: np.ndarray, counts: np.ndarray | None, sums: SessionSums) -> Figures:
    """All metrics, of rows as `auc` takes them and of their sessions."""
    clicks, shown = _counted(labels, counts)
    impressions = float(np.sum(shown))
    return {
        "auc": auc(labels, logits, counts),
        "log_loss": log_loss(labels, logits, counts),
        **sums.figures(),
        "calibration": calibration(labels, logits, counts),
        "calibration_error": calibration_error(labels, logits, counts),
        "impressions": impressions,
        "click_rate": float(np.sum(clicks) / impressions) if impressions else None,
    }


def summarize(labels: np.ndarray, logits: np.ndarray, sessions: np.ndarray) -> Figures:
    """All metrics of one set of impressions.

    Args:
        labels: [n], 0 or 1.
        logits: [n].
        sessions: [n], session of each impression.

    Raises:
        ValueError: logits that are NaN or infinite.
    """
    require_finite(logits)
    return figures(labels, logits, None, SessionSums.of(labels, logits, sessions))
