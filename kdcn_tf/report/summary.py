"""The content of report.json: every number of a comparison, None where it is undefined."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from kdcn_tf.errors import DataError
from kdcn_tf.report import curves, figures, paper, statistics, verdict
from kdcn_tf.report.runs import (
    ABLATION,
    DCN,
    KDCN,
    NO_PRETRAINING,
    Judged,
    Run,
    check,
    percent,
)
from kdcn_tf.report.scores import POINTS, Scores, Slice, average
from kdcn_tf.training import metrics
from kdcn_tf.training.slices import ALL, CATEGORY, ITEM_FREQUENCY, USER_FREQUENCY, ordered


def summarise(
    runs: Sequence[Run],
    judged: Judged,
    *,
    titles: Mapping[str, str],
    dataset: Mapping[str, Any],
    settings: Mapping[str, Any],
    reference: Mapping[str, float] | None = None,
    resamples: int = statistics.RESAMPLES,
) -> dict[str, Any]:
    """Turns runs into the report's content.

    Args:
        runs: of any models, fractions and seeds; those of two models with one seed are compared as pairs.
        judged: the test rows, in the order of the runs' logits.
        titles: model -> name for people, in the order of the tables.
        dataset: `name`, `fingerprint`, `rows` (split -> rows) and `train` (column of slices -> slice -> rows for
            training), as far as they are known.
        settings: `command`, `models` (model -> option -> value) and whatever else is to be told, as it stands.
        reference: source (or "all") -> the best AUC that any model can have there, where it is known.
        resamples: how many test splits are drawn.

    Returns:
        JSON-safe; gains and gaps are in points of AUC, `figures` are flat.

    Raises:
        DataError: runs that don't fit the test rows or each other, a model without a title, a reference for a
            source that isn't there.
    """
    check(runs, judged)
    named = {run.model for run in runs}
    if nameless := sorted(named - set(titles)):
        raise DataError(f"runs: model {nameless[0]!r} has no title")
    scores = Scores(runs, judged, [model for model in titles if model in named], resamples)
    gains = _gains(scores)
    found = {
        "titles": {model: titles[model] for model in scores.models},
        "dataset": dataset, "settings": settings,
        "seeds": sorted({run.seed for run in runs}), "fractions": scores.fractions,
        "test": _size(judged),
        "parts": [part.counts() for part in scores.parts],
        "overall": _overall(scores),
        "gains": gains,
        "ceilings": _ceilings(scores, reference or {}),
        "categories": _categories(scores, dataset),
        "slices": {column: _sliced(scores, column, dataset) for column in (USER_FREQUENCY, ITEM_FREQUENCY)},
        "scarcity": _scarcity(scores),
        "convergence": [made for other in (DCN, NO_PRETRAINING) if (made := curves.convergence(scores, KDCN, other))],
        "curves": {model: curves.curve(scores.runs(model)) for model in scores.models},
        "calibration": {model: _calibration(judged.labels, scores.runs(model)) for model in scores.models},
        "cost": {model: _cost(scores.runs(model)) for model in scores.models},
        "ablations": [model for model in scores.models if model.startswith(ABLATION)],
        "paper": {"average": paper.AVERAGE},
        "notes": _notes(scores),
    }  # fmt: skip
    found["headline"], found["findings"] = verdict.words(found)
    return plain({"figures": figures.of(found), **found})


def _size(judged: Judged) -> dict[str, int]:
    rows, sessions = len(judged.labels), len(np.unique(judged.sessions))
    return {"rows": rows, "clicks": int(np.sum(judged.labels)), "sessions": sessions}


def _overall(scores: Scores) -> dict[str, dict[str, Any]]:
    """Model -> metric -> estimate, of all test rows."""
    judged, found = scores.judged, {}
    for model in scores.models:
        every = [metrics.summarize(judged.labels, run.logits, judged.sessions) for run in scores.runs(model)]
        names = every[0] if every else {}
        found[model] = {name: asdict(statistics.mean_over_seeds([one[name] for one in every])) for name in names}
    return found


def _gains(scores: Scores) -> list[dict[str, Any]]:
    """Of K-DCN over every other model, on each part, at each fraction that both have."""
    found = []
    for fraction in sorted(scores.fractions, reverse=True):
        for part in scores.parts:
            for other in scores.models:
                if other == KDCN or not scores.pairs(KDCN, other, fraction):
                    continue
                gain = scores.gain(KDCN, other, part, fraction, redraw=True).json()
                gain = {"part": part.name, "over": other, "fraction": fraction, **gain}
                found.append({**gain, "verdict": verdict.of(gain)})
    return found


def _ceilings(scores: Scores, reference: Mapping[str, float]) -> list[dict[str, Any]]:
    known = {part.name: part for part in scores.parts} | {ALL: scores.everything}
    found = []
    for name, best in reference.items():
        if name not in known:
            raise DataError(f"reference: no test rows come from source {name!r}; there are {', '.join(sorted(known))}")
        own = [scores.auc(run, known[name]) for run in scores.runs(KDCN)]
        gap = statistics.mean_over_seeds([None if auc is None else POINTS * (best - auc) for auc in own])
        found.append({"part": name, "best": best, "gap": asdict(gap)})
    return found


def _row(scores: Scores, part: Slice, train: Mapping[str, int]) -> dict[str, Any]:
    return {
        **part.counts(), "train": train.get(part.name),
        "auc": {model: asdict(scores.mean(model, part)) for model in scores.models},
        "gain": _own_gain(scores, part),
    }  # fmt: skip


def _own_gain(scores: Scores, part: Slice) -> dict[str, Any] | None:
    """Over DCN."""
    return scores.gain(KDCN, DCN, part).json() if scores.pairs(KDCN, DCN) else None


def _sliced(scores: Scores, column: str, dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    train = dataset.get("train", {}).get(column, {})
    parts = {part.name: part for part in scores.slices(column)}
    return [_row(scores, parts[name], train) for name in ordered(column, parts)]


def _categories(scores: Scores, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Table I and II: a row per category, the largest first, their average, and small ones against large ones."""
    train = dataset.get("train", {}).get(CATEGORY, {})
    parts = scores.slices(CATEGORY)
    parts.sort(key=lambda part: (-train.get(part.name, 0), -len(part.rows), part.name))
    aucs = {model: [[scores.auc(run, part) for run in scores.runs(model)] for part in parts] for model in scores.models}
    found = {
        "rows": [_row(scores, part, train) for part in parts],
        "average": {model: asdict(one) for model, one in average(scores, aucs).items()},
        "gain": None, "small": None, "large": None,
    }  # fmt: skip
    gains = [row for part in parts if (row := scores.differences(KDCN, DCN, part)) and None not in row]
    if gains:
        found["gain"] = _mean_gain(gains)
    if len(gains) > 1:
        half = len(gains) // 2
        found["small"], found["large"] = _mean_gain(gains[-half:]), _mean_gain(gains[:half])
    return found


