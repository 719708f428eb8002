"""A CTR dataset as a table of numbers, for models that don't learn embeddings."""

from collections.abc import Callable

import numpy as np

from kdcn_tf import records
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.models.click_rates import NONE, ClickRates, folds_of, keys_of, pair_keys

Examples = dict[str, np.ndarray]
Columns = dict[str, np.ndarray]

BEHAVIORS, LEAF = "behaviors", "leaf"
PAIRS = (
    (records.USER, LEAF),
    (records.USER, records.TITLE_KEYWORDS),
    (records.QUERY_KEYWORDS, LEAF),
    (records.QUERY_KEYWORDS, records.ITEM),
    (records.QUERY_KEYWORDS, records.TITLE_KEYWORDS),
    (BEHAVIORS, records.ITEM),
    (BEHAVIORS, LEAF),
)
"""Pairs whose click rates are columns. BEHAVIORS are the items of all kinds, LEAF is the lowest category level."""

_CHUNK = 4096  # rows compared at a time, so that what is compared stays in the processor's caches


class Table:
    """Columns made of examples; what they need to know is learned from the training rows.

    - statistics as they are, category levels as categories;
    - how much there is: behaviours of each kind, keywords, category levels;
    - whether the candidate stands in a list of behaviours, how often, and how far from its start;
    - shared keywords of query and title;
    - per kind, the share of its items that are in the candidate's category, of each level, and the candidate's title
      keywords that an item's title shares, on average; an item's categories and title are those of training rows;
    - click rates of ids and `PAIRS` and the rows behind them, out of fold by session.

    Args:
        spec: the features.
        smoothing: of click rates, in rows.
        folds: that training rows are split into.
        seed: of the folds.
    """

    def __init__(self, spec: CtrSpec, smoothing: float, folds: int, seed: int):
        self.spec, self._smoothing, self._folds, self._seed = spec, smoothing, folds, seed
        self.categorical = [f"category {level}" for level in range(spec.max_categories)]
        self._items, self._described = np.zeros(0, np.int64), np.zeros((0, 0), np.int64)
        self._levels: list[np.ndarray] = []
        self._rates: dict[str, ClickRates] = {}

    def fit(self, train: Examples) -> Columns:
        """Learns from the training rows; returns their columns, float [n] each."""
        items, first = np.unique(train[records.ITEM], return_index=True)
        about = np.concatenate([train[records.CATEGORIES], train[records.TITLE_KEYWORDS]], axis=1)[first]
        self._items, self._described = items[items > NONE], about[items > NONE]
        self._levels = [np.unique(level[level > NONE]) for level in train[records.CATEGORIES].T]
        folds = folds_of(train[records.SESSION], self._folds, self._seed)
        labels, weights = train[records.LABEL], train[records.WEIGHT]

        def learned(name: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            self._rates[name] = ClickRates(self._smoothing)
            return self._rates[name].fit(keys, labels, weights, folds)

        return {**self._plain(train), **self._click_rates(train, learned)}

    def of(self, examples: Examples) -> Columns:
        """Columns of rows that weren't trained on."""
        return {**self._plain(examples), **self._click_rates(examples, lambda name, keys: self._rates[name].of(keys))}

    def _plain(self, examples: Examples) -> Columns:
        """What no label has a part in."""
        statistics = np.where(np.isfinite(examples[records.DENSE]), examples[records.DENSE], np.nan)
        columns = {f"statistic {name}": statistics[:, i] for i, name in enumerate(self.spec.dense_names)}
        for name, level, codes in zip(self.categorical, examples[records.CATEGORIES].T, self._levels, strict=True):
            columns[name] = np.where(np.isin(level, codes), np.searchsorted(codes, level), np.nan)
        for key in self.spec.list_sizes():
            columns[f"number of {key}"] = (examples[key] != NONE).sum(1)
        parts = [
            self._compared({key: values[start : start + _CHUNK] for key, values in examples.items()})
            for start in range(0, len(statistics), _CHUNK)
        ]
        return columns | {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _compared(self, examples: Examples) -> Columns:
        """Lists of an impression with its candidate."""
        title, query = examples[records.TITLE_KEYWORDS], examples[records.QUERY_KEYWORDS]
        levels, item = examples[records.CATEGORIES], examples[records.ITEM][:, None]
        columns = {"keywords shared": _shared(query, title)}
        columns["query shared"] = _ratio(columns["keywords shared"], (query > NONE).sum(1))
        for kind in self.spec.behaviors:
            items = examples[records.behavior_key(kind)]
            same = (items == item) & (item > NONE)
            columns[f"{kind}: candidate"] = same.sum(1)
            columns[f"{kind}: candidate since"] = np.where(same.any(1), same.argmax(1), np.nan)
            about = self._about(items)
            their_levels, their_titles = np.split(about, [levels.shape[1]], axis=2)
            for number, level in enumerate(levels.T):
                theirs = their_levels[:, :, number]
                agree = (theirs == level[:, None]) & (theirs > NONE)
                columns[f"{kind}: category {number}"] = _ratio(agree.sum(1), (theirs > NONE).sum(1))
            common = _shared(their_titles.reshape(len(items), -1), title)
            columns[f"{kind}: title"] = _ratio(common, (their_titles > NONE).any(2).sum(1))
        return columns

    def _about(self, items: np.ndarray) -> np.ndarray:
        """Category levels and title keywords [n, L, C + N] of items; NONE for an item that was no candidate."""
        if not len(self._items):
            return np.full((*items.shape, self._described.shape[1]), NONE)
        places = np.minimum(np.searchsorted(self._items, items), len(self._items) - 1)
        return np.where((self._items[places] == items)[:, :, None], self._described[places], NONE)

    def _click_rates(
        self, examples: Examples, rates: Callable[[str, np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> Columns:
        columns: Columns = {}
        keys = self._keys(examples)
        pairs = {f"{left} x {right}": pair_keys(keys[left], keys[right]) for left, right in PAIRS}
        for name, found in {**keys, **pairs}.items():
            rate, evidence = rates(name, found)
            known = (found != NONE).sum(1)
            columns[f"rate of {name}"] = _ratio(np.nansum(rate, axis=1), known)
            columns[f"rows of {name}"] = _ratio(evidence.sum(1), known)
            if found.shape[1] > 1:
                columns[f"highest rate of {name}"] = np.fmax.reduce(rate, axis=1)
        return columns

    def _keys(self, examples: Examples) -> dict[str, np.ndarray]:
        singles = (records.USER, records.ITEM, records.QUERY_KEYWORDS, records.TITLE_KEYWORDS, records.CATEGORIES)
        keys = {name: keys_of(examples[name]) for name in singles}
        keys[BEHAVIORS] = keys_of(
            np.concatenate([examples[records.behavior_key(kind)] for kind in self.spec.behaviors], axis=1)
        )
        levels = keys[records.CATEGORIES]
        last = levels.shape[1] - 1 - np.argmax(levels[:, ::-1] > NONE, axis=1)
        keys[LEAF] = np.take_along_axis(levels, last[:, None], axis=1)
        return keys


def _shared(many: np.ndarray, few: np.ndarray) -> np.ndarray:
    """How many of `many` [n, m] occur in `few` [n, r], by row."""
    found = np.zeros(many.shape, bool)
    for column in few.T:
        found |= many == column[:, None]
    return (found & (many > NONE)).sum(1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where there is no whole."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
