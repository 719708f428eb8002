"""Whether predicted click probabilities are the shares that are clicked."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from kdcn_tf.report import statistics
from kdcn_tf.report.runs import Run

BINS = 10


def bins(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Sums over bins of equal mass: rows, predicted probabilities and clicks, [BINS, 3].

    Equal predictions stay in one bin, so that the order of rows doesn't matter; a bin may then be empty.
    """
    predicted = 0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits, np.float64)))
    edges = np.sort(predicted)[[len(predicted) * place // BINS for place in range(1, BINS)]]
    places = np.searchsorted(edges, predicted, "right")
    columns = (np.ones(len(predicted)), predicted, np.asarray(labels, np.float64))
    return np.stack([np.bincount(places, column, minlength=BINS) for column in columns], axis=1)


def expected_error(sums: np.ndarray) -> float:
    """Expected calibration error: the mean distance of predicted and observed share, bins weighed by rows."""
    return float(np.sum(np.abs(sums[:, 1] - sums[:, 2])) / np.sum(sums[:, 0]))


def calibration(labels: np.ndarray, runs: Sequence[Run]) -> dict[str, Any]:
    """Bins with the rows of all seeds, and the error of each seed, averaged: errors of two seeds mustn't cancel."""
    every = [bins(labels, run.logits) for run in runs]
    together = np.sum(every, axis=0)
    return {
        "expected_error": asdict(statistics.mean_over_seeds([expected_error(sums) for sums in every])),
        "bins": [
            {"predicted": predicted / rows, "observed": clicks / rows, "rows": int(rows)}
            for rows, predicted, clicks in together.tolist() if rows
        ],
    }  # fmt: skip
