"""What pretraining costs: memory, bytes on the wire and time, by arithmetic, before anybody rents a cluster.

A step asks for the distinct entities of a batch (heads, tails, negatives), widens them by their neighbours once
per GCN layer, pulls a row of the tables for each, and pushes a gradient row for each back. `Step` counts those rows,
`Format` says how many bytes a row has where it lies and where it travels, `Measured` holds what only a
measurement tells, and `kdcn_tf.planning` puts them together.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from kdcn_tf.ckg import ENTITY_TYPES
from kdcn_tf.config import Config

MAX_ENTITIES = 2**31 - 2
"""The adjacency stores ids, PAD among them, as int32."""

MAX_TRANSFER = 2**31 - 1
"""Bytes of one tensor on the wire: TensorFlow's gRPC messages are at most this large."""

SLOT_COLUMNS: dict[str, Callable[[int], int]] = {"adam": lambda dim: 2 * dim, "adagrad": lambda dim: 1}
"""Optimizer -> floats of state per table row of `dim` columns."""

WIRE = {"float32": 4, "bfloat16": 2}
"""`pretrain.wire` -> bytes of a number of a table row, or of its gradient, that travels."""


@dataclass(frozen=True)
class Format:
    """Bytes of what is stored and sent. When the tables or messages change, change it here."""

    weight_stored: int = 4
    slot_stored: int = 4
    neighbor_stored: int = 4
    degree_stored: int = 4
    kernel_sent: int = 4
    neighbor_pulled: int = 4
    degree_pulled: int = 4
    id_sent: int = 8
    whole_lists: bool = True
    """Whether a pull brings all stored neighbours of an entity, or only those that are used."""


@dataclass(frozen=True)
class Measured:
    """Costs that only a measurement tells; CPU seconds are of one core.

    The defaults come from `python benchmarks/cluster_probe.py --ckg=CKG --epochs=2`, with TensorFlow 2.16.2, 2 servers
    and 2 workers on 2 busy cores of an AMD EPYC, on FB15k-237, a graph of 20,000 entities and one of 2 million. These
    don't tell the cost of a call from that of a step, nor a multiplication's: `python benchmarks/plan_costs.py`
    measures clusters that do, and prints what `kdcn plan --measured=FILE` reads.

    Attributes:
        process_bytes: of a server without tables.
        table_copies: of its part of the entity table, that a server holds at its peak beside the table: as it saves.
        buffers_per_step: bytes of a server for every byte of a worker's step that is for it.
        bytes_per_call: beside the tensor.
        worker_s_per_step: of a worker.
        worker_s_per_call: of a worker, for a tensor that it sends or receives.
        worker_s_per_byte: of a worker.
        worker_s_per_multiplication: of a worker, with all that goes along.
        server_s_per_call: of a server.
        server_s_per_byte: of a server.
    """

    process_bytes: float = 600e6
    table_copies: float = 2.0
    buffers_per_step: float = 2.0
    bytes_per_call: float = 500.0
    worker_s_per_step: float = 9e-3
    worker_s_per_call: float = 7e-4
    worker_s_per_byte: float = 1.1e-9
    worker_s_per_multiplication: float = 1e-10
    server_s_per_call: float = 9e-4
    server_s_per_byte: float = 1.3e-9


@dataclass(frozen=True)
class Graph:
    """What is trained on.

    Attributes:
        entities: their number.
        triples: of an epoch.
        relations: their number.
        skew: exponent of Zipf's law of how often entities occur, in [0, 1); 0 makes all equally frequent, which has
            the most distinct rows per step.
        steps: of an epoch, where files are known; else 0.
    """

    entities: int
    triples: int
    relations: int
    skew: float = 0.0
    steps: int = 0


@dataclass(frozen=True)
class Step:
    """Distinct rows of one step; `training.watching` counts the same while a model trains.

    Attributes:
        table_rows: of the entity and relation tables, pulled, and pushed as gradients.
        neighbor_rows: entities whose neighbour lists are pulled, layer by layer.
        degree_rows: entities whose degrees are pulled, beside their rows.
        busiest: entity rows of the server that has most, over the mean of the servers.
    """

    table_rows: float
    neighbor_rows: float = 0.0
    degree_rows: float = 0.0
    busiest: float = 1.0


def distinct(draws: float, population: float, skew: float = 0.0) -> float:
    """Expected number of different entities among `draws` with replacement.

    With `skew` 0 it is n (1 - (1 - 1/n)^m); else the entity of rank r is drawn with a probability that goes by r^-skew,
    and ranks are summed in groups that grow by a percent.
    """
    if draws <= 0 or population <= 0:
        return 0.0
    if not skew:
        return population * -math.expm1(draws * math.log1p(-1.0 / population)) if population > 1 else 1.0
    total = _zipf_mass(population, skew)
    found, low = 0.0, 0.0
    while low < population:
        high = min(population, max(low + 1.0, low * 1.01))
        share = (_zipf_mass(high, skew) - _zipf_mass(low, skew)) / total
        found += (high - low) * -math.expm1(-draws * share / (high - low))
        low = high
    return found


