"""The filter of link prediction: which candidates already complete a query.

A query asks for the tail of (head, relation) or for the head of (relation, tail), and has a key. What is known
of a query is read from triples wherever they are (a closure reads a file on a worker), and only
the matches come back: one int64 code for a key and a candidate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Queries:
    """One query a row, int64 [q] each: what is given, what is asked for, and the true answer."""

    given: np.ndarray
    relation: np.ndarray
    wanted: np.ndarray
    asks_tail: np.ndarray  # bool

    @classmethod
    def of(cls, triples: np.ndarray) -> "Queries":
        """Both queries of each triple (int64 [n, 3]): all tails first, then all heads."""
        head, relation, tail = triples.T
        return cls(
            np.concatenate([head, tail]), np.tile(relation, 2), np.concatenate([tail, head]),
            np.repeat([True, False], len(triples)),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.given)

    def keys(self, num_relations: int) -> np.ndarray:
        """int64 [q]: equal for queries that ask the same."""
        return _keys(self.given, self.relation, self.asks_tail.astype(np.int64), num_relations)

    def part(self, first: int, last: int) -> "Queries":
        return Queries(*(column[first:last] for column in (self.given, self.relation, self.wanted, self.asks_tail)))


def _keys(given, relation, asks_tail, num_relations: int):
    return (given * num_relations + relation) * 2 + asks_tail


def matches(triples: tf.Tensor, keys: tf.Tensor, candidates: tf.Tensor, num_relations: int) -> tf.Tensor:
    """Codes of the queries and candidates that triples connect.

    Args:
        triples: int64 [n, 3].
        keys: int64 [K], distinct keys of queries, sorted.
        candidates: int64 [c], distinct entity ids, sorted.
        num_relations: that the keys were made with.

    Returns:
        int64 [m], index in `keys` * c + index in `candidates`; a triple that occurs twice gives a code twice.
    """
    head, relation, tail = tf.unstack(triples, axis=1)
    of_tails, of_heads = _keys(head, relation, 1, num_relations), _keys(tail, relation, 0, num_relations)
    key = _find(keys, tf.concat([of_tails, of_heads], axis=0))
    candidate = _find(candidates, tf.concat([tail, head], axis=0))
    found = (key >= 0) & (candidate >= 0)
    return tf.boolean_mask(key * tf.size(candidates, tf.int64) + candidate, found)


def _find(ordered: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """int64 [m]: where each value is in `ordered`, -1 where it isn't."""
    last = tf.size(ordered, tf.int64) - 1
    place = tf.minimum(tf.searchsorted(ordered, values, out_type=tf.int64), last)
    return tf.where(tf.gather(ordered, place) == values, place, -1)


class Known:
    """Known completions of each distinct query, as 8 bytes a key and 4 bytes a completion.

    Args:
        codes: of `matches`, in parts.
        num_keys: K.
        num_candidates: c.
    """

    def __init__(self, codes: Sequence[np.ndarray], num_keys: int, num_candidates: int):
        distinct = np.unique(np.concatenate(codes))
        self._starts = np.searchsorted(distinct, np.arange(num_keys + 1) * num_candidates)
        self._columns = (distinct % max(num_candidates, 1)).astype(np.int32)

    def of(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Completions of the queries with these keys (int64 [q], indices).

        Returns:
            int64 [q + 1], where each query's completions start and end; int32 [m], indices of candidates.
        """
        lengths = self._starts[keys + 1] - self._starts[keys]
        splits = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(splits[-1]) - np.repeat(splits[:-1] - self._starts[keys], lengths)
        return splits, self._columns[places]
