"""Pretraining of GCN-TransE on a CKG dataset."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kdcn_tf import files, losses
from kdcn_tf.config import Config
from kdcn_tf.data.adjacency import Adjacency, Graph, HiddenEdges, SampledGraph, StoredGraph
from kdcn_tf.data.failures import check_rows
from kdcn_tf.data.lookup import gather_rows
from kdcn_tf.data.negatives import TypeRanges, corrupt
from kdcn_tf.data.triples import padded_batch, read_triples, shuffled
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.ckg_encoder import CkgEncoder
from kdcn_tf.training import finite, watching
from kdcn_tf.training.cluster import Scheduler
from kdcn_tf.training.link_prediction import LinkPrediction
from kdcn_tf.training.loop import steps_of
from kdcn_tf.training.optimizers import OPTIMIZERS, Rate, rate_over
from kdcn_tf.training.surroundings import turns, with_surroundings
from kdcn_tf.training.watching import ROWS, STEPS

log = logging.getLogger(__name__)

ENCODE_ROWS = 4096
"""Entities encoded by one closure call at a time."""

_STEP_SUMS = ("loss", "violations", STEPS, *watching.COUNTS)
"""Numbers that a step returns."""

_PATH = tf.TensorSpec([], tf.string)
_SEED = tf.TensorSpec([2], tf.int32)
_ID = tf.TensorSpec([], tf.int64)


class Pretraining:
    """Model, graph and optimizer of one run, made in the scheduler's strategy.

    Args:
        scheduler: where the closures run.
        config: resolved configuration.
        ckg: manifest of the CKG dataset.
        directory: of the CKG dataset.

    Raises:
        ConfigError: the graph stores fewer neighbours than are to be sampled.
        DataError: the manifest lacks something.
    """

    def __init__(self, scheduler: Scheduler, config: Config, ckg: Manifest, directory: str):
        self.scheduler, self.config, self.ckg, self._directory = scheduler, config, ckg, directory
        self.id_map = ckg.require_id_map()
        stored = ckg.number("stored_neighbors")
        if config.encoder.neighbors > stored:
            raise ConfigError(f"encoder.neighbors: {config.encoder.neighbors} sampled, but {directory} stores {stored}")
        self._loss = losses.triple_loss(
            config.pretrain.loss, margin=config.pretrain.margin, temperature=config.pretrain.temperature
        )
        self._violations = losses.violations(config.pretrain.loss, margin=config.pretrain.margin)
        self._type_ranges = TypeRanges(self.id_map)
        with scheduler.strategy.scope():
            self.model = self._build_model()
            self._adjacency = Adjacency(self.id_map.num_ids, stored)
            self.optimizer = OPTIMIZERS[config.pretrain.optimizer](
                [*self.model.tables, *self._kernels()],
                self._learning_rate(),
                wire=config.pretrain.wire if scheduler.num_servers else "float32",
            )
        self._graph = StoredGraph(self._adjacency)
        # Made here, not as decorators: a closure of a cluster holds this object's own variables.
        self.train_file = tf.function(self._train_file, input_signature=[_PATH, _SEED])
        self._load_file = tf.function(self._adjacency.load_file, input_signature=[_PATH])
        self._encode_range = tf.function(self._encode_ids, input_signature=[_ID, _ID])
        self._surround_range = tf.function(self._surround_ids, input_signature=[_ID, _ID])
        self._turns = tf.constant(turns(self.id_map, config.encoder.dim))
        self._link_prediction = LinkPrediction(self)

    def _build_model(self) -> CkgEncoder:
        encoder = self.config.encoder
        return CkgEncoder(
            num_ids=self.id_map.num_ids, num_relations=len(self.id_map.relations), dim=encoder.dim,
            layers=encoder.layers, activation=encoder.activation, residual=encoder.residual,
            type_starts=self.id_map.type_starts() if encoder.aggregation == "by_type" else None,
            norm=encoder.norm, squared=encoder.squared, reciprocal=encoder.reciprocal,
            relation_scale=encoder.relation_scale, dropout=encoder.dropout,
            max_norm=encoder.max_norm, l1=encoder.l1, l2=encoder.l2, scale=encoder.init_scale,
            wire=self.config.pretrain.wire, seed=self.config.pretrain.seed,
        )  # fmt: skip

    def _learning_rate(self) -> Rate:
        pretrain = self.config.pretrain
        steps = pretrain.epochs * steps_of(self.ckg.group("train"), pretrain.batch_size)
        return rate_over(pretrain.rate, pretrain.decay, steps)

    def _kernels(self) -> list[tf.Variable]:
        return [weight for layer in self.model.graph_layers for weight in layer.trainable_weights]

    def path_of(self, name: str) -> str:
        return files.join(self._directory, name)

    def load_graph(self) -> None:
        """Fills the adjacency from its files; each worker takes a file at a time.

        Raises:
            DataError: a file is corrupt, or entities have no row.
        """
        described = self.ckg.group("adjacency")
        pending = [self.scheduler.schedule(self._load_file, self.path_of(file.name)) for file in described]
        for file, loaded in zip(described, pending, strict=True):
            check_rows(self.path_of(file.name), loaded.fetch(), file.count)
        self.scheduler.join()
        check_rows(f"{self._directory}: adjacency", sum(file.count for file in described), self.id_map.num_ids - 1)

    def _train_file(self, path: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Trains on one file; returns sums over its triples and steps, float64 scalars (see `reporting.FileSums`)."""
        size = self.config.pretrain.batch_size
        triples = shuffled(read_triples(path, self.id_map.num_ids, len(self.id_map.relations)), seed)
        rows = tf.shape(triples)[0]
        sums = {name: tf.constant(0.0, tf.float64) for name in _STEP_SUMS}
        for start in tf.range(0, rows, size):
            batch, weights = padded_batch(triples, start, size)
            step_seed = tf.stack([seed[0], seed[1] ^ start])
            step = self.scheduler.strategy.run(self._step, args=(batch, weights, step_seed))
            finite.require_good(step["bad"], start // size)
            sums = {name: sums[name] + tf.cast(step[name], tf.float64) for name in _STEP_SUMS}
        rows = tf.cast(rows, tf.float64)
        return {**sums, ROWS: rows, "spread": rows * tf.cast(self._spread(triples), tf.float64)}

    def _spread(self, triples: tf.Tensor) -> tf.Tensor:
        """Spread of `SPREAD_ROWS` different entities of a file after its last step; as the file's order is random,
        those of its first triples are a fair sample."""
        ids, _ = tf.unique(tf.reshape(tf.gather(triples[: watching.SPREAD_ROWS], [0, 2], axis=1), [-1]))
        return watching.spread(self.model.encode(ids[: watching.SPREAD_ROWS], self._graph))

    def _step(self, batch: tf.Tensor, weights: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        input_seed, graph_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        inputs, weights = self._inputs(batch, weights, input_seed)
        graph = watching.CountedGraph(self._sampled(batch, graph_seed))
        with tf.GradientTape() as tape:
            positive, negative = self.model(inputs, graph=graph, training=True)
            total = tf.reduce_sum(self._loss(positive, negative) * weights)
            mean = total / tf.reduce_sum(weights) + sum(self.model.losses)
        gradients = tape.gradient(mean, self.optimizer.trained)
        self.optimizer.apply(gradients, distinct=True)  # the encoder looks up distinct ids, and each table once
        return {
            "bad": finite.first_bad(total, self.optimizer.trained, gradients),
            # A triple counts once, however many of its sides were asked for.
            "loss": total / self._sides,
            "violations": tf.reduce_sum(self._violations(positive, negative) * weights) / self._sides,
            STEPS: tf.constant(1.0),
            **watching.counted(gradients, graph),
        }

    def _inputs(self, batch: tf.Tensor, weights: tf.Tensor, seed: tf.Tensor) -> tuple[dict, tf.Tensor]:
        """Cuts a batch into chunks of similar relations, so that a chunk's negatives fit its types.

        Chunks change places at random, because a chunk's place decides which side it corrupts if only one is.
        """
        pretrain = self.config.pretrain
        place_seed, negative_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        places = tf.argsort(tf.random.stateless_uniform([pretrain.chunks], place_seed))
        order = tf.gather(tf.reshape(tf.argsort(batch[:, 1]), [pretrain.chunks, -1]), places)
        asks_tail = tf.range(pretrain.chunks) % 2 == 0
        if pretrain.both_sides:
            order = tf.tile(order, [2, 1])
            asks_tail = tf.repeat([True, False], pretrain.chunks)
        head, relation, tail = tf.unstack(tf.gather(batch, order), axis=-1)
        negatives = corrupt(
            tf.where(asks_tail[:, None], tail, head), count=pretrain.negatives, type_ranges=self._type_ranges,
            num_ids=self.id_map.num_ids, type_constrained=pretrain.type_constrained,
            degree_weighted=pretrain.degree_weighted, seed=negative_seed,
        )  # fmt: skip
        inputs = {"head": head, "relation": relation, "tail": tail, "negatives": negatives, "asks_tail": asks_tail}
        return inputs, tf.gather(weights, order)

    @property
    def _sides(self) -> float:
        return 2.0 if self.config.pretrain.both_sides else 1.0

    def _sampled(self, batch: tf.Tensor, seed: tf.Tensor) -> Graph:
        """The graph of one step: neighbours drawn anew, without the edges to predict."""
        graph = SampledGraph(self._graph, self.config.encoder.neighbors, seed)
        if not self.config.pretrain.hide_targets:
            return graph
        return HiddenEdges(graph, batch[:, 0], batch[:, 2])

    def encode(self, ids: tf.Tensor) -> tf.Tensor:
        """GCN output of distinct ids, float [n, d]; called in a closure."""
        return self.model.encode(ids, self._graph)

    def _encode_ids(self, first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
        return self.encode(tf.range(first, last))

    def _surround_ids(self, first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
        ids = tf.range(first, last)
        return with_surroundings(ids, self.encode, self._graph, self.id_map.type_starts(), self._turns)

    def encoded(self, first: int, last: int) -> Iterator[np.ndarray]:
        """GCN output of the ids [first, last), in order, at most `ENCODE_ROWS` rows at a time.

        Yields:
            float32 [rows, d].
        """
        return self._ranges(self._encode_range, first, last)

    def surrounded(self, first: int, last: int) -> Iterator[np.ndarray]:
        """Like `encoded`, with what surrounds each entity (`surroundings.with_surroundings`): float32 [rows, 2 d]."""
        return self._ranges(self._surround_range, first, last)

    def _ranges(self, encode: Callable, first: int, last: int) -> Iterator[np.ndarray]:
        for start in range(first, last, ENCODE_ROWS):
            end = min(start + ENCODE_ROWS, last)
            yield self.scheduler.schedule(encode, np.int64(start), np.int64(end)).fetch()

    def table_rows(self, first: int, last: int) -> Iterator[np.ndarray]:
        """Rows of the entity table E itself, before the GCN; like `encoded`."""
        for start in range(first, last, ENCODE_ROWS):
            ids = np.arange(start, min(start + ENCODE_ROWS, last))
            yield gather_rows(self.model.entity_table, ids).numpy()

    def relations(self) -> np.ndarray:
        """Relation embeddings, float [num_relations, d]."""
        return tf.convert_to_tensor(self.model.relation_table).numpy()

    def evaluate(self, split: str) -> dict[str, Any]:
        """Filtered MRR and Hits@k of a held-out split, see `LinkPrediction.evaluate`."""
        return self._link_prediction.evaluate(split)
