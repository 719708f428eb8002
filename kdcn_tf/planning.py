"""A plan of pretraining on a cluster: memory of a server, bytes, hours, and what binds. See `kdcn_tf.costs`."""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from kdcn_tf import costs
from kdcn_tf.config import Config
from kdcn_tf.costs import Format, Graph, Measured, Step
from kdcn_tf.errors import ConfigError

GIB = 2.0**30
MEMORY, SERVER_NETWORK, SERVER_CPU = "server memory", "server network", "server CPU"
WORKER_COMPUTE, WORKER_NETWORK = "worker compute", "worker network"


@dataclass(frozen=True)
class Machines:
    """Who trains.

    Attributes:
        servers: parameter servers.
        workers: workers.
        server_memory_gib: memory of a server.
        server_gbit: network of a server, each way, in Gbit/s.
        worker_gbit: network of a worker, each way, in Gbit/s.
        server_cores: cores of a server.
        worker_cores: cores of a worker.
        round_trip_ms: from a worker to a server and back.
        worker_triples_per_s: what a worker computes when it needn't wait; None takes it from `Measured`.
        disk_mb_per_s: what a server writes to the checkpoints' file system; None leaves their time out.
    """

    servers: int
    workers: int
    server_memory_gib: float = 64.0
    server_gbit: float = 10.0
    worker_gbit: float = 10.0
    server_cores: float = 8.0
    worker_cores: float = 8.0
    round_trip_ms: float = 0.5
    worker_triples_per_s: float | None = None
    disk_mb_per_s: float | None = None


@dataclass(frozen=True)
class Plan:
    """What training costs. Bytes and CPU seconds of a step are of all servers together, unless the name says so."""

    server_bytes: float
    server_bytes_by_part: dict[str, float]
    servers_needed: int | None
    table_rows_per_step: float
    pulled_bytes_per_step: float
    pushed_bytes_per_step: float
    bytes_per_step: float
    bytes_per_triple: float
    server_bytes_per_step: float
    server_bytes_per_s: float
    worker_cpu_s_per_step: float
    server_cpu_s_per_step: float
    steps_per_epoch: int
    triples_per_s_by_limit: dict[str, float]
    triples_per_s: float
    hours: float
    binds: str
    checkpoint_bytes: float
    checkpoint_s: float | None
    warnings: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return self.binds != MEMORY

    def to_json(self) -> dict:
        return {**asdict(self), "fits": self.fits}


def plan(
    config: Config,
    graph: Graph,
    machines: Machines,
    *,
    step: Step | None = None,
    measured: Measured | None = None,
    form: Format | None = None,
) -> Plan:
    """Predicts a training.

    Args:
        config: resolved configuration.
        graph: what is trained on.
        machines: who trains.
        step: rows of a step, where they were counted; else they are expected from the graph's sizes.
        measured: costs, by default those measured here.
        form: bytes of the tables and messages.

    Raises:
        ConfigError: there are more entities than the system can hold.
    """
    if graph.entities > costs.MAX_ENTITIES:
        raise ConfigError(f"entities: at most {costs.MAX_ENTITIES:,} ids fit the adjacency, got {graph.entities:,}")
    step, measured, form = step or costs.expected_step(config, graph), measured or Measured(), form or Format()
    pulled, pushed = costs.traffic(config, step, form, measured, machines.servers)
    moved = pulled + pushed
    parts = server_memory(config, graph, machines, moved, measured, form)
    limits = rates(config, step, machines, (pulled, pushed), measured)
    steps = graph.steps or steps_per_epoch(config, graph)
    per_step = graph.triples / steps  # less than the batch size where files end in part of a batch
    slowest = min(limits, key=lambda name: limits[name])
    memory = sum(parts.values())
    saved = (graph.entities + 1) * sum(costs.row_bytes(config, form)[part] for part in costs.SAVED)
    return Plan(
        server_bytes=memory,
        server_bytes_by_part=parts,
        servers_needed=servers_needed(config, graph, machines, step, measured, form),
        table_rows_per_step=step.table_rows,
        pulled_bytes_per_step=pulled,
        pushed_bytes_per_step=pushed,
        bytes_per_step=moved,
        bytes_per_triple=moved / per_step,
        server_bytes_per_step=moved / machines.servers * step.busiest,
        server_bytes_per_s=moved / machines.servers * step.busiest * limits[slowest],
        worker_cpu_s_per_step=worker_seconds(config, step, machines, moved, measured),
        server_cpu_s_per_step=server_seconds(config, machines, moved, measured),
        steps_per_epoch=steps,
        triples_per_s_by_limit={name: rate * per_step for name, rate in limits.items()},
        triples_per_s=limits[slowest] * per_step,
        hours=config.pretrain.epochs * steps / limits[slowest] / 3600,
        binds=slowest if memory <= machines.server_memory_gib * GIB else MEMORY,
        checkpoint_bytes=saved,
        checkpoint_s=saved / machines.servers / (machines.disk_mb_per_s * 1e6) if machines.disk_mb_per_s else None,
        warnings=tuple(_warnings(config, graph, machines, moved)),
    )


