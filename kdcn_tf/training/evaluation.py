"""Judging of models on held-out impressions, file by file: all of them, each source alone, and other slices."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from kdcn_tf import manifest, records
from kdcn_tf.config import Config
from kdcn_tf.data import ctr as ctr_data
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.boosted import BoostedTrees
from kdcn_tf.models.click_model import ClickModel
from kdcn_tf.models.linear import LogisticRegression
from kdcn_tf.training import slices
from kdcn_tf.training.metrics import Figures
from kdcn_tf.training.slices import TrainCounts
from kdcn_tf.training.streaming import Stream

Scorer = Callable[[dict[str, np.ndarray]], np.ndarray]
"""Examples by feature key, [n, ...] -> logits [n]."""


@dataclass(frozen=True)
class Heldout:
    """Impressions of one split, which stay in their files.

    Attributes:
        directory: of the CTR dataset.
        ctr: its manifest.
        split: its name.
        rows: impressions read and scored at a time.
    """

    directory: str
    ctr: Manifest
    split: str
    rows: int = 4096

    def batches(self) -> Iterator[dict[str, np.ndarray]]:
        """Examples by feature key, [n, ...] of n <= `rows` impressions, in the order of the files.

        Raises:
            DataError: the split has no examples, or a file is wrong.
        """
        if not sum(file.count for file in self.ctr.group(self.split)):
            raise DataError(f"{self.directory}: split {self.split!r} has no examples")
        for batch in ctr_data.batches_of(self.directory, self.ctr, self.split, self.rows):
            yield {key: value.numpy() for key, value in batch.items()}


def kdcn_scorer(model: ClickModel, trained: Manifest, data: Heldout) -> Scorer:
    """Scores by a trained K-DCN.

    Raises:
        DataError: the model was trained on other ids or features.
    """
    manifest.require_same_ids(trained, data.ctr)
    ctr_data.require_same_features(data.directory, data.ctr, model.spec)
    score = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    return lambda examples: score({key: tf.constant(value) for key, value in examples.items()}).numpy()


BASELINES: Mapping[str, Callable[[CtrSpec, Config], BoostedTrees | LogisticRegression]] = {
    "lr": lambda spec, config: LogisticRegression(spec, config.lr, config.finetune.seed),
    "gbdt": lambda spec, config: BoostedTrees(spec, config.gbdt, config.finetune.seed),
}
"""Models that are fitted at once, by name."""


def baseline_scorer(name: str, data: Heldout, config: Config) -> Scorer:
    """One of `BASELINES`, fitted on the training and chosen on the validation split, both held in memory.

    Raises:
        DataError: a split has no examples, or the training split's rows with a weight only one class.
    """
    train, valid = (ctr_data.read_all(data.directory, data.ctr, split) for split in ("train", "valid"))
    if ctr_data.one_class(train):
        raise DataError(f"{data.directory}: split 'train' has labels of one class only: nothing to fit {name!r} to")
    return BASELINES[name](ctr_data.spec_of(data.ctr), config).fit(train, valid).logits


@dataclass(frozen=True)
class Slicing:
    """How impressions are sliced; see `slices.slice_names`."""

    by: tuple[str, ...] = ()
    counts: TrainCounts = field(default_factory=TrainCounts.none)
    categories: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Metrics of one model.

    Attributes:
        sources: of all impressions ("all") and, where there are several, of each source.
        slices: way to slice -> slice -> metrics.
    """

    sources: dict[str, Figures]
    slices: dict[str, dict[str, Figures]]


def judge(data: Heldout, name: str, score: Scorer, slicing: Slicing | None = None) -> Verdict:
    """Scores a split once, batch by batch; what stays in memory is what `Stream` holds, for all and for each slice.

    Args:
        data: the impressions.
        name: of the model, for error messages.
        score: the model.
        slicing: slices beside the sources.

    Raises:
        DataError: logits that are NaN or infinite; the split has no examples, a source is named as all of them
            together, or a file is wrong.
    """
    slicing = slicing or Slicing()
    every, parts = Stream(), {name: dict[str, Stream]() for name in dict.fromkeys((slices.SOURCE, *slicing.by))}
    for examples in data.batches():
        columns = examples[records.LABEL], score(examples), examples[records.SESSION]
        try:
            every.add(*columns)
        except ValueError as error:
            raise DataError(f"model {name!r}: {error}") from None
        names = slices.slice_names(examples, slicing.counts, tuple(parts), slicing.categories)
        for by, values in names.items():
            for value in np.unique(values):
                inside = values == value
                parts[by].setdefault(str(value), Stream()).add(*(column[inside] for column in columns))
    found = {
        by: {value: streams[value].summarize() for value in slices.ordered(by, streams)}
        for by, streams in parts.items()
    }
    slices.require_sources(found[slices.SOURCE], f"{data.split} split")
    sources = found[slices.SOURCE] if len(found[slices.SOURCE]) > 1 else {}
    return Verdict({slices.ALL: every.summarize(), **sources}, {by: found[by] for by in slicing.by})
