"""Measures the costs that `kdcn plan` needs: `kdcn_tf.costs.Measured`, fitted to real clusters of several shapes.

    python benchmarks/plan_costs.py --ckg=CKG --json=FILE && kdcn plan --measured=FILE ...

Each shape trains on a local cluster (`cluster_probe.measure`). CPU seconds of workers and servers, the bytes that the
rows don't explain, and the memory that the tables don't explain are then fitted by non-negative least squares, each
equation divided by its measured side, so that errors count relatively. Takes about a minute per shape.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from scipy.optimize import nnls

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import cluster_probe, programs  # noqa: E402
from kdcn_tf import command, costs, manifest, planning, presets  # noqa: E402
from kdcn_tf.training import footprint  # noqa: E402

GCN = tuple(programs.assignments(presets.GCN))
NARROW = (*GCN, "encoder.dim=8")
SHAPES: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (2, 2, GCN),
    (2, 2, NARROW),
    (6, 1, NARROW),
    (2, 2, (*GCN, "encoder.layers=2")),
    (2, 2, (*GCN, "encoder.layers=0", "encoder.dim=400", "pretrain.negatives=200")),
    (2, 2, (*GCN, "pretrain.batch_size=4000", "pretrain.negatives=256")),
)
"""Servers, workers and settings: few and many calls, few and many bytes, few and many multiplications."""


def fitted(rows: Sequence[Sequence[float]], measured: Sequence[float]) -> list[float]:
    """Non-negative x that makes rows x near `measured`, relatively."""
    scale = np.asarray(measured, float)[:, None]
    return nnls(np.asarray(rows, float) / scale, np.ones(len(scale)))[0].tolist()


def calibrate(ckg_directory: str, epochs: int = 3) -> dict[str, Any]:
    """Measures all shapes.

    Returns:
        `costs` as `kdcn plan --measured` reads them; `shapes` with what was measured of each, and what the fitted
        costs make of it.
    """
    found = []
    for servers, workers, settings in SHAPES:
        seen = cluster_probe.measure(
            ckg_directory, workers=workers, servers=servers, assignments=settings, epochs=epochs
        )
        print(json.dumps({"servers": servers, "workers": workers, "settings": settings, **seen}), file=sys.stderr)
        found.append(seen)
    shapes = [(ckg_directory, *shape, seen) for shape, seen in zip(SHAPES, found, strict=True)]
    return {**fit(shapes), "measured": found}


def fit(shapes: Sequence[tuple[str, int, int, Sequence[str], Mapping[str, Any]]]) -> dict[str, Any]:
    """`costs` that fit clusters, and the relative errors that they leave.

    Args:
        shapes: CKG directory, servers, workers, settings, and what `cluster_probe.measure` said.
    """
    usual = costs.Measured()
    free = costs.Measured(**{**dict.fromkeys(asdict(usual), 0.0), "table_copies": usual.table_copies})
    worker, server, memory, left = [], [], [], []
    for directory, servers, workers, settings, seen in shapes:
        ckg = manifest.read(directory, manifest.CKG)
        config = cluster_probe.settings_of(directory, settings, 2)
        step = footprint.counted_step(directory, ckg, config, servers)
        calls, moved = costs.calls(config, servers), seen["bytes_per_step"]
        machines, form = planning.Machines(servers, workers), costs.Format()
        tables = planning.server_memory(config, footprint.graph_of(ckg, config), machines, moved, free, form)
        rows = sum(costs.traffic(config, step, form, free, servers))
        worker.append(([1.0, calls, moved, costs.multiplications(config, step)], seen["worker_cpu_s_per_step"]))
        server.append(([calls, moved], seen["ps_cpu_s_per_step"]))
        memory.append(([1.0, workers * moved / servers], seen["peak_bytes"]["ps"] - sum(tables.values())))
        left.append((moved - rows) / calls)
    fits = {name: fitted(*zip(*pairs, strict=True)) for name, pairs in
            (("worker", worker), ("server", server), ("memory", memory))}  # fmt: skip
    best = costs.Measured(
        **dict(zip(("process_bytes", "buffers_per_step"), fits["memory"], strict=True)),
        bytes_per_call=max(0.0, float(np.median(left))),
        **dict(zip(("worker_s_per_step", "worker_s_per_call", "worker_s_per_byte", "worker_s_per_multiplication"),
                   fits["worker"], strict=True)),
        **dict(zip(("server_s_per_call", "server_s_per_byte"), fits["server"], strict=True)),
    )  # fmt: skip
    errors = {
        name: [float(np.dot(row, fits[name]) / real - 1.0) for row, real in pairs]
        for name, pairs in (("worker", worker), ("server", server), ("memory", memory))
    }
    return {"costs": asdict(best), "errors": errors, "bytes_left_per_call": left}


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("ckg", None, "CKG dataset of some ten thousand entities", flag_values=values)
    flags.DEFINE_string("json", None, "file to write the costs to", flag_values=values)
    flags.DEFINE_integer("epochs", 3, "epochs of each shape; the first is left out", lower_bound=2, flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "ckg")
    text = json.dumps(calibrate(values.ckg, values.epochs), indent=1)
    print(text)
    if values.json:
        Path(values.json).write_text(text + "\n")


if __name__ == "__main__":
    command.run("plan_costs", __doc__ or "", _flags(), _call)
