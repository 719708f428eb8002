"""AUCs of runs on slices of the test rows, and what one model gains over another."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kdcn_tf.report import statistics
from kdcn_tf.report.runs import Judged, Run
from kdcn_tf.report.statistics import Estimate, Redrawn
from kdcn_tf.training import metrics
from kdcn_tf.training.slices import ALL, SOURCE, require_sources

POINTS = 100  # gains are told in points of AUC
FEW = 30  # rows of the rarer class, below which an AUC says little


@dataclass(frozen=True)
class Slice:
    """Some of the test rows."""

    column: str
    name: str
    rows: np.ndarray  # their places
    labels: np.ndarray

    @cached_property
    def clicks(self) -> int:
        return int(np.sum(self.labels))

    @property
    def few(self) -> bool:
        return min(self.clicks, len(self.rows) - self.clicks) < FEW

    def counts(self) -> dict[str, Any]:
        return {"name": self.name, "rows": len(self.rows), "clicks": self.clicks, "few": self.few}


@dataclass(frozen=True)
class Gain:
    """What model `first` gains over `second`, in points of AUC, over the seeds that both have."""

    mean: float | None
    low: float | None
    high: float | None
    seeds: int
    p_value: float | None
    test: Redrawn  # the same gain over drawn test splits, in points too

    def json(self) -> dict[str, Any]:
        return asdict(self)


class Scores:
    """Runs and test rows, with every AUC computed once."""

    def __init__(self, runs: Sequence[Run], judged: Judged, models: Sequence[str], resamples: int):
        self.judged, self.models, self._resamples = judged, list(models), resamples
        self._runs = {(run.model, run.fraction, run.seed): run for run in runs}
        self._aucs: dict[tuple, float | None] = {}
        self._redrawn: dict[tuple, np.ndarray] = {}
        self.everything = self._slice("", ALL, np.arange(len(judged.labels)))

    def _slice(self, column: str, name: str, rows: np.ndarray) -> Slice:
        return Slice(column, name, rows, np.asarray(self.judged.labels)[rows])

    def slices(self, column: str) -> list[Slice]:
        """Of a column, by name; none where the column isn't there."""
        if column not in self.judged.slices:
            return []
        values = np.asarray(self.judged.slices[column]).astype(str)
        return [self._slice(column, str(name), np.flatnonzero(values == name)) for name in np.unique(values)]

    @cached_property
    def parts(self) -> list[Slice]:
        """All sources together and each alone; a single source stands for all, a missing column for `all`.

        Raises:
            DataError: a source has the name of all sources together.
        """
        sources = self.slices(SOURCE)
        if len(sources) == 1:
            return sources
        require_sources((part.name for part in sources), "test split")
        return [self.everything, *sources]

    @cached_property
    def fractions(self) -> list[float]:
        return sorted({fraction for _, fraction, _ in self._runs})

    def runs(self, model: str, fraction: float = 1.0) -> list[Run]:
        """By seed."""
        found = [run for (name, part, _), run in self._runs.items() if (name, part) == (model, fraction)]
        return sorted(found, key=lambda run: run.seed)

    def auc(self, run: Run, part: Slice) -> float | None:
        key = _key(run, part)
        if key not in self._aucs:
            self._aucs[key] = metrics.auc(part.labels, run.logits[part.rows])
        return self._aucs[key]

    def mean(self, model: str, part: Slice, fraction: float = 1.0) -> Estimate:
        """AUC over seeds."""
        return statistics.mean_over_seeds([self.auc(run, part) for run in self.runs(model, fraction)])

    def pairs(self, first: str, second: str, fraction: float = 1.0) -> list[tuple[Run, Run]]:
        """Runs of two models with one seed."""
        others = {run.seed: run for run in self.runs(second, fraction)}
        return [(run, others[run.seed]) for run in self.runs(first, fraction) if run.seed in others]

    def differences(self, first: str, second: str, part: Slice, fraction: float = 1.0) -> list[float | None]:
        """Of AUC, in points, a number per seed of both; None where it is undefined."""
        found = [(self.auc(a, part), self.auc(b, part)) for a, b in self.pairs(first, second, fraction)]
        return [None if a is None or b is None else POINTS * (a - b) for a, b in found]

    def gain(self, first: str, second: str, part: Slice, fraction: float = 1.0, redraw: bool = False) -> Gain:
        """What `first` gains over `second`; with `redraw` also over drawn test splits, which takes its time."""
        values = self.differences(first, second, part, fraction)
        over_seeds = statistics.mean_over_seeds(values)
        p_value = statistics.paired_p_value([v for v in values if v is not None]) if over_seeds.number > 1 else None
        test = self._over_splits(first, second, part, fraction) if redraw and over_seeds.mean is not None else Redrawn()
        return Gain(over_seeds.mean, over_seeds.low, over_seeds.high, over_seeds.number, p_value, test)

    def _over_splits(self, first: str, second: str, part: Slice, fraction: float) -> Redrawn:
        if len(np.unique(np.asarray(self.judged.sessions)[part.rows])) < 2:
            return Redrawn()
        pairs = self.pairs(first, second, fraction)
        self._draw(part, fraction)
        a, b = (np.array([self._redrawn[_key(run, part)] for run in runs])
                for runs in zip(*pairs, strict=True))  # fmt: skip
        return statistics.redrawn(POINTS * a, POINTS * b)

    def _draw(self, part: Slice, fraction: float) -> None:
        """All runs of a fraction at once, each once, on the same splits."""
        runs = [run for model in self.models for run in self.runs(model, fraction)]
        if _key(runs[0], part) in self._redrawn:
            return
        sessions = np.asarray(self.judged.sessions)[part.rows]
        aucs = statistics.resampled_aucs(
            part.labels, sessions, [run.logits[part.rows] for run in runs], self._resamples
        )
        for run, row in zip(runs, aucs, strict=True):
            self._redrawn[_key(run, part)] = row


def _key(run: Run, part: Slice) -> tuple:
    return run.model, run.fraction, run.seed, part.column, part.name


def average(scores: Scores, values: Mapping[str, Sequence[Sequence[float | None]]]) -> dict[str, Estimate]:
    """Per model the mean over slices, seed by seed, of values [slices, seeds]; slices without a value are left out."""
    found = {}
    for model in scores.models:
        known = [row for row in values.get(model, ()) if row and None not in row]
        by_seed = [float(np.mean(column)) for column in zip(*known, strict=True)]
        found[model] = statistics.mean_over_seeds(by_seed)
    return found
