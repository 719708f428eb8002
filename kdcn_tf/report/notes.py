"""What the intervals of a comparison mean and don't, in words."""

from collections.abc import Mapping
from typing import Any

from kdcn_tf.report import verdict
from kdcn_tf.report.scores import FEW


def written(estimate: Mapping[str, Any]) -> str:
    """A gain with its interval, inside a sentence."""
    if estimate["low"] is None:
        return verdict.points(estimate["mean"])
    return f"{verdict.points(estimate['mean'])} ({verdict.span(estimate)})"


def statistical(report: Mapping[str, Any]) -> list[str]:
    """How the numbers were found, and which runs are missing."""
    seeds = len(report["seeds"])
    told = [
        "Intervals over seeds are Student's t at 95% of the mean of runs that differ in their seed alone. They say "
        "how far chance in training moves the result; they take the training and test rows as given.",
        "p is of the two-sided t-test on differences of runs with one seed. It isn't corrected for the number of "
        "comparisons: of twenty that have nothing to show, one is below 0.05 by chance.",
        "Drawn test sets hold as many sessions as the test split, drawn with repetition, with all their rows; the AUC "
        "differences of the seeds are averaged. They say how far the choice of test rows moves the result, which more "
        "seeds can't. Where seeds leave out 0 but drawn test sets don't, or there is no interval over them, a gain is "
        "'better on these test rows'.",
        f"'Few' marks slices with less than {FEW} rows of the rarer class. A slice of one class has no AUC: undefined.",
    ]
    if seeds == 1:
        told.append("There is one seed, so nothing has an interval over seeds.")
    elif seeds < 5:
        told.append(f"{seeds} seeds are few: intervals are wide, and the t-test leans on runs being normally spread.")
    return told + list(report["notes"])
