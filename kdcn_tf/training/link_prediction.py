"""Ranking of held-out triples by a model in training: all work on entities and files is done by closures.

The chief holds the held-out triples that are ranked, the filter's matches and two counts per query, never the
training triples or the vectors of all entities.
"""

import collections
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kdcn_tf.data.failures import check_rows, translated
from kdcn_tf.data.triples import read_triples
from kdcn_tf.training import ranking
from kdcn_tf.training.cluster import Scheduler
from kdcn_tf.training.known_triples import Known, Queries, matches
from kdcn_tf.training.loop import IN_FLIGHT_PER_WORKER

if TYPE_CHECKING:
    from kdcn_tf.training.pretrain import Pretraining

log = logging.getLogger(__name__)

QUERIES = 8192
"""Queries of a closure, at the most: it encodes the candidates once for all of them."""

ENCODED = 4096
"""Entities encoded at a time, which bounds the neighbours held at once."""

_PATH = tf.TensorSpec([], tf.string)
_INTS, _LONGS, _FLAGS = (tf.TensorSpec([None], dtype) for dtype in (tf.int32, tf.int64, tf.bool))


def candidate_ids(num_ids: int, most: int, seed: int) -> tf.Tensor:
    """Entities to rank among: all of them, or `most`, one at random out of each of that many equal spans of ids.

    Every entity is as likely as any other, and each entity type has its share.

    Returns:
        int64 [n], distinct and sorted.
    """
    entities = num_ids - 1
    if entities <= most:
        return tf.range(1, num_ids, dtype=tf.int64)
    place = tf.range(most + 1, dtype=tf.int64) * entities // most
    width = tf.cast(place[1:] - place[:-1], tf.float64)
    offset = tf.cast(width * tf.random.stateless_uniform([most], [seed, 0], dtype=tf.float64), tf.int64)
    return 1 + place[:-1] + offset


