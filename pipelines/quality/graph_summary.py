"""Summaries of a knowledge graph's files."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcn_tf import ckg, records
from kdcn_tf.errors import DataError
from pipelines.quality import tfrecord
from pipelines.quality.cells import Counts, Largest, Moments, Summary, Total

HOT = 10  # entities of the largest degree that are named, per type


@dataclass(frozen=True)
class Shape:
    """What a file's ids have to fit.

    Attributes:
        types: those with entities, in id order.
        firsts, lasts, kinds: ends of every id range, and the place of its type in `types`; in id order.
        relations: number of them.
    """

    types: tuple[str, ...]
    firsts: tuple[int, ...]
    lasts: tuple[int, ...]
    kinds: tuple[int, ...]
    relations: int

    @classmethod
    def of(cls, id_map: ckg.IdMap) -> "Shape":
        spans = sorted(
            (first, last, name) for name in id_map.ranges for first, last in id_map.spans(name) if last > first
        )
        types = tuple(dict.fromkeys(name for _, _, name in spans))
        return cls(
            types,
            tuple(first for first, _, _ in spans),
            tuple(last for _, last, _ in spans),
            tuple(types.index(name) for _, _, name in spans),
            len(id_map.relations),
        )

    def types_of(self, ids: np.ndarray, path: str) -> np.ndarray:
        """Place of each id's type in `types`.

        Raises:
            DataError: an id belongs to no type; `path` is named.
        """
        places = np.searchsorted(self.firsts, ids, side="right") - 1
        inside = (places >= 0) & (ids < np.append(self.lasts, 0)[places])
        if not inside.all():
            raise DataError(f"{path}: id {ids[~inside][0]} belongs to no entity type of the id map")
        return np.array(self.kinds, np.int64)[places]


def _column(features: Any, name: str) -> np.ndarray:
    return np.array(features[name].int64_list.value, np.int64)


def of_triples(path: str | None, split: str, shape: Shape) -> Summary:
    """Counts of one file of triple blocks; with path None, of no triple.

    Patterns are counted under (relation id, place of the head's type, of the tail's) in one number.

    Raises:
        DataError: a corrupt record, lists of different lengths, or an id that the id map doesn't have.
    """
    columns: dict[str, list[np.ndarray]] = {
        records.HEAD: [],
        records.RELATION: [],
        records.TAIL: [],
        records.WEIGHT: [],
    }
    for offset, features in tfrecord.features(path) if path else ():
        block = {name: _column(features, name) for name in columns}
        sizes = {name: len(values) for name, values in block.items() if name != records.WEIGHT or len(values)}
        if len(set(sizes.values())) != 1:
            raise DataError(f"{path}: the block at byte {offset} has lists of different lengths: {sizes}")
        for name, values in block.items():
            columns[name].append(values)
    head, relation, tail, weight = (np.concatenate([*columns[name], np.zeros(0, np.int64)]) for name in columns)
    if len(wrong := relation[(relation < 0) | (relation >= shape.relations)]):
        raise DataError(f"{path}: relation {wrong[0]}, but the id map has {shape.relations} relations")
    heads, tails = shape.types_of(head, str(path)), shape.types_of(tail, str(path))
    codes = (relation * len(shape.types) + heads) * len(shape.types) + tails
    return {
        ("splits", split, "triples"): Total(len(head)),
        ("splits", split, "self_loops"): Total(int((head == tail).sum())),
        ("splits", split, "patterns"): Counts.of(codes),
        ("splits", split, "weight"): Moments.of(weight),
    }


def of_adjacency(path: str | None, shape: Shape) -> Summary:
    """Degrees in one file of adjacency blocks, by entity type; with path None, of no entity.

    The histogram counts degrees by their number of binary digits: 0, 1, 2 to 3, 4 to 7, and so on.

    Raises:
        DataError: a corrupt record, or an id that the id map doesn't have.
    """
    ids, degrees = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for offset, features in tfrecord.features(path) if path else ():
        first, degree = _column(features, records.FIRST_ID), _column(features, records.DEGREE)
        if len(first) != 1 or (degree < 0).any():
            raise DataError(f"{path}: the block at byte {offset} has no first id, or a negative degree")
        ids.append(first[0] + np.arange(len(degree)))
        degrees.append(degree)
    every, degree = np.concatenate(ids), np.concatenate(degrees)
    places = shape.types_of(every, str(path))
    summary: Summary = {}
    for place, name in enumerate(shape.types):
        mine = places == place
        if mine.any() or path is None:
            summary["degrees", name, "sum"] = Total(int(degree[mine].sum()))
            summary["degrees", name, "histogram"] = Counts.of(digits(degree[mine]))
            summary["degrees", name, "largest"] = Largest.of(degree[mine], every[mine], HOT)
    return summary


def digits(numbers: np.ndarray) -> np.ndarray:
    """Binary digits of each number from 0; exact below 2**53."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)


def digits_label(digits: int) -> str:
    """The numbers with so many binary digits."""
    return str(digits) if digits < 2 else f"{1 << (digits - 1)}-{(1 << digits) - 1}"
