"""What a worker process of a search does: a trial per seed, scored on the validation split."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcn_tf import options
from kdcn_tf.config import Config
from kdcn_tf.workers import Ask, Work

if TYPE_CHECKING:
    from kdcn_tf.training.trial import Point, TrialData


@dataclass(frozen=True)
class Job:
    """What all trials of a search share.

    Attributes:
        ctr: directory of the CTR dataset, whose test split is never read.
        embeddings: directory of the export to start from, if the model does.
        model: name of a contestant.
        config: what isn't searched; seeds count up from `finetune.seed`.
        seeds: trained with each setting; their mean is its score.
        fraction: share of the training sessions.
    """

    ctr: str
    embeddings: str | None
    model: str
    config: Config
    seeds: int
    fraction: float


@dataclass(frozen=True)
class Task:
    """Number of a trial, and `section.field` -> value."""

    number: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Look:
    """The score of a look at validation, numbered from 0, of the first seed; the answer says whether to stop."""

    look: int
    score: float


@dataclass(frozen=True)
class Found:
    """What became of a trial.

    Attributes:
        scores: of the seeds: validation AUC, or minus the log loss where that is undefined; none if pruned or diverged.
        steps: up to the best look, per seed; None for models without steps.
        seconds: of training.
        diverged: a number stopped being finite.
    """

    scores: tuple[float, ...] = ()
    steps: tuple[int | None, ...] = ()
    seconds: float = 0.0
    diverged: bool = False


class _PrunedError(Exception):
    """The answer to a look was to stop."""


class _DivergedError(Exception):
    """A score isn't finite."""


def prepare(job: Job) -> Work:
    """Reads the data once; returns what does the trials (see `workers.Workers`)."""
    from kdcn_tf.data import filesystems
    from kdcn_tf.data.failures import translated
    from kdcn_tf.training import memory, trial

    memory.keep_freed()
    filesystems.require(job.ctr, job.embeddings)
    with translated(job.ctr):
        data = trial.TrialData.read(job.ctr, (trial.TRAIN, trial.VALID))

    def work(task: Task, ask: Ask) -> Found:
        with translated(f"trial {task.number}"):
            return _tried(job, data, task, ask)

    return work


def _tried(job: Job, data: "TrialData", task: Task, ask: Ask) -> Found:
    import tensorflow as tf

    base = options.apply_overrides(job.config, (task.values, f"trial {task.number}"))
    found = []
    try:
        for index in range(job.seeds):
            seed = {"finetune.seed": base.finetune.seed + index}
            # A setting that isn't worth going on with shows in the first seed; the others only average it.
            found.append(_seed(job, data, options.apply_overrides(base, (seed, "--seeds")), None if index else ask))
    except _PrunedError:
        return Found()
    except _DivergedError:
        return Found(diverged=True)
    except tf.errors.InvalidArgumentError as error:
        if "not a number" not in error.message:  # `Finetuning` stops at such a loss
            raise
        return Found(diverged=True)
    scores, steps, seconds = zip(*found, strict=True)
    return Found(scores, steps, sum(seconds))


def _seed(job: Job, data: "TrialData", config: Config, ask: Ask | None) -> tuple[float, int | None, float]:
    """Score of one seed, steps up to its best look, seconds of training."""
    from kdcn_tf import records
    from kdcn_tf.training import metrics, trial

    looks = itertools.count()

    def on_point(point: "Point") -> None:
        if not math.isfinite(point.log_loss):
            raise _DivergedError
        if ask and ask(Look(next(looks), point.score)):
            raise _PrunedError

    outcome = trial.run(data, job.model, config, embeddings=job.embeddings, fraction=job.fraction, on_point=on_point)
    labels, logits = data.splits[trial.VALID][records.LABEL], outcome.logits[trial.VALID]
    if not np.isfinite(logits).all():
        raise _DivergedError
    area, loss = metrics.auc(labels, logits), metrics.log_loss(labels, logits)
    best = max(outcome.curve, key=lambda point: point.score, default=None)
    return (area if area is not None else -float(loss or 0)), best.step if best else None, outcome.seconds
