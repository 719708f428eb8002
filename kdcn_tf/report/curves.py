"""How fast runs learn: steps to a validation AUC, and curves over seeds (the paper's figure 5)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from kdcn_tf.report import statistics
from kdcn_tf.report.runs import Run
from kdcn_tf.report.scores import Scores


def best(run: Run) -> float | None:
    """The best validation AUC of a run's curve."""
    return max((point["auc"] for point in run.curve if point["auc"] is not None), default=None)


def reached(run: Run, target: float) -> dict[str, Any] | None:
    """The first look at validation that is as good as `target`; None where none is."""
    return next((dict(point) for point in run.curve if point["auc"] is not None and point["auc"] >= target), None)


def convergence(scores: Scores, fast: str, slow: str) -> dict[str, Any] | None:
    """Steps that `fast` takes to the best validation AUC of `slow`, over the steps that `slow` takes, seed by seed.

    Returns:
        None where no pair of runs has curves. `ratio` is None unless every seed got there, as leaving out the
        seeds that didn't would flatter; `of_reached` is the mean of those that did.
    """
    seeds = []
    for first, second in scores.pairs(fast, slow):
        target = best(second)
        if target is None or not first.curve:
            continue
        own = reached(second, target) or {}
        other = reached(first, target)
        row = {"seed": first.seed, "target": target, "steps": other and other["step"], "steps_of_other": own["step"]}
        for unit, name in (("step", "ratio"), ("examples", "examples_ratio")):
            row[name] = other[unit] / own[unit] if other and own[unit] else None
        seeds.append(row)
    if not seeds:
        return None
    known = [row for row in seeds if row["ratio"] is not None]
    return {
        "of": fast, "to_best_of": slow, "seeds": seeds, "reached": len(known),
        "ratio": asdict(statistics.mean_over_seeds([row["ratio"] for row in seeds])),
        "examples_ratio": asdict(statistics.mean_over_seeds([row["examples_ratio"] for row in seeds])),
        "of_reached": statistics.mean_over_seeds([row["ratio"] for row in known]).mean,
    }  # fmt: skip


def curve(runs: Sequence[Run]) -> dict[str, Any]:
    """Validation AUC by step: every seed's own, and mean and interval at the steps that all seeds have.

    Beyond the step where the first seed stopped early, a mean would be of the others alone.
    """
    curves = {run.seed: {p["step"]: p["auc"] for p in run.curve if p["auc"] is not None} for run in runs if run.curve}
    shared = sorted(set.intersection(*map(set, curves.values()))) if curves else []
    means = [statistics.mean_over_seeds([points[step] for points in curves.values()]) for step in shared]
    return {
        "seeds": {str(seed): [[step, auc] for step, auc in points.items()] for seed, points in curves.items()},
        "steps": shared,
        "mean": [one.mean for one in means],
        "low": [one.low for one in means],
        "high": [one.high for one in means],
    }
