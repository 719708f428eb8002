"""GCN-TransE: entity and relation tables, GCN layers over sampled neighbours, TransE on their output."""

from collections.abc import Sequence

import tensorflow as tf

from kdcn_tf.data.adjacency import Graph, padding_mask
from kdcn_tf.data.lookup import gather_rows
from kdcn_tf.layers.gcn import (
    GraphConvolution,
    TypedGraphConvolution,
    aggregate,
    aggregate_groups,
    group_by_type,
    sampled_weights,
    types_of,
)
from kdcn_tf.layers.transe import distance, pairwise_distance

FAR = 1e9
"""Distance at which no loss pulls at a negative."""


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
        type_starts: (first id, number of the type) of every id range, by id, to aggregate the neighbours of each type
            apart (`TypedGraphConvolution`); None for equation 1's sum.
        norm: p of the distance.
        squared: whether the distance is squared.
        reciprocal: whether heads are asked for by relation vectors of their own (Lacroix et al., 2018).
        relation_scale: whether the given entity is scaled, element by element, by a vector of its relation before
            it is moved (MuRE without its biases; Balazevic et al., 2019). Needs `reciprocal`. TransE alone can't hold
            a symmetric relation: r is then near 0, and the entity nearest to h + r is h.
        dropout: share of each encoded vector's elements that training zeroes.
        max_norm: length to which rows of the entity table are cut when they are looked up (Bordes et al., 2013, cut
            all to 1 after each step), or None.
        l1, l2: penalties on the mean L1 norm and the mean squared L2 norm of a step's encoded entities, in `losses`.
        wire: type in which rows of a sharded entity table travel (`data.lookup`).
        scale: initial values of both tables are uniform in [-scale, scale].
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
        type_starts: Sequence[tuple[int, int]] | None = None,
        squared: bool = False,
        reciprocal: bool = False,
        relation_scale: bool = False,
        dropout: float = 0.0,
        max_norm: float | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        wire: str = "float32",
        scale: float = 0.1,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_ids, self.num_relations, self.dim = num_ids, num_relations, dim
        self._distance = (norm, squared)
        self._reciprocal, self._dropout, self._wire = reciprocal, dropout, tf.as_dtype(wire)
        self._max_norm, self._l1, self._l2 = max_norm, l1, l2
        self._args = {
            "layers": layers, "activation": activation, "residual": residual, "norm": norm, "squared": squared,
            "reciprocal": reciprocal, "relation_scale": relation_scale, "dropout": dropout, "wire": wire,
            "max_norm": max_norm, "l1": l1, "l2": l2, "scale": scale, "seed": seed, "type_starts": type_starts,
        }  # fmt: skip
        self._type_starts = [list(start) for start in type_starts or ()]
        self.graph_layers = [self._graph_layer(activation, residual, f"gcn_{index}") for index in range(layers)]
        relations = num_relations * (2 if reciprocal else 1)
        self.entity_table = self.add_weight("entities", [num_ids, dim], initializer=_uniform(scale, seed))
        self.relation_table = self.add_weight("relations", [relations, dim], initializer=_uniform(scale, seed + 1))
        # Random signs: with ones, h would be the best answer to its own query, and stay it.
        self.scale_table = (
            self.add_weight("relation_scales", [relations, dim], initializer=_uniform(1.0, seed + 2))
            if relation_scale
            else None
        )
        for layer in self.graph_layers:
            layer.build([(None, dim), (None, dim)])
        self.built = True

    def _graph_layer(self, activation: str, residual: bool, name: str) -> tf.keras.layers.Layer:
        if not self._type_starts:
            return GraphConvolution(activation, residual, name=name)
        types = 1 + max(number for _, number in self._type_starts)
        return TypedGraphConvolution(types, activation, residual, name=name)

    def encode(self, ids: tf.Tensor, graph: Graph) -> tf.Tensor:
        """X^{(L+1)}, the GCN's output, for distinct ids.

        Args:
            ids: int64 [n], distinct.
            graph: sampled neighbours and degrees.

        Returns:
            float [n, d].
        """
        hops: list[tuple[tf.Tensor, tf.Tensor]] = []
        frontier = ids
        for _ in self.graph_layers:
            frontier, *hop = _widen(frontier, graph)
            hops.append(tuple(hop))
        x, degrees = self._look_up(frontier, graph)
        for layer, (neighbors, around) in zip(self.graph_layers, reversed(hops), strict=True):
            nodes = tf.shape(around)[0]
            own, _ = tf.split(x, [nodes, tf.shape(x)[0] - nodes])  # a slice's gradient takes six times as long
            if self._type_starts:
                groups = group_by_type(types_of(neighbors, self._type_starts), padding_mask(neighbors), layer.types)
                x = layer((own, aggregate_groups(x, around, groups), groups.node, groups.sizes))
            else:
                weights = sampled_weights(degrees[:nodes], tf.gather(degrees, around), padding_mask(neighbors))
                x = layer((own, aggregate(x, around, weights)))
        return x

    def _look_up(self, ids: tf.Tensor, graph: Graph) -> tuple[tf.Tensor, tf.Tensor]:
        """Rows of the entity table, and degrees where equation 1 asks for them."""
        if self.graph_layers and not self._type_starts:
            x, degrees = graph.with_degrees(self.entity_table, ids, self._wire)
        else:
            x, degrees = gather_rows(self.entity_table, ids, self._wire), tf.zeros([0])
        return (x if self._max_norm is None else tf.clip_by_norm(x, self._max_norm, axes=[1])), degrees

    def call(self, inputs: dict[str, tf.Tensor], graph: Graph, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Distances of positives and of their chunk's negatives.

        Args:
            inputs: "head", "relation", "tail" int64 [C, b], "negatives" int64 [C, N] and "asks_tail" bool [C]:
                whether a chunk's negatives replace tails, or heads.
            graph: sampled neighbours and degrees.
            training: whether to drop out.

        Returns:
            float [C, b] and float [C, b, N]; a negative that is the positive itself is `FAR` away.
        """
        asks_tail = inputs["asks_tail"][:, None]
        given = tf.where(asks_tail, inputs["head"], inputs["tail"])
        wanted = tf.where(asks_tail, inputs["tail"], inputs["head"])
        own, true, negatives = self._embed([given, wanted, inputs["negatives"]], graph, training)
        queries = self.queries(own, inputs["relation"], asks_tail)
        positive = distance(queries, 0.0, true, *self._distance)
        same = wanted[:, :, None] == inputs["negatives"][:, None, :]
        far = FAR * tf.cast(same, positive.dtype)  # added, as choosing would take two more passes in the gradient
        return positive, pairwise_distance(queries, negatives, *self._distance) + far

    def queries(self, given: tf.Tensor, relations: tf.Tensor, asks_tail: tf.Tensor) -> tf.Tensor:
        """Where the entity lies that would complete (given, relation): h + r for tails, t - r for heads.

        With reciprocal relations it is t + r' for heads. The one place that says so: training and ranking both ask it.

        Args:
            given: float [..., d], encoded heads where tails are asked for, else tails.
            relations: int64 [...], ids.
            asks_tail: bool, broadcastable to `relations`.

        Returns:
            float [..., d].
        """
        if self._reciprocal:
            relations += tf.where(asks_tail, tf.constant(0, tf.int64), self.num_relations)
        ids, index = tf.unique(tf.reshape(relations, [-1]))

        def rows_of(table: tf.Variable) -> tf.Tensor:
            # The gradient asks for the shape where the rows are: here, not on the server that they came from.
            rows = tf.identity(gather_rows(table, ids))
            return tf.reshape(tf.gather(rows, index), tf.shape(given))

        if self.scale_table is not None:
            given *= rows_of(self.scale_table)
        rows = rows_of(self.relation_table)
        if not self._reciprocal:
            rows *= tf.where(asks_tail, 1.0, -1.0)[..., None]
        return given + rows

    @property
    def tables(self) -> list[tf.Variable]:
        """Variables that are looked up by id."""
        return [t for t in (self.entity_table, self.relation_table, self.scale_table) if t is not None]

    def scores(self, queries: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Plausibility of every candidate for every query, higher is better; for ranking, without gradients.

        Args:
            queries: float [q, d], of `queries`.
            candidates: float [n, d], encoded.

        Returns:
            float [q, n].
        """
        return -pairwise_distance(queries[None], candidates[None], *self._distance)[0]

    def _embed(self, parts: Sequence[tf.Tensor], graph: Graph, training: bool) -> Sequence[tf.Tensor]:
        """Encoded entities, in the shapes of their ids; an entity is encoded once, however often it occurs."""
        ids, index = tf.unique(tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))
        encoded = self.encode(ids, graph)
        if self._l1 or self._l2:
            sums = self._l1 * tf.reduce_sum(tf.abs(encoded), axis=1) + self._l2 * tf.reduce_sum(encoded**2, axis=1)
            self.add_loss(tf.reduce_mean(sums))
        if training and self._dropout:
            encoded = tf.nn.dropout(encoded, self._dropout)
        encoded = tf.gather(encoded, index)
        sizes = [tf.size(part) for part in parts]
        return [
            tf.reshape(rows, tf.concat([tf.shape(part), [self.dim]], axis=0))
            for rows, part in zip(tf.split(encoded, sizes), parts, strict=True)
        ]

    def get_config(self):
        own = {"num_ids": self.num_ids, "num_relations": self.num_relations, "dim": self.dim}
        return {**own, **self._args}


def _uniform(scale: float, seed: int) -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.RandomUniform(-scale, scale, seed)


def _widen(frontier: tf.Tensor, graph: Graph) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One hop outwards: the n distinct ids of the frontier, then those of its neighbours that are new.

    Returns:
        ids [m], the frontier first; the frontier's neighbours [n, k]; their positions in ids.
    """
    neighbors = graph.neighbors(frontier)
    wider, index = tf.unique(tf.concat([frontier, tf.reshape(neighbors, [-1])], axis=0))
    around = tf.reshape(index[tf.size(frontier) :], tf.shape(neighbors))
    return wider, neighbors, around
