"""Requests to the served K-DCN, made from records as the raw logs hold them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kdcn_tf import ckg, keys, records, text
from kdcn_tf.config import from_dict
from kdcn_tf.data.ctr import spec_of
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest

Record = Mapping[str, Any]


class RankRequest:
    """Makes inputs of signature `rank`, cutting keywords as the pipelines do.

    Args:
        served: manifest of the SavedModel.

    Attributes:
        spec: the model's features.
        history_days: days back from a request in which behaviours count; None for all.
    """

    def __init__(self, served: Manifest):
        self.spec = spec_of(served)
        # As the training examples were built; the model's own configuration may say something else.
        self._max_keywords = int(served.info.get("max_keywords", from_dict(served.config).logs.max_keywords))
        self.history_days: float | None = served.info.get("history_days")

    def inputs(
        self,
        *,
        user: str,
        query: str | Sequence[str],
        history: Mapping[str, Sequence[str]],
        items: Sequence[Record],
        stats: Sequence[Mapping[str, float]] | None = None,
    ) -> dict[str, np.ndarray]:
        """Inputs by name.

        Args:
            user: id in the logs, turned into its pseudonym here; "" for an unknown user.
            query: text, or a list of keywords.
            history: behaviour kind -> item ids, latest first.
            items: the n candidates, records of the raw items stream.
            stats: per candidate, statistics that win over its record's own.

        Raises:
            DataError: a record can't be understood; names item and field.
        """
        words = text.given_keywords(query, self._max_keywords)
        try:
            pseudonym = keys.entity_key(ckg.USER, user) if user else ""
        except ValueError as error:
            raise DataError(f"user id: {error}") from None
        inputs: dict[str, np.ndarray] = {
            records.USER_ID: _strings([pseudonym]),
            records.QUERY_KEYWORDS: _padded([words]),
            records.ITEM_ID: _strings([str(item["item_id"]) for item in items]),
            records.TITLE_KEYWORDS: _padded([self._title_keywords(item) for item in items]),
            records.CATEGORIES: _padded([_categories(item) for item in items]),
            records.DENSE: self._statistics(items, stats or [{}] * len(items)),
        }
        for kind in self.spec.behaviors:
            inputs[records.behavior_key(kind)] = _padded([list(history.get(kind, ()))])
        return inputs

    def _title_keywords(self, item: Record) -> list[str]:
        given = item.get("keywords")
        return text.given_keywords(str(item["title"]) if given is None else given, self._max_keywords)

    def _statistics(self, items: Sequence[Record], stats: Sequence[Mapping[str, float]]) -> np.ndarray:
        """[n, D], NaN for what isn't known."""
        rows = []
        for item, own in zip(items, stats, strict=True):
            known = {**_without_nulls(item.get("stats")), **_without_nulls(own)}
            try:
                rows.append([_number(known[name]) if name in known else np.nan for name in self.spec.dense_names])
            except ValueError as error:
                raise DataError(f"item {item['item_id']!r}: stats: {error}") from None
        return np.array(rows, np.float32).reshape(len(items), len(self.spec.dense_names))


def _without_nulls(stats: Mapping[str, Any] | None) -> dict[str, Any]:
    """Null counts as absent, as in the logs."""
    return {name: value for name, value in (stats or {}).items() if value is not None}


def _number(value: Any) -> float:
    """Refuses what the pipelines would put aside."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("not a number")
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise ValueError("is too large or not finite")
    return float(value)


def _categories(item: Record) -> list[str]:
    path = item["category"]
    return keys.category_levels([path] if isinstance(path, str) else list(path))


def _encoded(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can escape
        raise DataError(f"{value!r}: not valid Unicode") from None


def _strings(values: Sequence[str]) -> np.ndarray:
    return np.array([_encoded(value) for value in values], object)


def _padded(lists: Sequence[Sequence[str]]) -> np.ndarray:
    """[n, longest], "" for padding."""
    width = max(map(len, lists), default=0)
    rows = [[_encoded(value) for value in row] + [b""] * (width - len(row)) for row in lists]
    return np.array(rows, object).reshape(len(lists), width)
