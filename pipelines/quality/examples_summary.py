"""Summaries of the files of a CTR dataset."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcn_tf import ckg, records
from kdcn_tf.errors import DataError
from kdcn_tf.places import Places
from pipelines.quality import tfrecord
from pipelines.quality.cells import Counts, Distinct, Moments, Summary, Total

DAY = 86_400
_SCALARS = (records.USER, records.ITEM, records.TIMESTAMP, records.SESSION)
_CODES = {"int64_list": "q", "float_list": "d"}
_SOURCES = 1000  # at the most, that are counted one by one


@dataclass(frozen=True)
class Shape:
    """What the examples of a dataset hold: features, and the ids of every entity type."""

    behaviors: tuple[str, ...]
    dense: tuple[str, ...]
    places: dict[str, Places]

    @property
    def lists(self) -> tuple[str, ...]:
        return (
            records.QUERY_KEYWORDS, records.TITLE_KEYWORDS, records.CATEGORIES,
            *(records.behavior_key(kind) for kind in self.behaviors),
        )  # fmt: skip


class Ragged:
    """One feature of many examples: flat values and how many each example has."""

    def __init__(self, kind: str):
        self._kind = kind
        self._values: Any = array(_CODES[kind]) if kind in _CODES else []
        self._lengths = array("q")

    def append(self, feature: Any) -> None:
        found = getattr(feature, self._kind).value
        self._lengths.append(len(found))
        self._values.extend(found)

    @property
    def values(self) -> np.ndarray:
        return np.array(self._values, object if isinstance(self._values, list) else None)

    @property
    def lengths(self) -> np.ndarray:
        return np.array(self._lengths, np.int64)


def read(path: str | None, ints: Sequence[str], floats: Sequence[str], texts: Sequence[str]) -> dict[str, Ragged]:
    """Features of all examples of one file, which is bounded (`ctr.examples_per_file`); no example for path None."""
    found = {name: Ragged("int64_list") for name in ints}
    found |= {name: Ragged("float_list") for name in floats}
    found |= {name: Ragged("bytes_list") for name in texts}
    for _, features in tfrecord.features(path) if path else ():
        for name, column in found.items():
            column.append(features[name])
    return found


def scalar(path: str | None, columns: dict[str, Ragged], name: str) -> np.ndarray:
    """A feature that every example has exactly one value of.

    Raises:
        DataError: one has none, or several; names the example.
    """
    if len(wrong := np.flatnonzero(columns[name].lengths != 1)):
        number = columns[name].lengths[wrong[0]]
        raise DataError(f"{path}: example {wrong[0]} has {number} values of {name!r}, expected one")
    return columns[name].values


def labels(path: str | None, columns: dict[str, Ragged]) -> np.ndarray:
    """Whether each example is positive.

    Raises:
        DataError: a label is missing, or neither 0 nor 1.
    """
    found = scalar(path, columns, records.LABEL)
    if len(wrong := found[(found != 0) & (found != 1)]):
        raise DataError(f"{path}: label {wrong[0]:g}, expected 0 or 1")
    return found == 1


def of_examples(path: str | None, split: str, shape: Shape) -> Summary:
    """Summary of one file of examples; with path None, of no example.

    Raises:
        DataError: a corrupt record, or an example that isn't as `kdcn_tf.records` says.
    """
    floats = (records.LABEL, records.WEIGHT, records.DENSE)
    columns = read(path, (*_SCALARS, *shape.lists), floats, (records.SOURCE,))
    positive = labels(path, columns)
    summary: Summary = {
        ("examples",): Total(len(positive)),
        ("positives",): Total(int(positive.sum())),
        ("weight",): Moments.of(scalar(path, columns, records.WEIGHT)),
    }
    summary |= _rates(path, columns, positive)
    for name in (records.USER, records.ITEM):
        ids_of = shape.places.get(ckg.USER if name == records.USER else ckg.ITEM, Places(()))
        ids = scalar(path, columns, name)
        known = ids[ids != records.OOV_ID]
        places = ids_of.of(known)
        if len(wrong := known[places < 0]):
            ranges = " or ".join(f"[{first}, {last})" for first, last in ids_of.spans) or "none"
            raise DataError(f"{path}: {name} {wrong[0]} is no id of {ranges}")
        summary["distinct", name] = Distinct.of(places, 0, ids_of.size)
        summary |= _list_feature(name, columns[name])
    for name in shape.lists:
        summary |= _list_feature(name, columns[name])
    summary |= dict(_dense(path, columns, shape.dense))
    return {("splits", split, *place): cell for place, cell in summary.items()}


def _rates(path: str | None, columns: dict[str, Ragged], positive: np.ndarray) -> Summary:
    """Examples and positives by day, by source, and by top category."""
    days = scalar(path, columns, records.TIMESTAMP) // DAY
    sources = np.array([text.decode("utf-8", "replace") for text in scalar(path, columns, records.SOURCE)], str)
    categories, lengths = columns[records.CATEGORIES].values, columns[records.CATEGORIES].lengths
    tops = np.full(len(lengths), records.OOV_ID)
    tops[lengths > 0] = categories[(np.cumsum(lengths) - lengths)[lengths > 0]]
    summary: Summary = {}
    for name, values, options in (
        ("day", days, {}), ("source", sources, {"limit": _SOURCES}), ("category", tops, {}),
    ):  # fmt: skip
        summary["by", name, "examples"] = Counts.of(values, **options)
        summary["by", name, "positives"] = Counts.of(values[positive], **options)
    return summary


def _list_feature(name: str, column: Ragged) -> Summary:
    place = ("features", name)
    oov = int((column.values == records.OOV_ID).sum())
    return {
        (*place, "missing"): Total(int((column.lengths == 0).sum())),
        (*place, "values"): Total(len(column.values)),
        (*place, "oov"): Total(oov),
        (*place, "lengths"): Counts.of(column.lengths),
    }


def _dense(path: str | None, columns: dict[str, Ragged], names: tuple[str, ...]) -> Iterator[tuple[tuple, Moments]]:
    dense = columns[records.DENSE]
    if len(wrong := np.flatnonzero(dense.lengths != len(names))):
        number = dense.lengths[wrong[0]]
        raise DataError(f"{path}: example {wrong[0]} has {number} dense values, the manifest names {len(names)}")
    rows = dense.values.reshape(len(dense.lengths), len(names))
    for place, name in enumerate(names):
        yield ("dense", name), Moments.of(rows[:, place])
