"""CTR examples from record files, as batches of tensors, inside a `tf.function` or outside of one.

Lists have variable length in the files; the model sees them cut or padded to the lengths in the
dataset's manifest.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kdcn_tf import files, records
from kdcn_tf.ckg import PAD_ID
from kdcn_tf.config import RECORDS_PER_FILE
from kdcn_tf.data.failures import check_rows, translated
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest

Batch = dict[str, tf.Tensor]


@dataclass(frozen=True)
class CtrSpec:
    """Features of a CTR dataset and their sizes.

    Attributes:
        behaviors: the k behaviour kinds, in order.
        max_behaviors: items kept per kind, L.
        max_query_keywords: M.
        max_title_keywords: N.
        max_categories: levels of the category path, C.
        dense_names: the D statistics, in order.
        dense_mean: of sign(x) log(1 + |x|), over the training period.
        dense_std: likewise.
        unknown_users: share of validation's examples whose user the graph doesn't know; 1 where nobody counted.
        unknown_items: the same of candidates.
    """

    behaviors: tuple[str, ...]
    max_behaviors: int
    max_query_keywords: int
    max_title_keywords: int
    max_categories: int
    dense_names: tuple[str, ...] = ()
    dense_mean: tuple[float, ...] = ()
    dense_std: tuple[float, ...] = ()
    unknown_users: float = 1.0
    unknown_items: float = 1.0

    def list_sizes(self) -> dict[str, int]:
        """Feature -> its padded length."""
        sizes = {records.behavior_key(kind): self.max_behaviors for kind in self.behaviors}
        sizes[records.QUERY_KEYWORDS] = self.max_query_keywords
        sizes[records.TITLE_KEYWORDS] = self.max_title_keywords
        sizes[records.CATEGORIES] = self.max_categories
        return sizes


def spec_of(described: Manifest) -> CtrSpec:
    """The features that the manifest of a CTR dataset, or of a model trained on one, describes.

    Raises:
        DataError: a part is missing from the manifest, or the parts don't fit together.
    """
    info = described.info
    try:
        dense, unknown = info["dense"], info.get("unknown", {})
        spec = CtrSpec(
            behaviors=tuple(info["behaviors"]),
            max_behaviors=described.number("max_behaviors"),
            max_query_keywords=described.number("max_query_keywords"),
            max_title_keywords=described.number("max_title_keywords"),
            max_categories=described.number("max_categories"),
            dense_names=tuple(dense["names"]),
            dense_mean=tuple(map(float, dense["mean"])),
            dense_std=tuple(map(float, dense["std"])),
            unknown_users=float(unknown.get(records.USER, 1)),
            unknown_items=float(unknown.get(records.ITEM, 1)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{described.kind} manifest: info doesn't describe the features: {error!r}") from None
    if not spec.behaviors or isinstance(info["behaviors"], str):
        raise DataError(f"{described.kind} manifest: info.behaviors: expected a list of behaviour kinds")
    if not len(spec.dense_names) == len(spec.dense_mean) == len(spec.dense_std):
        raise DataError(f"{described.kind} manifest: info.dense: names, mean and std differ in length")
    if not all(map(math.isfinite, (*spec.dense_mean, *spec.dense_std))):
        raise DataError(f"{described.kind} manifest: info.dense: mean or std isn't finite")
    return spec


def dataset_of_file(
    path: tf.Tensor, spec: CtrSpec, batch_size: int, shuffle_seed: tf.Tensor | None = None
) -> tf.data.Dataset:
    """Batches of one file; every example once, the last batch may be smaller.

    Args:
        path: string scalar.
        spec: the features.
        batch_size: B.
        shuffle_seed: int [2] that decides the order of the examples; None keeps the file's order.

    Returns:
        Dataset of dicts by feature key: lists int64 [B, length], padded with PAD_ID; DENSE float
        [B, D]; the others [B]. Iterating raises tf.errors.DataLossError for a corrupt file and
        tf.errors.InvalidArgumentError, naming the file, for an example that lacks a feature.
    """
    dataset = tf.data.TFRecordDataset(path)
    if shuffle_seed is not None:
        mixed = tf.cast(shuffle_seed[0], tf.int64) * 1_000_003 + tf.cast(shuffle_seed[1], tf.int64)
        dataset = dataset.shuffle(RECORDS_PER_FILE, seed=mixed)
    batches = dataset.batch(batch_size)
    return batches.map(lambda serialized: parse(serialized, spec, path)).prefetch(2)


def read_file(path: tf.Tensor, spec: CtrSpec) -> Batch:
    """All examples of one file at once, as `dataset_of_file` would batch them, in the file's order.

    A file is bounded in size (`ctr.examples_per_file`). Inside a `tf.function`, a loop over slices of
    these tensors is several times faster than a loop over a dataset, which autograph turns into a scan
    that runs the training step inside tf.data.
    """
    return parse(tf.data.TFRecordDataset(path).batch(RECORDS_PER_FILE).get_single_element(), spec, path)


def parse(serialized: tf.Tensor, spec: CtrSpec, path: tf.Tensor | str = "") -> Batch:
    """Features of serialized examples.

    Args:
        serialized: string [B].
        spec: the features.
        path: where they come from, for error messages.
    """
    sizes = spec.list_sizes()
    features: dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature] = {
        key: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for key in sizes
    }
    for key, dtype in _SCALARS.items():
        features[key] = tf.io.FixedLenFeature([], dtype, _DEFAULTS.get(key))
    if spec.dense_names:
        features[records.DENSE] = tf.io.FixedLenFeature([len(spec.dense_names)], tf.float32)
    names = tf.broadcast_to(path, tf.shape(serialized))
    parsed = tf.io.parse_example(serialized, features, example_names=names)
    for key, size in sizes.items():
        parsed[key] = parsed[key].to_tensor(PAD_ID, shape=[None, size])
    if not spec.dense_names:
        parsed[records.DENSE] = tf.zeros([tf.size(serialized), 0])
    label, weight = parsed[records.LABEL], parsed[records.WEIGHT]
    checks = [
        tf.debugging.Assert(tf.reduce_all((label == 0) | (label == 1)), [path, "a label is not 0 or 1"]),
        tf.debugging.Assert(
            tf.reduce_all((weight >= 0) & tf.math.is_finite(weight)), [path, "a weight is negative or not finite"]
        ),
    ]
    with tf.control_dependencies(checks):
        parsed[records.LABEL] = tf.identity(label)
    return parsed


def require_same_features(directory: str, described: Manifest, trained: CtrSpec) -> None:
    """Refuses a CTR dataset whose features a model can't take.

    Args:
        directory: of the dataset, for the message.
        described: its manifest.
        trained: what the model was trained on.

    Raises:
        DataError: naming the features that differ.
    """
    own, other = ({**spec.list_sizes(), records.DENSE: spec.dense_names} for spec in (spec_of(described), trained))
    changed = [key for key in sorted({*own, *other}) if own.get(key) != other.get(key)]
    if changed:
        found = "; ".join(f"{key} is {own.get(key)}, was {other.get(key)}" for key in changed)
        raise DataError(f"{directory}: other features than the model was trained on: {found}")


_SCALARS = {
    records.LABEL: tf.float32,
    records.WEIGHT: tf.float32,
    records.TIMESTAMP: tf.int64,
    records.SESSION: tf.int64,
    records.SOURCE: tf.string,
    records.POSITION: tf.int64,
    records.USER: tf.int64,
    records.ITEM: tf.int64,
}
_DEFAULTS = {records.WEIGHT: 1.0, records.SOURCE: "default", records.POSITION: records.UNKNOWN_POSITION}


def batches_of(directory: str, described: Manifest, split: str, batch_size: int) -> Iterator[Batch]:
    """Batches of a whole split, in file order.

    Raises:
        DataError: naming the file that is corrupt, lacks a feature or has other rows than the manifest says.
    """
    spec = spec_of(described)
    for file in described.group(split):
        path = files.join(directory, file.name)
        rows = 0
        with translated(path):
            for batch in dataset_of_file(tf.constant(path), spec, batch_size):
                rows += len(batch[records.LABEL])
                yield batch
        check_rows(path, rows, file.count)


def one_class(examples: Mapping[str, np.ndarray]) -> bool:
    """Whether the rows that count, those with a weight, have one label at the most: nothing can be learnt of them."""
    return len(np.unique(examples[records.LABEL][examples[records.WEIGHT] > 0])) < 2


def read_all(directory: str, described: Manifest, split: str) -> dict[str, np.ndarray]:
    """A whole split in memory: feature -> [n, ...]; for baselines and small evaluations."""
    parts = [{k: v.numpy() for k, v in batch.items()} for batch in batches_of(directory, described, split, 8192)]
    if not parts:
        raise DataError(f"{directory}: split {split!r} has no examples")
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