def steps_per_epoch(config: Config, graph: Graph) -> int:
    """The last batch of every file is filled up."""
    files = math.ceil(graph.triples / config.ckg.triples_per_file)
    return files * math.ceil(graph.triples / files / config.pretrain.batch_size)


def server_memory(
    config: Config, graph: Graph, machines: Machines, bytes_per_step: float, measured: Measured, form: Format
) -> dict[str, float]:
    """Bytes of the fullest server's process at its peak, by part."""
    rows = math.ceil((graph.entities + 1) / machines.servers)
    dim = config.encoder.dim
    relations = costs.relation_tables(config) * costs.relation_rows(config, graph) * dim
    whole = relations + costs.kernel_numbers(config)  # not sharded, or small
    state = form.weight_stored + costs.SLOT_COLUMNS[config.pretrain.optimizer](dim) / dim * form.slot_stored
    return {
        "process": measured.process_bytes,
        **{name: rows * size for name, size in costs.row_bytes(config, form).items()},
        "copies to build and save": measured.table_copies * rows * dim * form.weight_stored,
        "relations and kernels": whole * state,
        "steps in flight": measured.buffers_per_step * machines.workers * bytes_per_step / machines.servers,
    }


def worker_seconds(config: Config, step: Step, machines: Machines, moved: float, measured: Measured) -> float:
    """CPU seconds of a worker for one step."""
    if machines.worker_triples_per_s:
        return config.pretrain.batch_size / machines.worker_triples_per_s * machines.worker_cores
    return (
        measured.worker_s_per_step
        + measured.worker_s_per_call * costs.calls(config, machines.servers)
        + measured.worker_s_per_byte * moved
        + measured.worker_s_per_multiplication * costs.multiplications(config, step)
    )


def server_seconds(config: Config, machines: Machines, moved: float, measured: Measured) -> float:
    """CPU seconds of all servers together for one step."""
    return measured.server_s_per_call * costs.calls(config, machines.servers) + measured.server_s_per_byte * moved


def rates(
    config: Config, step: Step, machines: Machines, moved: tuple[float, float], measured: Measured
) -> dict[str, float]:
    """Steps per second that each resource allows the whole cluster.

    A worker takes one step after the other: it computes, waits for each of its pulls and for its push, and its bytes
    travel meanwhile; only the larger of computing and waiting is named as what limits it. Servers serve all workers
    at once, both ways at once, and the busiest server sets the pace.
    """
    total = sum(moved)
    computing = worker_seconds(config, step, machines, total, measured) / machines.worker_cores
    trips = 2 + config.encoder.layers
    waiting = total / _bytes_per_s(machines.worker_gbit) + trips * machines.round_trip_ms / 1e3
    worker = WORKER_COMPUTE if computing >= waiting else WORKER_NETWORK
    even = machines.servers / step.busiest
    return {
        SERVER_NETWORK: even * _bytes_per_s(machines.server_gbit) / max(moved),
        SERVER_CPU: even * machines.server_cores / server_seconds(config, machines, total, measured),
        worker: machines.workers / (computing + waiting),
    }


def _bytes_per_s(gbit: float) -> float:
    return gbit * 1e9 / 8


def servers_needed(
    config: Config, graph: Graph, machines: Machines, step: Step, measured: Measured, form: Format
) -> int | None:
    """The fewest servers whose memory is enough; None where not even one for each entity is."""

    def fits(servers: int) -> bool:
        pulled, pushed = costs.traffic(config, step, form, measured, servers)
        parts = server_memory(config, graph, replace(machines, servers=servers), pulled + pushed, measured, form)
        return sum(parts.values()) <= machines.server_memory_gib * GIB

    most = graph.entities
    return 1 + bisect_left(range(1, most + 1), True, key=fits) if fits(most) else None


def _warnings(config: Config, graph: Graph, machines: Machines, moved: float) -> Iterator[str]:
    if moved / machines.servers > costs.MAX_TRANSFER:
        yield f"a message would be larger than {costs.MAX_TRANSFER:,} bytes, gRPC's limit; lower pretrain.batch_size"
    if graph.entities < 100 * machines.servers:
        yield "so few entities are not worth so many servers"
    if config.pretrain.batch_size * machines.workers > graph.triples / 10:
        yield "the workers' steps in flight hold more than a tenth of the triples: gradients will be stale"
