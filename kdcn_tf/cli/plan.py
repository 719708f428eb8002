"""Predicts what pretraining costs on a cluster: memory per server, bytes, hours, and which resource binds.

The graph is given by its sizes, or by a CKG dataset (--ckg), whose own batches are then counted. Known by sizes
alone, a graph is taken to be evenly connected (--skew=0), which has the most rows per step: real graphs need fewer
bytes. Sizes may be written as 600e6. What only a measurement tells comes from `kdcn_tf.costs.Measured`, or from
--measured, the JSON of `benchmarks/plan_costs.py`: its object "costs" has the names of that class.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from kdcn_tf import command, manifest, planning
from kdcn_tf.config import Config
from kdcn_tf.costs import Graph, Measured, Step
from kdcn_tf.errors import ConfigError
from kdcn_tf.planning import Machines, Plan

NAME = "plan"
SIZES = {"entities": "number of entities", "triples": "number of training triples", "servers": "parameter servers",
         "workers": "workers"}  # fmt: skip
MACHINES = {
    "server_memory_gib": "memory of a server in GiB",
    "server_gbit": "network of a server, each way, in Gbit/s",
    "worker_gbit": "network of a worker, each way, in Gbit/s",
    "server_cores": "cores of a server",
    "worker_cores": "cores of a worker",
    "round_trip_ms": "from a worker to a server and back, in milliseconds",
    "worker_triples_per_s": "what a worker computes when it needn't wait; by default from what was measured",
    "disk_mb_per_s": "what a server writes of a checkpoint, in MB/s; without it, no time is given",
}


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    for name, what in SIZES.items():
        flags.DEFINE_string(name, None, what, flag_values=values)
    flags.DEFINE_string("relations", "100", "number of relations", flag_values=values)
    flags.DEFINE_string("skew", "0", "Zipf exponent of how often entities occur, in [0, 1)", flag_values=values)
    flags.DEFINE_string("ckg", None, "CKG dataset in place of --entities, --triples, --relations", flag_values=values)
    defaults = {field.name: field.default for field in dataclasses.fields(Machines)}
    for name, what in MACHINES.items():
        default = None if defaults[name] is None else f"{defaults[name]:g}"
        flags.DEFINE_string(name, default, what, flag_values=values)
    flags.DEFINE_string("dim", None, "short for --set encoder.dim=", flag_values=values)
    flags.DEFINE_string("measured", None, "JSON file of measured costs", flag_values=values)
    flags.DEFINE_bool("json", False, "print JSON", flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    machines = _machines(values)
    measured = read_measured(values.measured) if values.measured else Measured()
    config, graph, step = _of_dataset(values, machines.servers) if values.ckg else _of_sizes(values)
    found = planning.plan(config, graph, machines, step=step, measured=measured)
    if values.json:
        print(json.dumps({"graph": dataclasses.asdict(graph), "machines": dataclasses.asdict(machines),
                          "plan": found.to_json()}, indent=1))  # fmt: skip
    else:
        print(table(config, graph, machines, found))


def _number(values: flags.FlagValues, name: str) -> float:
    """A flag as a positive number.

    Raises:
        ConfigError: it isn't one.
    """
    text = values[name].value
    try:
        number = float(str(text).replace("_", ""))
    except ValueError:
        raise ConfigError(f"--{name}: expected a number, got {text!r}") from None
    if not math.isfinite(number) or number <= 0:
        raise ConfigError(f"--{name}: must be a positive number, got {text}")
    return number


def _count(values: flags.FlagValues, name: str) -> int:
    number = _number(values, name)
    if not number.is_integer():
        raise ConfigError(f"--{name}: expected a whole number, got {values[name].value}")
    return int(number)


def _machines(values: flags.FlagValues) -> Machines:
    command.required(values, "servers", "workers")
    given = {name: _number(values, name) for name in MACHINES if values[name].value is not None}
    return Machines(_count(values, "servers"), _count(values, "workers"), **given)


def _assigned(values: flags.FlagValues, suggested: dict[str, Any]) -> Config:
    if values.dim is not None:
        values["set"].value = [*(values.set or []), f"encoder.dim={_count(values, 'dim')}"]
        suggested = {**suggested, "kdcn.dialogue": False}  # the ranker's heads needn't divide it: it isn't planned
    return command.resolve_config(values, suggested)


def _of_sizes(values: flags.FlagValues) -> tuple[Config, Graph, None]:
    command.required(values, "entities", "triples")
    try:
        skew = float(values.skew)
    except ValueError:
        raise ConfigError(f"--skew: expected a number, got {values.skew!r}") from None
    if not 0 <= skew < 1:
        raise ConfigError(f"--skew: must be in [0, 1), got {values.skew}")
    entities, triples, relations = (_count(values, name) for name in ("entities", "triples", "relations"))
    return _assigned(values, {}), Graph(entities, triples, relations, skew=skew), None


def _of_dataset(values: flags.FlagValues, servers: int) -> tuple[Config, Graph, Step]:
    for name in ("entities", "triples"):
        if values[name].value is not None:
            raise ConfigError(f"--{name}: not with --ckg, which has its own")
    ckg = manifest.read(values.ckg, manifest.CKG)
    config = _assigned(values, {"ckg.stored_neighbors": ckg.number("stored_neighbors")})
    from kdcn_tf.training import footprint  # TensorFlow's import takes seconds; wrong flags shouldn't wait for it

    return config, footprint.graph_of(ckg, config), footprint.counted_step(values.ckg, ckg, config, servers)


def read_measured(path: str) -> Measured:
    """Costs from the object "costs" of a JSON file; those that it doesn't name keep their default.

    Raises:
        ConfigError: the file isn't that.
    """
    try:
        costs = json.loads(Path(path).read_text(encoding="utf-8"))["costs"]
        known = {field.name for field in dataclasses.fields(Measured)}
        for name, value in costs.items():
            if name not in known:
                raise ConfigError(f"--measured {path}: costs.{name}: unknown; known: {', '.join(sorted(known))}")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ConfigError(f"--measured {path}: costs.{name}: expected a number from 0, got {value!r}")
    except OSError as error:
        raise ConfigError(f"--measured {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f'--measured {path}: expected JSON with an object "costs"') from None
    return Measured(**costs)


def table(config: Config, graph: Graph, machines: Machines, found: Plan) -> str:
    """The plan for people."""
    fits = "fits" if found.fits else f"does not fit: {_servers(found)} needed"
    lines = [
        f"{graph.entities:,} entities, {graph.triples:,} triples, dim {config.encoder.dim}, {config.encoder.layers} "
        f"GCN layers of {config.encoder.neighbors} neighbours, {config.pretrain.optimizer}, "
        f"batch {config.pretrain.batch_size:,}",
        f"{machines.servers} servers, {machines.workers} workers",
        "",
        _row("memory per server", _bytes(found.server_bytes), f"of {machines.server_memory_gib:g} GiB: {fits}"),
        *(_row(f"  {name}", _bytes(size)) for name, size in found.server_bytes_by_part.items()),
        _row("table rows per step", f"{found.table_rows_per_step:,.0f}"),
        _row("bytes per step", _bytes(found.bytes_per_step), f"{_bytes(found.pulled_bytes_per_step)} pulled, "
             f"{_bytes(found.pushed_bytes_per_step)} pushed"),
        _row("  of the busiest server", _bytes(found.server_bytes_per_step)),
        _row("bytes/s per server", f"{_bytes(found.server_bytes_per_s)}/s"),
        _row("CPU per step", f"{1e3 * found.worker_cpu_s_per_step:.1f} ms", "of a worker"),
        _row("", f"{1e3 * found.server_cpu_s_per_step:.1f} ms", "of all servers together"),
        _row("triples/s", f"{found.triples_per_s:,.0f}"),
        *(_row(f"  {name} allows", f"{rate:,.0f}") for name, rate in found.triples_per_s_by_limit.items()),
        _row("steps per epoch", f"{found.steps_per_epoch:,}"),
        _row("hours", f"{found.hours:,.3g}", f"for {config.pretrain.epochs} epochs"),
        _row("checkpoint", _bytes(found.checkpoint_bytes), "" if found.checkpoint_s is None else
             f"{found.checkpoint_s:,.0f} s"),
        _row("binds", found.binds),
        *(f"warning: {warning}" for warning in found.warnings),
    ]  # fmt: skip
    return "\n".join(lines)


def _row(name: str, value: str, remark: str = "") -> str:
    return f"{name:<28} {value:>14}  {remark}".rstrip()


def _servers(found: Plan) -> str:
    return "more memory than the process itself is" if found.servers_needed is None else f"{found.servers_needed} are"


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.{0 if unit == 'B' else 1}f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
