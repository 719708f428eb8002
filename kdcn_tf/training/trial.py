"""One model, trained on all or part of a CTR dataset in memory: the unit of comparisons and searches.

A trial looks at the validation split several times an epoch, so that learning curves have points before the first epoch
ends, and keeps the weights of its best look. Nothing is written.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kdcn_tf import contestants, records
from kdcn_tf.config import Config
from kdcn_tf.data import ctr as ctr_data
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.manifest import CTR, Manifest
from kdcn_tf.manifest import read as read_manifest
from kdcn_tf.training import metrics
from kdcn_tf.training.cluster import InlineScheduler
from kdcn_tf.training.evaluation import BASELINES
from kdcn_tf.training.finetune import Finetuning, logits_of

log = logging.getLogger(__name__)

TRAIN, VALID, TEST = "train", "valid", "test"

Examples = dict[str, np.ndarray]


@dataclass(frozen=True)
class TrialData:
    """A CTR dataset in memory.

    Attributes:
        directory: where it is.
        described: its manifest.
        splits: split -> feature key -> [n, ...].
    """

    directory: str
    described: Manifest
    splits: Mapping[str, Examples]

    @classmethod
    def read(cls, directory: str, splits: Sequence[str] = (TRAIN, VALID, TEST)) -> "TrialData":
        """Raises:
        DataError: a split has no examples, or a file is corrupt.
        """
        described = read_manifest(directory, CTR)
        return cls(directory, described, {split: ctr_data.read_all(directory, described, split) for split in splits})


@dataclass(frozen=True)
class Point:
    """A look at the validation split.

    Attributes:
        step: steps made so far.
        examples: examples trained on so far, passes counted.
        auc: None where only one class occurs.
        log_loss: mean, in nats.
    """

    step: int
    examples: int
    auc: float | None
    log_loss: float

    @property
    def score(self) -> float:
        """What the best look is chosen by: AUC, or log loss where AUC is undefined."""
        return metrics.selection_score(self.auc, self.log_loss)


@dataclass(frozen=True)
class Outcome:
    """What a trial found.

    Attributes:
        logits: split -> [n] in file order, by the weights of the best look.
        curve: the looks; () for models that have no steps.
        seconds: of training; reading, building, compiling and looking are left out.
        examples: trained on, passes counted.
        parameters: trained numbers; None where the model has no fixed number.
        rows: distinct training rows.
        valid_auc: on the validation split; None where only one class occurs.
    """

    logits: dict[str, np.ndarray]
    curve: tuple[Point, ...]
    seconds: float
    examples: int
    parameters: int | None
    rows: int
    valid_auc: float | None


def run(
    data: TrialData,
    model: str,
    config: Config,
    *,
    embeddings: str | None,
    fraction: float = 1.0,
    splits: Sequence[str] = (VALID,),
    on_point: Callable[[Point], None] | None = None,
) -> Outcome:
    """Trains a contestant.

    Args:
        data: the dataset; "train" and "valid" are needed.
        model: name of a contestant.
        config: before the contestant's differences; `finetune.seed` decides everything random.
        embeddings: export to start from, for contestants that are pretrained.
        fraction: share of the training sessions to train on; those of a smaller share are among those of a larger one.
        splits: what to score at the end.
        on_point: sees every look; what it raises ends the trial.

    Raises:
        ConfigError: unknown contestant, or embeddings are needed.
        DataError: nothing to train on, or the labels of rows with a weight are of one class only.
    """
    own = contestants.configured(model, config)
    kind = contestants.contestant(model).kind
    chosen = chosen_rows(data.splits[TRAIN], fraction, own.finetune.seed)
    if ctr_data.one_class({key: data.splits[TRAIN][key][chosen] for key in (records.LABEL, records.WEIGHT)}):
        raise DataError(f"{data.directory}: {len(chosen)} training rows of {model!r} have labels of one class only")
    if kind == contestants.NETWORK:
        if own.kdcn.pretrained and not embeddings:
            raise ConfigError(f"--embeddings: model {model!r} starts from them")
        return _NetworkTrial(data, own, chosen, embeddings).run(splits, on_point)
    return _fitted(data, kind, own, chosen, splits)


def _fitted(data: TrialData, kind: str, config: Config, chosen: np.ndarray, splits: Sequence[str]) -> Outcome:
    """A model that is fitted at once, by LightGBM or scikit-learn."""
    model = BASELINES[kind](ctr_data.spec_of(data.described), config)
    train, valid = {key: column[chosen] for key, column in data.splits[TRAIN].items()}, data.splits[VALID]
    started = time.perf_counter()
    model.fit(train, valid)
    seconds = time.perf_counter() - started
    return Outcome(
        logits={split: model.logits(data.splits[split]) for split in splits},
        curve=(),
        seconds=seconds,
        examples=len(chosen),
        parameters=None,
        rows=len(chosen),
        valid_auc=metrics.auc(valid[records.LABEL], model.logits(valid)),
    )


def chosen_rows(train: Examples, fraction: float, seed: int) -> np.ndarray:
    """Rows of a share of the sessions, ascending: whole sessions, in an order that only the seed decides."""
    sessions, which = np.unique(train[records.SESSION], return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(sessions))
    return np.flatnonzero(place[which] < max(1, round(fraction * len(sessions))))


class _NetworkTrial:
    """A Keras network on rows in memory, trained by the steps of `Finetuning`."""

    def __init__(self, data: TrialData, config: Config, chosen: np.ndarray, embeddings: str | None):
        self._config, self._chosen, self._data = config, chosen, data
        tf.keras.backend.clear_session()
        self._run = Finetuning(InlineScheduler(), config, data.described, data.directory, self._steps())
        if config.kdcn.pretrained and embeddings:
            self._run.load_pretrained(embeddings)
        examples = _tensors(data.splits[TRAIN], chosen)
        rows = tf.TensorSpec([None], tf.int32)
        self._train = tf.function(lambda order: self._run.train_rows(examples, order), input_signature=[rows])
        self._score = tf.function(lambda batch: logits_of(self._run.model, batch), reduce_retracing=True)

    def run(self, splits: Sequence[str], on_point: Callable[[Point], None] | None) -> Outcome:
        valid, labels = _tensors(self._data.splits[VALID]), self._data.splits[VALID][records.LABEL]
        variables = self._run.model.variables
        curve: list[Point] = []
        best, weights, seconds, examples = -1, [], 0.0, 0
        self._train(np.zeros(0, np.int32))  # compiles
        for step, order in self._stretches():
            started = time.perf_counter()
            self._train(order)
            seconds += time.perf_counter() - started
            examples += len(order)
            with self._run.averaged():
                logits = self._score(valid).numpy()
                found = metrics.auc(labels, logits), float(metrics.log_loss(labels, logits) or 0)
                curve.append(Point(step, examples, *found))
                if best < 0 or curve[-1].score > curve[best].score:
                    best, weights = len(curve) - 1, [variable.numpy() for variable in variables]
            if on_point:
                on_point(curve[-1])
            if len(curve) - 1 - best >= self._config.trial.patience:
                break
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)
        return Outcome(
            logits={split: self._score(_tensors(self._data.splits[split])).numpy() for split in splits},
            curve=tuple(curve),
            seconds=seconds,
            examples=examples,
            parameters=sum(int(np.prod(v.shape)) for v in self._run.model.trainable_variables),
            rows=len(self._chosen),
            valid_auc=curve[best].auc,
        )

    def _steps(self) -> int:
        """Steps of the whole run, if no look ends it."""
        return max(self._config.finetune.epochs * self._steps_per_epoch(), self._config.trial.least_steps)

    def _steps_per_epoch(self) -> int:
        return -(-len(self._chosen) // self._config.finetune.batch_size)

    def _stretches(self) -> Iterator[tuple[int, np.ndarray]]:
        """(steps made after it, numbers of its rows) of each stretch of training between two looks."""
        size, trial, rows = self._config.finetune.batch_size, self._config.trial, len(self._chosen)
        between = max(trial.least_steps_between, -(-self._steps_per_epoch() // trial.looks_per_epoch))
        total = self._steps()
        random = np.random.default_rng(self._config.finetune.seed)
        waiting = np.zeros(0, np.int64)
        for done in range(0, total, between):
            steps = min(between, total - done)
            while len(waiting) < steps * size:
                waiting = np.concatenate([waiting, random.permutation(rows)])
            yield done + steps, waiting[: steps * size].astype(np.int32)
            waiting = waiting[steps * size :]


def _tensors(examples: Examples, rows: np.ndarray | slice = slice(None)) -> ctr_data.Batch:
    """Features as tensors, without the texts that no model reads."""
    return {key: tf.constant(column[rows]) for key, column in examples.items() if key != records.SOURCE}
