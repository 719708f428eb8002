"""Metrics of click prediction, exact, in NumPy. None means 'undefined', as for AUC without a click."""

from collections.abc import Callable, Mapping

import numpy as np

Figures = dict[str, float | None]

NDCG_AT = (5, 10)


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve: how often a click scores above a non-click, ties counting half.

    Exact (from ranks), where a histogram of thresholds is wrong at low click rates.

    Args:
        labels: [n], 0 or 1.
        scores: [n], any monotone score.

    Returns:
        None where only one class occurs.
    """
    return _grouped_auc(labels, scores, np.zeros(len(labels), np.int64))[0].get(0)


def _grouped_auc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> tuple[dict[int, float], dict[int, int]]:
    """AUC and size of each group in which both classes occur."""
    labels, scores = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if not len(labels):
        return {}, {}
    order = np.lexsort((scores, groups))
    labels, scores, groups = labels[order], scores[order], np.asarray(groups)[order]
    starts = _starts(groups)
    sizes = np.diff(np.append(starts, len(groups)))
    ranks = _tied_ranks(groups, scores) - np.repeat(starts, sizes)
    positives = np.add.reduceat(labels, starts)
    negatives = sizes - positives
    rank_sums = np.add.reduceat(labels * ranks, starts)
    both = (positives > 0) & (negatives > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        areas = (rank_sums - positives * (positives + 1) / 2) / (positives * negatives)
    names = groups[starts]
    kept = np.flatnonzero(both)
    return {names[i]: float(areas[i]) for i in kept}, {names[i]: int(sizes[i]) for i in kept}


def _starts(*sorted_columns: np.ndarray) -> np.ndarray:
    """Where a new combination of values begins."""
    changed = np.zeros(len(sorted_columns[0]), bool)
    changed[0] = True
    for column in sorted_columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed)


def _tied_ranks(groups: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """1-based positions in the sorted arrays; equal scores of a group share the mean of theirs."""
    starts = _starts(groups, scores)
    ends = np.append(starts[1:], len(scores))
    return np.repeat((starts + 1 + ends) / 2, ends - starts)


def gauc(labels: np.ndarray, scores: np.ndarray, sessions: np.ndarray) -> float | None:
    """Mean AUC of the sessions in which both classes occur, weighted by their impressions."""
    areas, sizes = _grouped_auc(labels, scores, _codes(sessions))
    if not areas:
        return None
    return float(np.average(list(areas.values()), weights=list(sizes.values())))


def _codes(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def log_loss(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Equation 13, from logits."""
    if not len(labels):
        return None
    labels, logits = np.asarray(labels, np.float64), np.asarray(logits, np.float64)
    return float(np.mean(np.logaddexp(0.0, logits) - labels * logits))


def ndcg(labels: np.ndarray, scores: np.ndarray, sessions: np.ndarray, k: int) -> float | None:
    """Mean NDCG@k of the sessions with a click; equal scores share the mean of their discounts."""
    if not len(labels):
        return None
    groups = _codes(sessions)
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
    return float(np.mean(reached[clicked] / best[clicked])) if clicked.any() else None


def _discounts(positions: np.ndarray, k: int) -> np.ndarray:
    return np.where(positions < k, 1.0 / np.log2(positions + 2.0), 0.0)


def calibration(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Mean predicted click probability over mean label; 1 is right on average."""
    if not len(labels) or not np.any(labels):
        return None
    probabilities = 0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits, np.float64)))
    return float(np.mean(probabilities) / np.mean(labels))


def summarize(labels: np.ndarray, logits: np.ndarray, sessions: np.ndarray) -> Figures:
    """All metrics of one set of impressions.

    Args:
        labels: [n], 0 or 1.
        logits: [n].
        sessions: [n], session of each impression.

    Raises:
        ValueError: logits that are NaN, which would sort last and look like good scores, or infinite.
    """
    if wrong := int(np.sum(~np.isfinite(logits))):
        raise ValueError(f"{wrong:,} of {len(logits):,} logits are NaN or infinite")
    return {
        "auc": auc(labels, logits),
        "gauc": gauc(labels, logits, sessions),
        "log_loss": log_loss(labels, logits),
        **{f"ndcg@{k}": ndcg(labels, logits, sessions, k) for k in NDCG_AT},
        "calibration": calibration(labels, logits),
        "impressions": float(len(labels)),
        "click_rate": float(np.mean(labels)) if len(labels) else None,
    }


def sliced(
    labels: np.ndarray,
    logits: np.ndarray,
    sessions: np.ndarray,
    by: Mapping[str, np.ndarray],
    name_of: Callable[[str, object], str] = lambda _, value: str(value),
) -> dict[str, dict[str, Figures]]:
    """Metrics of the slices by each of several columns.

    Args:
        labels: [n].
        logits: [n].
        sessions: [n].
        by: column name -> values [n].
        name_of: (column, value) -> name of the slice.

    Returns:
        Column -> slice -> metrics.
    """
    found: dict[str, dict[str, Figures]] = {}
    for column, values in by.items():
        found[column] = {}
        for value in np.unique(values):
            mask = values == value
            found[column][name_of(column, value)] = summarize(labels[mask], logits[mask], sessions[mask])
    return found
