"""Link prediction: filtered ranks of held-out triples, MRR and Hits@k.

Protocol (Bordes et al., 2013; ties as in Sun et al., 2020): each held-out triple is ranked among the
candidates as tail and as head; other known triples are taken out; a tie counts half.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kdcn_tf.layers.transe import pairwise_distance
from kdcn_tf.training.known_triples import Known, Queries, matches

SCORES = 1 << 22
"""Scores of a batch of queries, at the most, unless a single query has more."""

HITS = (1, 3, 10)


@dataclass(frozen=True)
class Ranks:
    """Ranks of the true entities, 1 is best; optimistic and pessimistic differ by ties."""

    optimistic: np.ndarray
    pessimistic: np.ndarray

    @property
    def realistic(self) -> np.ndarray:
        return (self.optimistic + self.pessimistic) / 2.0

    @classmethod
    def of(cls, counts: np.ndarray) -> "Ranks":
        """From the counts (int [q, 2]) of `count_better`."""
        better, tied = counts.T.astype(np.float64)
        return cls(1.0 + better, 1.0 + better + tied)

    def only(self, mask: np.ndarray) -> "Ranks":
        return Ranks(self.optimistic[mask], self.pessimistic[mask])


def count_better(
    scores: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    *,
    candidates: tf.Tensor,
    columns: tf.Tensor,
    wanted: tf.Tensor,
    known_splits: tf.Tensor,
    known: tf.Tensor,
) -> tf.Tensor:
    """How many candidates score better than the true entity, and how many tie with it.

    The true entity's score is read from the same matrix as the others', so that equal vectors tie.

    Args:
        scores: (first, last) -> scores of the queries [first, last), float [b, columns], higher is better.
        candidates: number of columns, from the first, that are candidates.
        columns: number of columns; those behind the candidates are true entities that are none.
        wanted: int32 [q], column of the true entity.
        known_splits: int64 [q + 1], with `known` the candidates to leave out: all that complete a query, the
            true entity among them.
        known: int32 [m], columns.

    Returns:
        int32 [q, 2].
    """
    size = tf.maximum(1, SCORES // tf.maximum(columns, 1))
    parts = tf.TensorArray(tf.int32, size=0, dynamic_size=True, infer_shape=False, element_shape=[None, 2])
    total = tf.size(wanted)
    for first in tf.range(0, total, size):
        last = tf.minimum(first + size, total)
        found = scores(first, last)
        true = tf.gather(found, wanted[first:last], batch_dims=1)
        splits = known_splits[first : last + 1]
        rows = tf.repeat(tf.range(last - first), tf.cast(splits[1:] - splits[:-1], tf.int32))
        left_out = tf.gather_nd(found, tf.stack([rows, known[splits[0] : splits[-1]]], axis=1))
        counts = []
        for beats in (tf.greater, tf.equal):
            among = tf.math.count_nonzero(beats(found[:, :candidates], true[:, None]), axis=1, dtype=tf.int32)
            out = tf.cast(beats(left_out, tf.gather(true, rows)), tf.int32)
            counts.append(among - tf.math.unsorted_segment_sum(out, rows, last - first))
        parts = parts.write(parts.size(), tf.stack(counts, axis=1))
    return parts.concat()


def rank_triples(
    entities: np.ndarray, relations: np.ndarray, triples: np.ndarray, known: np.ndarray, norm: int
) -> Ranks:
    """Filtered ranks among all entities by TransE's distance of given vectors, of whatever system.

    Args:
        entities: float [num_ids, d]; row 0 (PAD) is no candidate.
        relations: float [num_relations, d].
        triples: int64 [n, 3], to rank.
        known: int64 [m, 3], triples to leave out of the candidates.
        norm: p of the distance.

    Returns:
        Ranks of 2n queries, tails first, then heads.
    """
    if not len(triples):
        return Ranks(np.empty(0), np.empty(0))
    queries, candidates = Queries.of(triples), np.arange(1, len(entities))
    keys, key_of = np.unique(queries.keys(len(relations)), return_inverse=True)
    codes = [matches(tf.constant(part), tf.constant(keys), tf.constant(candidates), len(relations)).numpy()
             for part in (known, triples)]  # fmt: skip
    splits, columns = Known(codes, len(keys), len(candidates)).of(key_of)
    sign = np.where(queries.asks_tail, 1.0, -1.0).astype(np.float32)[:, None]
    points = entities[queries.given] + sign * relations[queries.relation]
    counts = _count_by_distance(points, entities[1:], tf.cast(queries.wanted - 1, tf.int32), splits, columns, norm)
    return Ranks.of(counts.numpy())


@tf.function(reduce_retracing=True)
def _count_by_distance(points, candidates, wanted, splits, columns, norm: int) -> tf.Tensor:
    points, candidates = tf.cast(points, tf.float32), tf.cast(candidates, tf.float32)
    number = tf.shape(candidates)[0]
    return count_better(
        lambda first, last: -pairwise_distance(points[None, first:last], candidates[None], norm)[0],
        candidates=number, columns=number, wanted=wanted, known_splits=splits, known=columns,
    )  # fmt: skip


def summarize(ranks: Ranks, hits: Iterable[int] = HITS) -> dict[str, float | None]:
    """MRR, Hits@k and mean rank of realistic ranks, and the MRR gap that ties make.

    Returns:
        Metrics by name; None ('undefined') where nothing was ranked.
    """
    names = ["mrr", *(f"hits@{k}" for k in hits), "mean_rank", "tie_gap"]
    if not len(ranks.optimistic):
        return dict.fromkeys(names)
    rank = ranks.realistic
    gap = float(np.mean(1.0 / ranks.optimistic) - np.mean(1.0 / ranks.pessimistic))
    shares = [float(np.mean(rank <= k)) for k in hits]
    return dict(zip(names, [float(np.mean(1.0 / rank)), *shares, float(np.mean(rank)), gap], strict=True))


def sliced(ranks: Ranks, queries: Queries, relations: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Metrics per side that was asked for, and MRR and Hits@10 per relation.

    Args:
        ranks: of `queries`.
        queries: whose relation ids count the names.
        relations: names by id.

    Returns:
        "by_side" -> "head" or "tail" -> metrics and "count"; "by_relation" -> name -> "mrr", "hits@10" and
        "count". Counts are of triples; relations without any are left out.
    """
    sides = {"head": ~queries.asks_tail, "tail": queries.asks_tail}
    by_side = {side: {**summarize(ranks.only(mask)), "count": int(mask.sum())} for side, mask in sides.items()}
    rank, number = ranks.realistic, len(relations)
    counts = np.bincount(queries.relation, minlength=number)
    sums = {
        name: np.bincount(queries.relation, values, number)
        for name, values in (("mrr", 1.0 / rank), ("hits@10", (rank <= 10).astype(float)))
    }
    by_relation = {
        relations[r]: {**{name: float(sums[name][r] / counts[r]) for name in sums}, "count": int(counts[r]) // 2}
        for r in np.flatnonzero(counts)
    }
    return {"by_side": by_side, "by_relation": by_relation}