def _zipf_mass(rank: float, skew: float) -> float:
    """Integral of r^-skew from 0 to `rank`."""
    return rank ** (1.0 - skew) / (1.0 - skew)


def expected_step(config: Config, graph: Graph) -> Step:
    """Rows of a step of a graph that is known by its sizes alone.

    Heads, tails and neighbours are drawn as `graph.skew` says; negatives uniformly (types are not known here). An
    entity's neighbours are as many as a Poisson law around the mean degree gives, up to `encoder.neighbors`.
    """
    pretrain, encoder = config.pretrain, config.encoder
    negatives = sides(config) * pretrain.chunks * pretrain.negatives
    drawn = 2.0 * pretrain.batch_size
    hops = [_united(graph, drawn, negatives)]
    for _ in range(encoder.layers):
        drawn += hops[-1] * _kept_neighbors(graph, encoder.neighbors)
        hops.append(_united(graph, drawn, negatives))
    asked = distinct(sides(config) * pretrain.batch_size, relation_rows(config, graph))
    relations = relation_tables(config) * asked
    return Step(hops[-1] + relations, neighbor_rows=sum(hops[:-1]), degree_rows=_with_degrees(config, hops[-1]))


def _with_degrees(config: Config, rows: float) -> float:
    encoder = config.encoder
    return rows if encoder.layers and encoder.aggregation == "degree" else 0.0


def sides(config: Config) -> int:
    """How often a triple is scored in a step: with other tails or other heads, or with both."""
    return 2 if config.pretrain.both_sides else 1


def relation_tables(config: Config) -> int:
    """Tables that have a row per relation: what moves an entity, and what scales it."""
    return 2 if config.encoder.relation_scale else 1


def relation_rows(config: Config, graph: Graph) -> int:
    """Rows of each of those tables."""
    return graph.relations * (2 if config.encoder.reciprocal else 1)


def _united(graph: Graph, skewed: float, uniform: float) -> float:
    """Different entities among draws by the graph's law and uniform ones."""
    first = distinct(skewed, graph.entities, graph.skew)
    return first + distinct(uniform, graph.entities) * (1.0 - first / graph.entities)


def _kept_neighbors(graph: Graph, limit: int) -> float:
    """E[min(degree, limit)] of an entity that a triple led to: 1 more than Poisson."""
    mean = 2.0 * graph.triples / graph.entities
    kept, chance, rest = 0.0, math.exp(-mean), 1.0
    for degree in range(limit):  # E[min(1 + X, limit)] is the sum of P(1 + X > i) for i < limit
        kept += rest
        rest -= chance
        chance *= mean / (degree + 1)
    return kept


def kernel_numbers(config: Config) -> int:
    """Numbers of all matrices of the GCN; with `encoder.aggregation=by_type` for the schema's own entity types."""
    encoder = config.encoder
    return encoder.layers * encoder.dim**2 * (len(ENTITY_TYPES) if encoder.aggregation == "by_type" else 1)


def multiplications(config: Config, step: Step) -> float:
    """Of a step, forwards and (twice as many) backwards: aggregation, kernels, scores."""
    encoder = config.encoder
    layers = step.neighbor_rows * encoder.dim * (encoder.neighbors + encoder.dim)
    return 3.0 * (layers + scored_products(config))


def scored_products(config: Config) -> int:
    """Multiplications of the scores of a step's positives with their negatives, forwards."""
    pretrain = config.pretrain
    return sides(config) * pretrain.batch_size * pretrain.negatives * config.encoder.dim


def traffic(config: Config, step: Step, form: Format, measured: Measured, servers: int) -> tuple[float, float]:
    """Bytes that a step pulls from all servers and pushes to them, with what the calls themselves cost."""
    encoder = config.encoder
    list_bytes = form.neighbor_pulled * (config.ckg.stored_neighbors if form.whole_lists else encoder.neighbors)
    rows = step.table_rows * encoder.dim * WIRE[config.pretrain.wire]
    tables = rows + kernel_numbers(config) * form.kernel_sent
    pulled = step.neighbor_rows * list_bytes + step.degree_rows * form.degree_pulled
    # Degrees travel as parts of their rows.
    pushed = (step.neighbor_rows + step.table_rows) * form.id_sent
    overhead = measured.bytes_per_call * calls(config, servers) / 2
    return pulled + tables + overhead, pushed + tables + overhead


def calls(config: Config, servers: int) -> int:
    """Tensors that a step sends or receives: per layer ids and lists; ids, rows and gradients."""
    return servers * (2 * config.encoder.layers + 3)


SAVED = ("entity table", "optimizer state")
"""Parts of `row_bytes` that a checkpoint holds."""


def row_bytes(config: Config, form: Format) -> dict[str, float]:
    """What a server holds per entity, by part."""
    dim = config.encoder.dim
    return {
        "entity table": dim * form.weight_stored,
        "optimizer state": SLOT_COLUMNS[config.pretrain.optimizer](dim) * form.slot_stored,
        "adjacency": config.ckg.stored_neighbors * form.neighbor_stored + form.degree_stored,
    }
