"""Link prediction: filtered ranks of held-out triples, MRR and Hits@k.

Protocol (Bordes et al., 2013; ties as in Sun et al., 2020): each held-out triple is ranked among all
entities as tail and as head; other known triples are taken out; a tie counts half.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kdcn_tf.layers.transe import pairwise_distance


@dataclass(frozen=True)
class Ranks:
    """Ranks of the true entities, 1 is best; optimistic and pessimistic differ by ties."""

    optimistic: np.ndarray
    pessimistic: np.ndarray

    @property
    def realistic(self) -> np.ndarray:
        return (self.optimistic + self.pessimistic) / 2.0


class KnownTriples:
    """Which entities complete (entity, relation), on either side."""

    def __init__(self, triples: np.ndarray):
        """Takes all known triples, training and held-out: int64 [n, 3]."""
        self._tails = _group(triples[:, 0], triples[:, 1], triples[:, 2])
        self._heads = _group(triples[:, 2], triples[:, 1], triples[:, 0])

    def completions(self, entity: int, relation: int, side: str) -> np.ndarray:
        table = self._tails if side == "tail" else self._heads
        return table.get((entity, relation), np.empty(0, np.int64))


def _group(entities: np.ndarray, relations: np.ndarray, others: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    order = np.lexsort((relations, entities))
    keys = np.stack([entities[order], relations[order]], axis=1)
    if not len(keys):
        return {}
    starts = np.flatnonzero(np.any(np.diff(keys, axis=0, prepend=keys[:1] - 1), axis=1))
    parts = np.split(others[order], starts[1:])
    return {(int(k[0]), int(k[1])): part for k, part in zip(keys[starts], parts, strict=True)}


def rank_triples(
    entities: np.ndarray,
    relations: np.ndarray,
    triples: np.ndarray,
    known: KnownTriples,
    norm: int,
    batch_size: int = 128,
) -> Ranks:
    """Filtered ranks, tails first, then heads.

    Args:
        entities: float [num_ids, d]; row 0 (PAD) is no candidate.
        relations: float [num_relations, d].
        triples: int64 [n, 3], to rank.
        known: triples to leave out of the candidates.
        norm: p of the distance.
        batch_size: triples scored at once; memory is batch_size x num_ids floats.

    Returns:
        Ranks of 2n queries.
    """
    parts = [
        _rank_side(entities, relations, triples[first : first + batch_size], known, norm, side)
        for side in ("tail", "head")
        for first in range(0, len(triples), batch_size)
    ]
    if not parts:
        return Ranks(np.empty(0), np.empty(0))
    return Ranks(np.concatenate([p.optimistic for p in parts]), np.concatenate([p.pessimistic for p in parts]))


def _rank_side(entities, relations, triples, known: KnownTriples, norm: int, side: str) -> Ranks:
    head, relation, tail = triples.T
    sign, given, wanted = (1.0, head, tail) if side == "tail" else (-1.0, tail, head)
    queries = entities[given] + sign * relations[relation]
    distances = _distances(tf.constant(queries), tf.constant(entities), norm).numpy()
    rows = np.arange(len(triples))
    true = distances[rows, wanted].copy()
    distances[:, 0] = np.inf
    for row in rows:
        distances[row, known.completions(int(given[row]), int(relation[row]), side)] = np.inf
    distances[rows, wanted] = true
    better = np.sum(distances < true[:, None], axis=1)
    equal = np.sum(distances == true[:, None], axis=1)
    return Ranks(1.0 + better, better + equal.astype(float))


@tf.function(reduce_retracing=True)
def _distances(queries: tf.Tensor, entities: tf.Tensor, norm: int) -> tf.Tensor:
    if norm == 2:
        return pairwise_distance(queries, entities, norm)
    # L1 has no matrix product: one query at a time keeps memory at num_ids x d.
    return tf.map_fn(lambda q: tf.reduce_sum(tf.abs(entities - q), axis=-1), queries)


def summarize(ranks: Ranks, hits: Iterable[int] = (1, 3, 10)) -> dict[str, float | None]:
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
