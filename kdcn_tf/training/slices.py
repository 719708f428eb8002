"""Slices of impressions, by name: what metrics are taken of apart from the whole."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kdcn_tf import ckg, records
from kdcn_tf.ckg import PAD_ID
from kdcn_tf.data.entities import ENTITIES, read_keys
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.records import OOV_ID

Examples = Mapping[str, np.ndarray]

SOURCE, CATEGORY, USER_FREQUENCY, ITEM_FREQUENCY = "source", "category", "user_frequency", "item_frequency"
DAY, BEHAVIORS, QUERY, POSITION = "day", "behaviors", "query_keywords", "position"

NAMES: Mapping[str, str] = {
    SOURCE: "the log that an impression came from",
    CATEGORY: "top category of the candidate",
    USER_FREQUENCY: "how often training showed something to the user",
    ITEM_FREQUENCY: "how often training showed the candidate",
    DAY: "day of the impression, UTC",
    BEHAVIORS: "behaviours of the user, of all kinds",
    QUERY: "keywords of the query that the graph knows",
    POSITION: "place at which the candidate was shown, as the log counts",
}
"""Every way to slice -> what it means."""

ALL = "all"
"""Name of all sources together."""

DEFAULT = (SOURCE, CATEGORY, USER_FREQUENCY, ITEM_FREQUENCY)

COUNTED = (USER_FREQUENCY, ITEM_FREQUENCY)
"""Those that need counts of the training split."""

UNKNOWN, NONE = "unknown", "none"
"""Slice of entities that the graph doesn't know and of places that the log doesn't say, and of impressions without a
category."""

_EDGES, _BUCKETS = np.array([1, 3, 10]), np.array(["0", "1-2", "3-9", "10+"])
_POSITION_EDGES = np.array([*range(11), 20, 50])
_POSITIONS = np.array([UNKNOWN, *map(str, range(10)), "10-19", "20-49", "50+"])


@dataclass(frozen=True)
class Counts:
    """How often ids occur.

    Attributes:
        ids: int64 [m], distinct, ascending; entities only, neither PAD nor OOV.
        numbers: int64 [m].
    """

    ids: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray) -> "Counts":
        found, numbers = np.unique(np.asarray(ids, np.int64), return_counts=True)
        entities = (found != PAD_ID) & (found != OOV_ID)
        return cls(found[entities], numbers[entities])

    def __add__(self, other: "Counts") -> "Counts":
        ids, places = np.unique(np.concatenate([self.ids, other.ids]), return_inverse=True)
        numbers = np.zeros(len(ids), np.int64)
        np.add.at(numbers, places.reshape(-1), np.concatenate([self.numbers, other.numbers]))
        return Counts(ids, numbers)

    def of_each(self, ids: np.ndarray) -> np.ndarray:
        """Occurrences [n] of ids [n]; 0 for those that never occur."""
        if not len(self.ids):
            return np.zeros(len(ids), np.int64)
        places = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[places] == ids, self.numbers[places], 0)


@dataclass(frozen=True)
class TrainCounts:
    """Impressions of each user and each candidate in a training split."""

    users: Counts
    items: Counts

    @classmethod
    def none(cls) -> "TrainCounts":
        return cls(Counts.of(np.empty(0)), Counts.of(np.empty(0)))

    @classmethod
    def of(cls, examples: Examples) -> "TrainCounts":
        return cls(Counts.of(examples[records.USER]), Counts.of(examples[records.ITEM]))

    def __add__(self, other: "TrainCounts") -> "TrainCounts":
        return TrainCounts(self.users + other.users, self.items + other.items)


def train_counts(directory: str, described: Manifest, batch_size: int = 65_536) -> TrainCounts:
    """Counts of a dataset's training split, read batch by batch; memory grows with distinct users and items only.

    Raises:
        DataError: a file is wrong.
    """
    from kdcn_tf.data import ctr as ctr_data  # TensorFlow's import: commands name slices before they need it

    found = TrainCounts.none()
    for batch in ctr_data.batches_of(directory, described, "train", batch_size):
        found += TrainCounts.of({key: batch[key].numpy() for key in (records.USER, records.ITEM)})
    return found


def category_names(directory: str, graph: Manifest) -> dict[int, str]:
    """Name of every category of a CKG dataset, by id.

    Raises:
        DataError: an id map file is wrong.
    """
    entries = graph.files.get(ENTITIES + ckg.CATEGORY, ())
    return {entry.first + i: key for entry in entries for i, key in enumerate(read_keys(directory, entry))}


def require_known(names: Iterable[str]) -> None:
    """Refuses a way to slice that doesn't exist.

    Raises:
        ConfigError: naming it and all that do.
    """
    for name in names:
        if name not in NAMES:
            raise ConfigError(f"--slices: unknown slice {name!r}; known: {', '.join(NAMES)}")


def require_sources(names: Iterable[str], where: str) -> None:
    """Refuses a source that can't be told from all of them together; a single one stands for all anyway.

    Raises:
        DataError: naming the source; `where` says whose it is.
    """
    sources = set(names)
    if len(sources) > 1 and ALL in sources:
        raise DataError(f"{where}: a source is named {ALL!r}, which is the name of all sources together")


def slice_names(
    examples: Examples,
    counts: TrainCounts,
    by: Sequence[str] = DEFAULT,
    categories: Mapping[int, str] | None = None,
) -> dict[str, np.ndarray]:
    """Name of the slice that each impression belongs to, for each way to slice.

    Args:
        examples: feature key -> [n, ...], as `kdcn_tf.data.ctr` yields them, in NumPy.
        counts: of the training split.
        by: ways to slice, of `NAMES`.
        categories: id -> name (`category_names`); a category without a name is shown by its id.

    Returns:
        Way to slice -> str [n].

    Raises:
        ConfigError: there is no such way to slice.
    """
    require_known(by)
    return {name: _OF[name](examples, counts, categories or {}) for name in by}


def ordered(name: str, slices: Iterable[str]) -> list[str]:
    """Slices of one way to slice, as people read them: the unknown first, then by number or alphabet."""
    if name in (USER_FREQUENCY, ITEM_FREQUENCY, BEHAVIORS, POSITION):
        order = _POSITIONS.tolist() if name == POSITION else [UNKNOWN, *_BUCKETS]
        return sorted(slices, key=order.index)
    if name == QUERY:
        return sorted(slices, key=int)
    return sorted(slices)


def buckets(numbers: np.ndarray) -> np.ndarray:
    """Counts [n] as "0", "1-2", "3-9" or "10+"."""
    return _BUCKETS[np.searchsorted(_EDGES, numbers, side="right")]


def positions(places: np.ndarray) -> np.ndarray:
    """Places [n] as "0", "1" and so on to "9", then "10-19", "20-49" or "50+"; "unknown" below 0."""
    return _POSITIONS[np.searchsorted(_POSITION_EDGES, places, side="right")]


def _frequency(ids: np.ndarray, counts: Counts) -> np.ndarray:
    return np.where(ids == OOV_ID, UNKNOWN, buckets(counts.of_each(ids)))


def _category(examples: Examples, _: TrainCounts, names: Mapping[int, str]) -> np.ndarray:
    ids, places = np.unique(examples[records.CATEGORIES][:, 0], return_inverse=True)
    shown = [NONE if one == PAD_ID else names.get(int(one), str(one)) for one in ids]
    return np.array(shown, np.str_)[places.reshape(-1)]


def _source(examples: Examples, *_) -> np.ndarray:
    sources, places = np.unique(examples[records.SOURCE].astype(object), return_inverse=True)
    shown = [source.decode("utf-8", "replace") for source in sources]
    return np.array(shown, np.str_)[places.reshape(-1)]


def _day(examples: Examples, *_) -> np.ndarray:
    return examples[records.TIMESTAMP].astype("datetime64[s]").astype("datetime64[D]").astype(np.str_)


def _behaviors(examples: Examples, *_) -> np.ndarray:
    lists = [value for key, value in examples.items() if key.startswith(records.behavior_key(""))]
    return buckets(sum((value != PAD_ID).sum(axis=1) for value in lists))


def _query(examples: Examples, *_) -> np.ndarray:
    return (examples[records.QUERY_KEYWORDS] != PAD_ID).sum(axis=1).astype(np.str_)


_OF: Mapping[str, Callable[[Examples, TrainCounts, Mapping[int, str]], np.ndarray]] = {
    SOURCE: _source,
    CATEGORY: _category,
    USER_FREQUENCY: lambda examples, counts, _: _frequency(examples[records.USER], counts.users),
    ITEM_FREQUENCY: lambda examples, counts, _: _frequency(examples[records.ITEM], counts.items),
    DAY: _day,
    BEHAVIORS: _behaviors,
    QUERY: _query,
    POSITION: lambda examples, *_: positions(examples[records.POSITION]),
}
