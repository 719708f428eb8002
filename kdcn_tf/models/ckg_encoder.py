"""GCN-TransE: entity and relation tables, GCN layers over sampled neighbours, TransE on their output."""

from collections.abc import Sequence

import tensorflow as tf

from kdcn_tf.data.adjacency import Graph, padding_mask
from kdcn_tf.layers.gcn import GraphConvolution, sampled_weights
from kdcn_tf.layers.transe import distance, pairwise_distance, tiled_distance


def gather_rows(table: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
    """Rows of a plain or sharded table; the gradient is `IndexedSlices` per shard."""
    return tf.nn.embedding_lookup(table, ids)


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class CkgEncoder(tf.keras.Model):
    """GCN-TransE of the paper, III-A-2.

    Every lookup is of distinct ids, and everything after it works on those rows alone: no operation's
    cost grows with the number of entities.

    Args:
        num_ids: rows of the entity table, row 0 (PAD) among them.
        num_relations: rows of the relation table.
        dim: embedding size d.
        layers: GCN layers L; 0 is plain TransE.
        activation: of each GCN layer.
        residual: whether a GCN layer adds its input.
        norm: p of the distance.
        seed: of the initial values.
    """

    def __init__(
        self,
        *,
        num_ids: int,
        num_relations: int,
        dim: int,
        layers: int,
        activation: str,
        residual: bool,
        norm: int,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_ids, self.num_relations, self.dim, self.norm = num_ids, num_relations, dim, norm
        self._args = {"layers": layers, "activation": activation, "residual": residual, "seed": seed}
        self.graph_layers = [GraphConvolution(activation, residual, name=f"gcn_{index}") for index in range(layers)]
        bound = 6.0 / dim**0.5  # TransE's own (Bordes et al., 2013)
        self.entity_table = self.add_weight(
            "entities", [num_ids, dim], initializer=tf.keras.initializers.RandomUniform(-bound, bound, seed)
        )
        self.relation_table = self.add_weight(
            "relations", [num_relations, dim], initializer=tf.keras.initializers.RandomUniform(-bound, bound, seed + 1)
        )
        for layer in self.graph_layers:
            layer.build([(None, dim), (None, None, dim), (None, None)])
        self.built = True

    def encode(self, ids: tf.Tensor, graph: Graph) -> tf.Tensor:
        """X^{(L+1)}, the GCN's output, for distinct ids.

        Args:
            ids: int64 [n], distinct.
            graph: sampled neighbours and degrees.

        Returns:
            float [n, d].
        """
        hops: list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]] = []
        frontier = ids
        for _ in self.graph_layers:
            frontier, *hop = _widen(frontier, graph)
            hops.append(tuple(hop))
        x = gather_rows(self.entity_table, frontier)
        for layer, (own, around, weights) in zip(self.graph_layers, reversed(hops), strict=True):
            x = layer((tf.gather(x, own), tf.gather(x, around), weights))
        return x

    def call(self, inputs: dict[str, tf.Tensor], graph: Graph) -> tuple[tf.Tensor, tf.Tensor]:
        """Distances of positives and of their chunk's negatives.

        Even chunks corrupt the tail, odd chunks the head.

        Args:
            inputs: "head", "relation", "tail" int64 [C, b] and "negatives" int64 [C, N].
            graph: sampled neighbours and degrees.

        Returns:
            float [C, b] and float [C, b, N].
        """
        head, tail, negatives = self._embed(inputs, graph)
        corrupts_tail = (tf.range(tf.shape(head)[0]) % 2 == 0)[:, None, None]
        queries = self.queries(tf.where(corrupts_tail, head, tail), inputs["relation"], corrupts_tail)
        positive = distance(queries, 0.0, tf.where(corrupts_tail, tail, head), self.norm)
        return positive, pairwise_distance(queries, negatives, self.norm)

    def queries(self, given: tf.Tensor, relations: tf.Tensor, asks_tail: tf.Tensor) -> tf.Tensor:
        """Where the entity lies that would complete (given, relation): h + r for tails, t - r for heads.

        The one place that says so: training and ranking both ask it.

        Args:
            given: float [..., d], encoded heads where tails are asked for, else tails.
            relations: int64 [...], ids.
            asks_tail: bool, broadcastable to [..., 1].

        Returns:
            float [..., d].
        """
        ids, index = tf.unique(tf.reshape(relations, [-1]))
        rows = tf.reshape(tf.gather(gather_rows(self.relation_table, ids), index), tf.shape(given))
        return given + tf.where(asks_tail, rows, -rows)

    def scores(self, queries: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Plausibility of every candidate for every query, higher is better; for ranking, without gradients.

        Args:
            queries: float [q, d], of `queries`.
            candidates: float [n, d], encoded.

        Returns:
            float [q, n].
        """
        return -tiled_distance(queries, candidates, self.norm)

    def _embed(self, inputs: dict[str, tf.Tensor], graph: Graph) -> Sequence[tf.Tensor]:
        """Encoded heads, tails and negatives; an entity is encoded once, however often it occurs."""
        parts = [inputs["head"], inputs["tail"], inputs["negatives"]]
        ids, index = tf.unique(tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))
        encoded = tf.gather(self.encode(ids, graph), index)
        sizes = [tf.size(part) for part in parts]
        return [
            tf.reshape(rows, tf.concat([tf.shape(part), [self.dim]], axis=0))
            for rows, part in zip(tf.split(encoded, sizes), parts, strict=True)
        ]

    def get_config(self):
        own = {"num_ids": self.num_ids, "num_relations": self.num_relations, "dim": self.dim, "norm": self.norm}
        return {**own, **self._args}


def _widen(frontier: tf.Tensor, graph: Graph) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """One hop outwards: distinct ids of the frontier and its neighbours.

    Returns:
        ids [m]; positions in them of the frontier [n] and of its neighbours [n, k]; weights [n, k].
    """
    neighbors = graph.neighbors(frontier)
    wider, index = tf.unique(tf.concat([frontier, tf.reshape(neighbors, [-1])], axis=0))
    own = index[: tf.size(frontier)]
    around = tf.reshape(index[tf.size(frontier) :], tf.shape(neighbors))
    degrees = graph.degrees(wider)
    weights = sampled_weights(tf.gather(degrees, own), tf.gather(degrees, around), padding_mask(neighbors))
    return wider, own, around, weights
