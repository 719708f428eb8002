"""Why a model scored an impression as it did: attention weights, and what each group of features changes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kdcn_tf import files, records
from kdcn_tf.ckg import PAD_ID
from kdcn_tf.data import ctr as ctr_data
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.data.failures import check_rows, translated
from kdcn_tf.errors import ConfigError
from kdcn_tf.models.click_model import ClickModel
from kdcn_tf.models.kdcn import KDCN
from kdcn_tf.training.evaluation import Heldout

Examples = dict[str, np.ndarray]

BEHAVIORS = "behaviors"


@dataclass(frozen=True)
class Explanation:
    """Of one impression.

    Attributes:
        logit: of the click.
        changes: group of features -> logit without it minus logit with it.
        attention: float [h, M + N, M + N], what each keyword (second axis) takes from each (last axis), the query's
            keywords before the title's; None for a network without dialogue interaction.
    """

    logit: float
    changes: dict[str, float]
    attention: np.ndarray | None


@dataclass(frozen=True)
class Typical:
    """Changes over a sample, to tell a large one from a small one.

    Attributes:
        rows: impressions of the sample.
        mean: group -> mean change of the logit.
        size: group -> mean of the absolute change.
    """

    rows: int
    mean: dict[str, float]
    size: dict[str, float]


def groups(spec: CtrSpec) -> dict[str, tuple[str, ...]]:
    """Group of features -> their keys: what an impression can be asked to do without."""
    kinds = {records.behavior_key(kind): (records.behavior_key(kind),) for kind in spec.behaviors}
    single = (records.USER, records.ITEM, records.QUERY_KEYWORDS, records.TITLE_KEYWORDS, records.CATEGORIES)
    statistics = {records.DENSE: (records.DENSE,)} if spec.dense_names else {}
    return {**{key: (key,) for key in single}, **statistics, BEHAVIORS: tuple(kinds), **kinds}


def emptied(examples: Mapping[str, np.ndarray], keys: tuple[str, ...]) -> Examples:
    """Examples without some features: an unknown user or candidate, no keyword, category or behaviour, NaN statistics.

    It is what the model meets in real requests that lack them.
    """
    nothing = {records.DENSE: np.nan, records.USER: records.OOV_ID, records.ITEM: records.OOV_ID}
    return {**examples, **{key: np.full_like(examples[key], nothing.get(key, PAD_ID)) for key in keys}}


def changes(model: ClickModel, examples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Group of features or part of the network -> logit without it minus logit with it, [n].

    Beside the groups of features: the user state u and the dialogue interaction d, where the network has them, each
    as it is of an empty list, while the rest of the network sees everything.
    """
    tensors = _tensors(examples)
    base = model(tensors, training=False).numpy()
    found = {}
    if isinstance(model, KDCN):
        found = {name: model.without(tensors, name).numpy() - base for name in model.components}
    for name, keys in groups(model.spec).items():
        found[name] = model(_tensors(emptied(examples, keys)), training=False).numpy() - base
    return found


def _tensors(examples: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {key: tf.constant(value) for key, value in examples.items()}


def explain(model: ClickModel, example: Mapping[str, np.ndarray]) -> Explanation:
    """Explains one impression.

    Args:
        model: trained.
        example: feature key -> [1, ...].
    """
    attention = None
    if isinstance(model, KDCN) and model.dialogue:
        logits, weights = model.attention(_tensors(example))
        attention = weights[0].numpy()
    else:
        logits = model(_tensors(example), training=False)
    found = {name: float(change[0]) for name, change in changes(model, example).items()}
    return Explanation(float(logits[0]), found, attention)


def typical(model: ClickModel, data: Heldout, rows: int) -> Typical:
    """Mean changes over the first rows of a split; build-ctr shuffles, so they are a random sample.

    Raises:
        DataError: the split has no examples, or a file is wrong.
    """
    parts, seen = [], 0
    for examples in data.batches():
        part = {key: value[: rows - seen] for key, value in examples.items()}
        parts.append(changes(model, part))
        seen += len(part[records.LABEL])
        if seen >= rows:
            break
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    mean = {name: float(np.mean(change)) for name, change in together.items()}
    return Typical(seen, mean, {name: float(np.mean(np.abs(change))) for name, change in together.items()})


def read_row(data: Heldout, row: int) -> Examples:
    """One impression, feature key -> [1, ...].

    Args:
        data: the split.
        row: counted from 0, in the order of the files.

    Raises:
        ConfigError: the split hasn't so many rows.
        DataError: a file is wrong.
    """
    entries = data.ctr.group(data.split)
    total = sum(entry.count for entry in entries)
    if not 0 <= row < total:
        raise ConfigError(f"--row {row}: split {data.split!r} has {total:,} rows, counted from 0")
    for entry in entries:
        if row < entry.count:
            break
        row -= entry.count
    path = files.join(data.directory, entry.name)
    with translated(path):
        found = list(tf.data.TFRecordDataset(path).skip(row).take(1))
        check_rows(path, row + len(found), row + 1)
        batch = ctr_data.parse(tf.stack(found), ctr_data.spec_of(data.ctr), path)
    return {key: value.numpy() for key, value in batch.items()}


def rows_of_session(data: Heldout, session: int) -> Iterator[tuple[int, Examples]]:
    """Rows of a session's impressions and the impressions, [1, ...] each.

    Raises:
        DataError: the split has no examples, or a file is wrong.
    """
    first = 0
    for examples in data.batches():
        for place in np.flatnonzero(examples[records.SESSION] == session):
            yield first + int(place), {key: value[place : place + 1] for key, value in examples.items()}
        first += len(examples[records.LABEL])
