"""What a comparison hands to its report: the runs, and the test rows that they are judged on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdcn_tf.errors import DataError

KDCN, DCN, NO_PRETRAINING = "kdcn", "dcn", "kdcn_no_pretraining"
ABLATION = f"{KDCN}_"
"""Models whose names begin so are K-DCN without one of its parts."""

POINT_KEYS = ("step", "examples", "auc", "log_loss")


@dataclass(frozen=True)
class Run:
    """One model, trained once.

    Attributes:
        model: its name among the contestants.
        fraction: of the training rows, above 0 up to 1.
        seed: runs of two models with one seed and fraction are a pair.
        logits: [n], of the test rows, in their order.
        curve: looks at validation in the order of training, each {step, examples, auc, log_loss}; () where the
            model has no steps. `auc` is None where it is undefined.
        seconds: spent training, without evaluation and compilation.
        examples: trained on, all passes together.
        parameters: trained numbers; None where the model has no fixed number.
        rows: distinct training rows.
        valid_auc: the best on validation, None where it is undefined.

    Raises:
        DataError: a value that can't be, naming the run.
    """

    model: str
    fraction: float
    seed: int
    logits: np.ndarray
    curve: Sequence[Mapping[str, Any]] = ()
    seconds: float = 0.0
    examples: int = 0
    parameters: int | None = None
    rows: int = 0
    valid_auc: float | None = None

    @property
    def name(self) -> str:
        """As messages name it."""
        return f"run of {self.model} with seed {self.seed} on {percent(self.fraction)} of the training rows"

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise DataError(f"{self.name}: its fraction has to be above 0 and at most 1")
        if np.ndim(self.logits) != 1:
            raise DataError(f"{self.name}: logits of shape {np.shape(self.logits)}, expected one per test row")
        if wrong := int(np.sum(~np.isfinite(self.logits))):
            raise DataError(f"{self.name}: {wrong:,} of {len(self.logits):,} logits are NaN or infinite")
        for number in ("seconds", "examples", "rows"):
            if not 0 <= getattr(self, number) < np.inf:
                raise DataError(f"{self.name}: {number} is {getattr(self, number)}, expected a number from 0")
        self._check_curve()

    def _check_curve(self) -> None:
        last = -1
        for point in self.curve:
            if missing := [key for key in POINT_KEYS if key not in point]:
                raise DataError(f"{self.name}: a point of its curve has no {missing[0]!r}")
            if point["step"] <= last:
                raise DataError(f"{self.name}: step {point['step']} of its curve comes after step {last}")
            last = point["step"]


@dataclass(frozen=True)
class Judged:
    """The test rows.

    Attributes:
        labels: [n], 0 or 1.
        sessions: [n], session of each row; rows of one session are drawn together.
        slices: way to slice, of `training.slices` -> name of each row's slice [n]; one that isn't there gives no table.

    Raises:
        DataError: no rows, lengths that differ, or labels other than 0 and 1.
    """

    labels: np.ndarray
    sessions: np.ndarray
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.labels):
            raise DataError("test split: no rows to judge the runs on")
        for name, values in (("sessions", self.sessions), *self.slices.items()):
            if len(values) != len(self.labels):
                raise DataError(f"test split: {len(values):,} values of {name}, but {len(self.labels):,} labels")
        if wrong := int(np.sum(~np.isin(self.labels, (0, 1)))):
            raise DataError(f"test split: {wrong:,} of {len(self.labels):,} labels are neither 0 nor 1")


def percent(fraction: float) -> str:
    """0.1 as "10%"."""
    return f"{100 * fraction:.6g}%"


def check(runs: Sequence[Run], judged: Judged) -> None:
    """Refuses runs that don't fit the test rows or each other.

    Raises:
        DataError: naming the run.
    """
    seen: set[tuple[str, float, int]] = set()
    for run in runs:
        if len(run.logits) != len(judged.labels):
            raise DataError(f"{run.name}: {len(run.logits):,} logits, but {len(judged.labels):,} test rows")
        if (key := (run.model, run.fraction, run.seed)) in seen:
            raise DataError(f"{run.name}: is there twice")
        seen.add(key)
    if not any(run.fraction == 1 for run in runs):
        raise DataError("runs: none uses all training rows, so there is nothing to compare")