def _mean_gain(gains: Sequence[Sequence[Any]]) -> dict[str, Any]:
    by_seed = [float(np.mean(column)) for column in zip(*gains, strict=True)]
    return {**asdict(statistics.mean_over_seeds(by_seed)), "categories": len(gains)}


def _scarcity(scores: Scores) -> list[dict[str, Any]]:
    """AUC by the share of the training rows, on each part; gains stand in `gains`."""
    found = []
    for part in scores.parts:
        for fraction in scores.fractions:
            there = [model for model in scores.models if scores.runs(model, fraction)]
            rows = sorted({run.rows for model in there for run in scores.runs(model, fraction)})
            auc = {model: asdict(scores.mean(model, part, fraction)) for model in there}
            found.append({"part": part.name, "fraction": fraction, "train": rows, "auc": auc})
    return found


def _cost(runs: Sequence[Run]) -> dict[str, Any]:
    speeds = [run.examples / run.seconds if run.seconds else None for run in runs]
    parameters = sorted({run.parameters for run in runs if run.parameters is not None})
    return {
        "seconds": asdict(statistics.mean_over_seeds([run.seconds for run in runs])),
        "examples_per_second": asdict(statistics.mean_over_seeds(speeds)),
        "examples": asdict(statistics.mean_over_seeds([run.examples for run in runs])),
        "parameters": parameters, "train": sorted({run.rows for run in runs}),
        "valid_auc": asdict(statistics.mean_over_seeds([run.valid_auc for run in runs])),
    }  # fmt: skip


def _calibration(labels: np.ndarray, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Bins of the predictions of all seeds; the error in `overall` is a mean over seeds, in which two can't cancel."""
    together = np.concatenate([run.logits for run in runs]) if runs else np.empty(0)
    return [asdict(one) for one in metrics.calibration_bins(np.tile(labels, len(runs)), together)]


def _notes(scores: Scores) -> list[str]:
    """Runs that one would look for and that aren't there."""
    seeds = {fraction: {run.seed for model in scores.models for run in scores.runs(model, fraction)}
             for fraction in scores.fractions}  # fmt: skip
    found = []
    for model in scores.models:
        for fraction, expected in seeds.items():
            missing = sorted(expected - {run.seed for run in scores.runs(model, fraction)})
            if missing:
                listed = "any seed" if len(missing) == len(expected) else f"seed {', '.join(map(str, missing))}"
                found.append(f"{model} has no run with {listed} on {percent(fraction)} of the training rows.")
    return found


def plain(value: Any) -> Any:
    """As JSON knows it; numbers that aren't finite are undefined."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)