class LinkPrediction:
    """Evaluation of a run.

    Args:
        run: whose model is evaluated, on whose dataset.
    """

    def __init__(self, run: "Pretraining"):
        self._run, self._config, self._id_map = run, run.config.pretrain, run.id_map
        # Made here, not as decorators: a closure of a cluster holds the run's own variables.
        self._match_file = tf.function(self._match, input_signature=[_PATH, _LONGS])
        self._rank_part = tf.function(
            self._rank, input_signature=[_LONGS, _INTS, _INTS, _LONGS, _FLAGS, _LONGS, _INTS]
        )  # fmt: skip

    def evaluate(self, split: str) -> dict[str, Any]:
        """Filtered MRR and Hits@k of a held-out split, over `pretrain.eval_triples` of it at the most.

        During model selection (`split` "valid") the filter holds no test triple.

        Returns:
            Metrics (`ranking.summarize`), "ranked_triples", "candidates" and whether they are "sampled", and
            "by_side" and "by_relation" (`ranking.sliced`).

        Raises:
            DataError: a file is corrupt, or the model's vectors aren't finite.
            UnavailableError: the cluster is gone.
        """
        triples = self._held_out(split)
        candidates = self._candidates().numpy()
        sampled = len(candidates) < self._id_map.num_ids - 1
        if sampled:
            log.info("%s: ranked among %s sampled entities, not all", split, f"{len(candidates):,}")
        queries = Queries.of(triples)
        ranks = self._ranks(queries, candidates, split) if len(triples) else ranking.Ranks(*np.empty((2, 0)))
        return {
            **ranking.summarize(ranks),
            "ranked_triples": float(len(triples)),
            "candidates": len(candidates),
            "sampled": sampled,
            **ranking.sliced(ranks, queries, self._id_map.relations),
        }

    def _candidates(self) -> tf.Tensor:
        return candidate_ids(self._id_map.num_ids, self._config.eval_candidates, self._config.seed)

    def _held_out(self, split: str) -> np.ndarray:
        """Triples to rank, int64 [n, 3], from as many files as hold `eval_triples`: files are shuffled as a whole."""
        parts, limit = [np.empty((0, 3), np.int64)], self._config.eval_triples
        for file in self._run.ckg.files.get(split, ()):
            path = self._run.path_of(file.name)
            with translated(path):
                found = read_triples(tf.constant(path), self._id_map.num_ids, len(self._id_map.relations))
            check_rows(path, len(found), file.count)
            parts.append(found.numpy())
            if sum(map(len, parts)) >= limit:
                break
        triples = np.concatenate(parts)
        if len(triples) <= limit:
            return triples
        return triples[np.random.default_rng(self._config.seed).permutation(len(triples))[:limit]]

    def _ranks(self, queries: Queries, candidates: np.ndarray, split: str) -> ranking.Ranks:
        keys, key_of = np.unique(queries.keys(len(self._id_map.relations)), return_inverse=True)
        own = matches(
            tf.constant(_as_triples(queries)), tf.constant(keys), tf.constant(candidates), len(self._id_map.relations)
        ).numpy()  # fmt: skip
        known = Known([own, *self._known(split, keys)], len(keys), len(candidates))
        size = min(QUERIES, -(-len(queries) // self._run.scheduler.num_workers))
        parts = [slice(first, first + size) for first in range(0, len(queries), size)]
        arguments = (_arguments(queries.part(p.start, p.stop), candidates, *known.of(key_of[p])) for p in parts)
        counts = list(_in_order(self._run.scheduler, self._rank_part, arguments))
        return ranking.Ranks.of(np.concatenate(counts))

    def _known(self, split: str, keys: np.ndarray) -> Iterator[np.ndarray]:
        """Codes of the known triples that answer a query, file by file."""
        splits = ("train", "valid", "test") if split == "test" else ("train", "valid")
        described = [file for name in splits for file in self._run.ckg.files.get(name, ())]
        arguments = ((self._run.path_of(file.name), keys) for file in described)
        found = _in_order(self._run.scheduler, self._match_file, arguments)
        for file, (codes, rows) in zip(described, found, strict=True):
            check_rows(self._run.path_of(file.name), rows, file.count)
            yield codes

    def _match(self, path: tf.Tensor, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        triples = read_triples(path, self._id_map.num_ids, len(self._id_map.relations))
        return matches(triples, keys, self._candidates(), len(self._id_map.relations)), tf.shape(triples)[0]

    def _rank(self, others, given, wanted, relation, asks_tail, known_splits, known) -> tf.Tensor:
        """Counts of `ranking.count_better` for some queries; `given` and `wanted` count candidates, then `others`."""
        model, candidates = self._run.model, self._candidates()
        vectors = self._encode(tf.concat([candidates, others], axis=0))

        def scores(first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
            own = tf.gather(vectors, given[first:last])
            queries = model.queries(own, relation[first:last], asks_tail[first:last])
            return model.scores(queries, vectors)

        return ranking.count_better(
            scores, candidates=tf.size(candidates), columns=tf.shape(vectors)[0], wanted=wanted,
            known_splits=known_splits, known=known,
        )  # fmt: skip

    def _encode(self, ids: tf.Tensor) -> tf.Tensor:
        parts = tf.TensorArray(tf.float32, size=0, dynamic_size=True, infer_shape=False,
                               element_shape=[None, self._run.config.encoder.dim])  # fmt: skip
        for first in tf.range(0, tf.size(ids), ENCODED):
            parts = parts.write(parts.size(), self._run.encode(ids[first : first + ENCODED]))
        return tf.debugging.check_numerics(parts.concat(), "entity vectors to rank by")


def _as_triples(queries: Queries) -> np.ndarray:
    head = np.where(queries.asks_tail, queries.given, queries.wanted)
    tail = np.where(queries.asks_tail, queries.wanted, queries.given)
    return np.stack([head, queries.relation, tail], axis=1)


def _arguments(queries: Queries, candidates: np.ndarray, splits: np.ndarray, known: np.ndarray) -> tuple:
    """What `_rank` takes; entities of the queries that are no candidates stand behind the candidates."""
    named = np.unique(np.concatenate([queries.given, queries.wanted]))
    others = np.setdiff1d(named, candidates, assume_unique=True)
    order = np.argsort(np.concatenate([candidates, others]), kind="stable").astype(np.int32)
    ids = np.concatenate([candidates, others])[order]
    given, wanted = (order[np.searchsorted(ids, column)] for column in (queries.given, queries.wanted))
    return others, given, wanted, queries.relation, queries.asks_tail, splits, known


def _in_order(scheduler: Scheduler, closure: Callable, arguments: Iterable[tuple]) -> Iterator[Any]:
    """Results of a closure for each of its arguments; few are in flight, so that what they hold is bounded."""
    waiting: collections.deque = collections.deque()
    for values in arguments:
        waiting.append(scheduler.schedule(closure, *values))
        if len(waiting) >= IN_FLIGHT_PER_WORKER * scheduler.num_workers:
            yield waiting.popleft().fetch()
    while waiting:
        yield waiting.popleft().fetch()
    scheduler.join()
