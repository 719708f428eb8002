"""Clicks of validation and test that the knowledge graph already holds, by the ids of a finished or growing dataset.

A user's behaviours are triples of the graph if `ckg.interactions` is set. The held-out clicks are gathered as sorted
numbers, one per pair of user and item, and the graph's files are read against them, one at a time.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.transforms.window import GlobalWindows

from kdcn_tf import ckg, files, records
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.places import Places
from pipelines import writing
from pipelines.quality import tfrecord

HELD_OUT = ("valid", "test")
_GRAPH_FILES = ("train", "valid", "test")
FACT = "leaks"
_SHOWN = 3
_BATCH = 1 << 16

Clicks = tuple[str, int, np.ndarray]
"""Split, number of held-out clicks, and the packed pairs of those whose user and item the graph knows (uint64)."""


@dataclass(frozen=True)
class Pairs:
    """(user id, item id) as one number, in order of user and item."""

    users: Places
    items: Places

    @classmethod
    def of(cls, graph: Manifest) -> "Pairs":
        id_map = graph.require_id_map()
        users, items = (Places(id_map.spans(name) if name in id_map.ranges else ()) for name in (ckg.USER, ckg.ITEM))
        return cls(users, items)

    def pack(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Pairs of which one end is no id of a user or an item are left out."""
        rows, columns = self.users.of(users), self.items.of(items)
        inside = (rows >= 0) & (columns >= 0)
        return rows[inside].astype(np.uint64) * np.uint64(self.items.size) + columns[inside].astype(np.uint64)

    def unpack(self, pair: int) -> tuple[int, int]:
        user, item = divmod(pair, self.items.size)
        return self.users.id_of(user), self.items.id_of(item)


def relations(graph: Manifest) -> dict[int, str]:
    """Ids and names of the relations that join users and items; none in a graph without interactions."""
    names = graph.require_id_map().relations
    patterns = graph.info.get("relation_patterns", {})
    ends = {ckg.USER, ckg.ITEM}
    found = {}
    for number, name in enumerate(names):
        listed = patterns.get(name, [])
        rows = [listed] if listed and isinstance(listed[0], str) else listed
        interacted = name in (ckg.USER_INTERACTED_ITEM.relation, ckg.USER_INTERACTED_ITEM.name)
        if interacted or any({row[0], row[2]} == ends for row in rows):
            found[number] = name
    return found


class _Gather:
    """Clicks of one split, one example at a time."""

    def __init__(self) -> None:
        self.number = 0
        self._users, self._items = array("q"), array("q")

    def add(self, feature: Any) -> None:
        if any(feature[records.LABEL].float_list.value):
            self.number += 1
            self._users.append(next(iter(feature[records.USER].int64_list.value), records.OOV_ID))
            self._items.append(next(iter(feature[records.ITEM].int64_list.value), records.OOV_ID))

    def clicks(self, split: str, pairs: Pairs) -> Clicks:
        return split, self.number, pairs.pack(np.array(self._users), np.array(self._items))


def clicks_of_file(task: tuple[str, str], pairs: Pairs) -> Clicks:
    """Clicks of one file of a split.

    Raises:
        DataError: the file is corrupt.
    """
    split, path = task
    gathered = _Gather()
    for _, feature in tfrecord.features(path):
        gathered.add(feature)
    return gathered.clicks(split, pairs)


class ClicksOfExamples(beam.DoFn):
    """(split, order + example), as they are about to be written -> `Clicks`, some thousands at once."""

    def __init__(self, pairs: Pairs):
        self._pairs = pairs

    def start_bundle(self) -> None:
        self._gathered = {split: _Gather() for split in HELD_OUT}

    def process(self, row: tuple[str, bytes]) -> Iterator[Clicks]:
        split, payload = row
        if split not in self._gathered:
            return
        self._gathered[split].add(records.Example.FromString(payload[writing.ORDER_BYTES :]).features.feature)
        if self._gathered[split].number >= _BATCH:
            yield self._gathered[split].clicks(split, self._pairs)
            self._gathered[split] = _Gather()

    def finish_bundle(self) -> Iterator[Any]:
        for split, gathered in self._gathered.items():
            if gathered.number:
                yield GlobalWindows.windowed_value(gathered.clicks(split, self._pairs))


