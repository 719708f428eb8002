"""Comparison of models on held-out impressions: all of them, and each source alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kdcn_tf import manifest, records
from kdcn_tf.data import ctr as ctr_data
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.baselines import LogisticRegression
from kdcn_tf.models.click_model import ClickModel
from kdcn_tf.training import metrics
from kdcn_tf.training.metrics import Figures

ALL = "all"


@dataclass(frozen=True)
class Heldout:
    """Impressions of one split, in the order of the files.

    Attributes:
        directory: of the CTR dataset.
        ctr: its manifest.
        split: its name.
        examples: feature key -> [n, ...].
    """

    directory: str
    ctr: Manifest
    split: str
    examples: dict[str, np.ndarray]


def heldout(directory: str, ctr: Manifest, split: str) -> Heldout:
    """Reads a split.

    Raises:
        DataError: it has no examples.
    """
    return Heldout(directory, ctr, split, ctr_data.read_all(directory, ctr, split))


def score_kdcn(model: ClickModel, trained: Manifest, data: Heldout, batch_size: int = 4096) -> np.ndarray:
    """Logits [n] of a trained K-DCN.

    Raises:
        DataError: the model was trained on other ids or features.
    """
    manifest.require_same_ids(trained, data.ctr)
    ctr_data.require_same_features(data.directory, data.ctr, model.spec)
    score = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    batches = ctr_data.batches_of(data.directory, data.ctr, data.split, batch_size)
    return np.concatenate([score(batch).numpy() for batch in batches])


def score_lr(data: Heldout) -> np.ndarray:
    """Logits [n] of logistic regression, fitted on the training and chosen on the validation split.

    Raises:
        DataError: a split has no examples, or the training split only one class.
    """
    train, valid = (ctr_data.read_all(data.directory, data.ctr, split) for split in ("train", "valid"))
    if len(np.unique(train[records.LABEL][train[records.WEIGHT] > 0])) < 2:
        raise DataError(f"{data.directory}: split 'train' has labels of one class only: nothing to fit 'lr' to")
    return LogisticRegression(ctr_data.spec_of(data.ctr)).fit(train, valid).logits(data.examples)


BASELINES: Mapping[str, Callable[[Heldout], np.ndarray]] = {"lr": score_lr}


def judge(data: Heldout, logits: np.ndarray) -> dict[str, Figures]:
    """Metrics of all impressions ("all") and of each source, by name."""
    labels, sessions = data.examples[records.LABEL], data.examples[records.SESSION]
    sources = np.array([source.decode() for source in data.examples[records.SOURCE]])
    found = {ALL: metrics.summarize(labels, logits, sessions)}
    if len(np.unique(sources)) > 1:
        sliced = metrics.sliced(labels, logits, sessions, {records.SOURCE: sources})
        found |= sliced[records.SOURCE]
    return found
