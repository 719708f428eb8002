"""What is watched while a model trains: the sums that closures return, and the signs of a collapse."""

import logging
from collections.abc import Mapping, Sequence

import tensorflow as tf

from kdcn_tf import costs
from kdcn_tf.config import Config
from kdcn_tf.data.adjacency import Graph

log = logging.getLogger(__name__)

ROWS, STEPS = "rows", "steps"
"""Sums that every closure returns: rows trained on, optimizer steps made."""

TABLE_ROWS, NEIGHBOR_ROWS, DEGREE_ROWS = COUNTS = ("table_rows", "neighbor_rows", "degree_rows")
"""Sums of distinct rows: of embedding tables, pulled and pushed (as gradients); of the adjacency, pulled."""

SPREAD_ROWS = 64
"""Entities whose spread is measured: 2016 pairs, enough to tell 0.1 from 1.4."""

COLLAPSED_SPREAD = 0.1
"""Random vectors have a spread of 1.4 (the square root of 2). A layer of sigmoids brings it to 0.087, two to 0.020."""

FEW_VIOLATIONS, ALL_VIOLATIONS = 0.001, 0.999
"""Shares of violating negatives outside of which hardly any, or every, negative pulls at the model."""


def spread(vectors: tf.Tensor) -> tf.Tensor:
    """Mean distance between different rows over the mean norm of the rows; near 0 where all entities look alike.

    Args:
        vectors: float [n, d]; every pair is compared, so n is to be small.

    Returns:
        Scalar; 0 for less than two rows.
    """
    pairs = tf.norm(vectors[:, None, :] - vectors[None, :, :], axis=-1)
    count = tf.cast(tf.shape(vectors)[0], vectors.dtype)
    distance = tf.math.divide_no_nan(tf.reduce_sum(pairs), count * (count - 1.0))
    return tf.math.divide_no_nan(distance, tf.math.divide_no_nan(tf.reduce_sum(tf.norm(vectors, axis=-1)), count))


class CountedGraph:
    """A graph that counts the rows which one step asks of it.

    Attributes:
        neighbor_rows, degree_rows: asked for so far, int64 scalars.
    """

    def __init__(self, graph: Graph):
        self._graph = graph
        self.neighbor_rows = self.degree_rows = tf.constant(0, tf.int64)

    def neighbors(self, ids: tf.Tensor) -> tf.Tensor:
        self.neighbor_rows += tf.size(ids, tf.int64)
        return self._graph.neighbors(ids)

    def with_degrees(self, table: tf.Variable, ids: tf.Tensor, wire: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        self.degree_rows += tf.size(ids, tf.int64)
        return self._graph.with_degrees(table, ids, wire)


def counted(gradients: Sequence[tf.Tensor | tf.IndexedSlices], graph: CountedGraph) -> dict[str, tf.Tensor]:
    """`COUNTS` of one step, int64 scalars; table rows are those that gradients touch, dense gradients don't count."""
    sizes = [tf.size(g.indices, tf.int64) for g in gradients if isinstance(g, tf.IndexedSlices)]
    rows = tf.add_n(sizes) if sizes else tf.constant(0, tf.int64)
    return {TABLE_ROWS: rows, NEIGHBOR_ROWS: graph.neighbor_rows, DEGREE_ROWS: graph.degree_rows}


def step_bytes(counts: Mapping[str, float], config: Config, servers: int) -> float:
    """Bytes that an average step of pretraining moves between its worker and the servers, to and fro.

    Args:
        counts: `COUNTS` of an average step.
        config: resolved configuration.
        servers: parameter servers; without any nothing is moved.
    """
    if not servers:
        return 0.0
    return sum(costs.traffic(config, costs.Step(**counts), costs.Format(), costs.Measured(), servers))


class CollapseWatch:
    """Warns when an epoch's figures say that training goes nowhere; again only after the figure was well between."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def see(self, figures: Mapping) -> None:
        """Looks at "spread" and "violations", where they are."""
        found = signs(figures)
        for sign in found.keys() - self._warned:
            log.warning("%s", found[sign])
        self._warned = set(found)


def signs(figures: Mapping) -> dict[str, str]:
    """Sign of trouble -> what it means and what to change."""
    found = {}
    spread_, violations = figures.get("spread"), figures.get("violations")
    if spread_ is not None and spread_ < COLLAPSED_SPREAD:
        found["spread"] = (
            f"collapse: different entities are {spread_:.3g} of their length apart (spread below {COLLAPSED_SPREAD}), "
            "so their vectors tell little. Try encoder.activation=identity or tanh, encoder.residual=true, fewer "
            "encoder.layers, or a larger pretrain.margin"
        )
    if violations is not None and violations < FEW_VIOLATIONS:
        found["few"] = (
            f"violations died out: {violations:.2%} of the negatives still violate the margin, so steps teach hardly "
            "anything. Try more pretrain.negatives, more of the right type (pretrain.type_constrained), or a "
            "larger pretrain.margin"
        )
    if violations is not None and violations > ALL_VIOLATIONS:
        found["all"] = (
            f"violations are saturated: {violations:.2%} of the negatives violate the margin, so nothing is told "
            "apart. Try a smaller pretrain.margin, a higher pretrain.learning_rate, or more epochs"
        )
    return found