def known_of_file(path: str, wanted: np.ndarray, joining: Sequence[int], pairs: Pairs) -> np.ndarray:
    """Those of the `wanted` pairs (sorted) that a file of triples holds under a relation of `joining`.

    Raises:
        DataError: the file is corrupt.
    """
    found = [np.zeros(0, np.uint64)]
    for _, feature in tfrecord.features(path):
        head, relation, tail = (
            np.array(feature[name].int64_list.value, np.int64)
            for name in (records.HEAD, records.RELATION, records.TAIL)
        )
        mine = np.isin(relation, joining)
        if mine.any():
            for users, items in ((head[mine], tail[mine]), (tail[mine], head[mine])):
                found.append(np.intersect1d(pairs.pack(users, items), wanted))
    return union(found)


def union(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate([np.zeros(0, np.uint64), *arrays]))


def _judge(clicks: Clicks, known: np.ndarray, pairs: Pairs) -> dict[str, Any]:
    split, number, packed = clicks
    leaked = packed[np.isin(packed, known)]
    # Validation comes before test, also in the order of these.
    first = [[HELD_OUT.index(split), *pairs.unpack(int(pair))] for pair in np.unique(leaked)[:_SHOWN]]
    return {"clicks": number, "leaked": len(leaked), "first": first}


def _add(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"clicks": 0, "leaked": 0, "first": []}
    for part in parts:
        first = {tuple(row) for row in (*total["first"], *part["first"])}
        total = {
            "clicks": total["clicks"] + part["clicks"],
            "leaked": total["leaked"] + part["leaked"],
            "first": [list(row) for row in sorted(first)[:_SHOWN]],
        }
    return total


class FindLeaks(beam.PTransform):
    """`Clicks` -> one fact (FACT, {"clicks", "leaked", "first": [[place in HELD_OUT, user, item]]}).

    Args:
        directory: of the graph.
        graph: its manifest.
    """

    def __init__(self, directory: str, graph: Manifest):
        super().__init__()
        self._paths = [files.join(directory, f.name) for group in _GRAPH_FILES for f in graph.files.get(group, ())]
        self._joining, self._pairs = tuple(relations(graph)), Pairs.of(graph)

    def expand(self, clicks):
        wanted = (
            clicks | "Pairs" >> beam.Map(lambda found: found[2]) | "Wanted" >> beam.CombineGlobally(union)
        )  # fmt: skip
        known = (
            clicks.pipeline
            | "GraphFiles" >> beam.Create(self._paths)
            | "Spread" >> beam.Reshuffle()
            | "Known" >> beam.Map(known_of_file, beam.pvalue.AsSingleton(wanted), self._joining, self._pairs)
            | "AllKnown" >> beam.CombineGlobally(union)
        )
        return (
            clicks
            | "Judge" >> beam.Map(_judge, beam.pvalue.AsSingleton(known), self._pairs)
            | "Add" >> beam.CombineGlobally(_add)
            | "Fact" >> beam.Map(lambda found: (FACT, found))
        )


def check(facts: Mapping[str, Any], graph: Manifest, limit: float) -> dict[str, int]:
    """Counts of the leak check; nothing where it had nothing to look for.

    Args:
        facts: of the job that `FindLeaks` was part of.
        graph: manifest of the graph.
        limit: `ctr.max_leaked_share`.

    Raises:
        DataError: a larger share of held-out clicks is in the graph; names the first of them.
    """
    if FACT not in facts:
        return {}
    clicks, leaked = facts[FACT]["clicks"], facts[FACT]["leaked"]
    if leaked > limit * clicks:
        shown = "; ".join(f"{HELD_OUT[split]}: user {user}, item {item}" for split, user, item in facts[FACT]["first"])
        raise DataError(
            f"{leaked} of {clicks} clicks held out for validation and test ({leaked / clicks:.2%}) stand in the graph "
            f"under {' or '.join(map(repr, relations(graph).values()))}, more than ctr.max_leaked_share={limit:g}; "
            f"first ids: {shown}. A model could look them up. If they are repeats of what happened before "
            f"time.train_end, --set ctr.max_leaked_share={math.ceil(1e4 * leaked / clicks) / 1e4:g} allows them; "
            "else build the graph with ckg.interactions=false"
        )
    return {"leak_check.clicks": clicks, "leak_check.leaked": leaked}
