"""Training of K-DCN, or of another click model, on a CTR dataset."""

import contextlib
import logging

import numpy as np
import tensorflow as tf

from kdcn_tf import files, losses, manifest, records
from kdcn_tf.config import Config, from_dict
from kdcn_tf.data import ctr as ctr_data
from kdcn_tf.data.entities import read_rows
from kdcn_tf.data.failures import check_rows
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.click_model import ClickModel
from kdcn_tf.models.networks import build_model
from kdcn_tf.training import metrics
from kdcn_tf.training.checkpoints import load_weights
from kdcn_tf.training.cluster import Scheduler
from kdcn_tf.training.loop import steps_of
from kdcn_tf.training.optimizers import Adam, AveragedAdam, Rate, parts_of, rate_over
from kdcn_tf.training.watching import ROWS, STEPS

log = logging.getLogger(__name__)

_PATH = tf.TensorSpec([], tf.string)
_SEED = tf.TensorSpec([2], tf.int32)

ASSIGN_ROWS = 65_536
"""Pretrained rows sent to the servers at a time."""

PREDICT_ROWS = 4096
"""Examples scored at a time."""

PREDICTED = (records.LABEL, records.WEIGHT, records.SESSION, records.SOURCE)
"""What `predict` returns beside the logits."""


class Finetuning:
    """Model, optimizers and closures of one run, made in the scheduler's strategy.

    Args:
        scheduler: where the closures run.
        config: resolved configuration.
        ctr: manifest of the CTR dataset.
        directory: of the CTR dataset.
        steps: that the whole run makes at the most, by default as many as its epochs over all files take.

    Raises:
        DataError: there are no examples to train on or to choose the best epoch by.
    """

    def __init__(self, scheduler: Scheduler, config: Config, ctr: Manifest, directory: str, steps: int | None = None):
        self.scheduler, self.config, self.ctr, self._directory = scheduler, config, ctr, directory
        self._spec = ctr_data.spec_of(ctr)
        for split in ("train", "valid"):
            if not any(file.count for file in ctr.group(split)):
                raise DataError(f"{directory}: split {split!r} has no examples; move time.train_end and time.valid_end")
        options = config.finetune
        self._steps = steps or options.epochs * steps_of(ctr.group("train"), options.batch_size)
        with scheduler.strategy.scope():
            self.model = build_model(config, ctr)
            trained = {id(w) for w in self.model.trainable_weights}
            tables = [table for table in self.model.tables if id(parts_of(table)[0]) in trained]
            started = {id(table) for table in self.model.pretrained_tables}
            rows = {id(part) for table in tables for part in parts_of(table)}
            network = [w for w in self.model.trainable_weights if id(w) not in rows]
            self.optimizers = [
                Adam([t for t in tables if id(t) in started], self._rate(config.finetune.entity_learning_rate)),
                self._network_optimizer([*(t for t in tables if id(t) not in started), *network]),
            ]
        self._kernels = [w for w in network if len(w.shape) >= 2]
        self.train_file = tf.function(self._train_file, input_signature=[_PATH, _SEED])
        self._predict = tf.function(self._predict_file, input_signature=[_PATH])

    def _network_optimizer(self, variables: list[tf.Variable]) -> Adam:
        rate, average = self._rate(self.config.finetune.learning_rate), self.config.finetune.average
        return AveragedAdam(variables, rate, average) if average else Adam(variables, rate)

    def _rate(self, start: float) -> Rate:
        options = self.config.finetune
        return rate_over(start, options.decay, self._steps, options.warmup)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Inside, the network has the means of its weights (`finetune.average`); no closure may train there."""
        return self.optimizers[1].averages()

    def path_of(self, name: str) -> str:
        return files.join(self._directory, name)

    def load_pretrained(self, directory: str) -> int:
        """Writes the exported embeddings into the entity table; returns the rows written.

        Raises:
            DataError: the export has other ids or another dimension, or lacks a type that K-DCN needs.
        """
        exported = manifest.read(directory, manifest.EMBEDDINGS)
        manifest.require_same_ids(exported, self.ctr)
        if exported.number("dim") != self.config.kdcn.dim:
            raise DataError(f"{directory}: dimension {exported.info['dim']}, kdcn.dim is {self.config.kdcn.dim}")
        written, standardize = 0, self.config.kdcn.standardize_entities
        for entity_type in self.model.entities.types:
            count, total = 0, np.zeros(self.config.kdcn.dim)
            for first, rows in read_rows(directory, exported, entity_type, standardize):
                for start in range(0, len(rows), ASSIGN_ROWS):
                    block = rows[start : start + ASSIGN_ROWS]
                    try:
                        self.model.entities.assign_rows(first + start, block)
                    except ValueError as error:
                        raise DataError(f"{directory}: {entity_type}: {error}") from None
                    count += len(block)
                    total += self.model.entities.shown(block).sum(axis=0, dtype=np.float64)
            self.model.assign_center(entity_type, total / max(count, 1))
            written += count
        return written

    def _train_file(self, path: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Trains on one file; returns sums over its examples and steps, float64 scalars (see `reporting.FileSums`)."""
        examples = ctr_data.read_file(path, self._spec)
        return self.train_rows(
            examples, tf.argsort(tf.random.stateless_uniform([tf.size(examples[records.LABEL])], seed))
        )

    def train_rows(self, examples: ctr_data.Batch, order: tf.Tensor) -> dict[str, tf.Tensor]:
        """Trains on rows of `examples` in the order of their numbers [n]; inside a `tf.function`.

        Returns:
            Sums over the rows and steps, as `train_file` gives them.
        """
        rows, size = tf.size(order), self.config.finetune.batch_size
        loss, steps = tf.constant(0.0, tf.float64), tf.constant(0.0, tf.float64)
        for start in tf.range(0, rows, size):
            batch = {key: tf.gather(column, order[start : start + size]) for key, column in examples.items()}
            loss += tf.cast(self.scheduler.strategy.run(self._step, args=(batch,)), tf.float64)
            steps += 1.0
        return {"loss": loss, STEPS: steps, ROWS: tf.cast(rows, tf.float64)}

    def _step(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = self.model(batch, training=True)
            loss = losses.log_loss(batch[records.LABEL], logits, batch[records.WEIGHT])
            total = loss
            if self.config.finetune.l2:
                total += self.config.finetune.l2 * tf.add_n([tf.nn.l2_loss(k) for k in self._kernels])
        gradients = tape.gradient(total, [optimizer.trained for optimizer in self.optimizers])
        for optimizer, own in zip(self.optimizers, gradients, strict=True):
            optimizer.apply(own)
        return tf.debugging.check_numerics(loss, "the loss is not a number") * tf.cast(tf.size(logits), tf.float32)

    def _predict_file(self, path: tf.Tensor) -> dict[str, tf.Tensor]:
        examples = ctr_data.read_file(path, self._spec)
        return {"logits": logits_of(self.model, examples), **{key: examples[key] for key in PREDICTED}}

    def predict(self, split: str) -> dict[str, np.ndarray]:
        """Logits of a split and what to judge them by, in file order.

        Returns:
            "logits" and the features `PREDICTED`, each [n].
        """
        pending = [self.scheduler.schedule(self._predict, self.path_of(file.name)) for file in self.ctr.group(split)]
        parts = [part.fetch() for part in pending]
        for file, part in zip(self.ctr.group(split), parts, strict=True):
            check_rows(self.path_of(file.name), len(part["logits"]), file.count)
        return {key: np.concatenate([part[key] for part in parts]) for key in ("logits", *PREDICTED)}

    def evaluate(self, split: str) -> dict[str, float | None]:
        """AUC, log loss and calibration of a split."""
        found = self.predict(split)
        return {
            f"{split}_auc": metrics.auc(found[records.LABEL], found["logits"]),
            f"{split}_log_loss": metrics.log_loss(found[records.LABEL], found["logits"]),
            f"{split}_calibration": metrics.calibration(found[records.LABEL], found["logits"]),
        }


def logits_of(model: ClickModel, examples: dict[str, tf.Tensor]) -> tf.Tensor:
    """Logits [n] of n examples, `PREDICT_ROWS` at a time; inside a `tf.function`."""
    rows = tf.size(examples[records.LABEL])
    parts = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False, element_shape=[None])
    for start in tf.range(0, rows, PREDICT_ROWS):
        batch = {key: column[start : start + PREDICT_ROWS] for key, column in examples.items()}
        parts = parts.write(start // PREDICT_ROWS, model(batch, training=False))
    return parts.concat()


def load_model(directory: str) -> tuple[ClickModel, Manifest]:
    """A trained K-DCN from its directory, in this process.

    Raises:
        DataError: the directory holds no finished model.
    """
    found = manifest.read(directory, manifest.KDCN_MODEL)
    model = build_model(from_dict(found.config), found)
    load_weights(model, directory)
    return model, found
