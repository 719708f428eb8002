"""The programs that `benchmarks/pretrain.py` compares, and the settings of each, none left to a default."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.lockstep import Program
from benchmarks.peers import environments

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "benchmarks" / "peers"
THREADS, SLICE_S = 2, 4.0

COMMON: dict[str, Any] = {"dim": 64, "batch_size": 1000, "negatives": 64, "threads": THREADS, "seed": 1}
"""The same for everybody."""

PEERS: dict[str, dict[str, Any]] = {
    "pykeen": {"margin": 9.0, "learning_rate": 0.01},
    "ampligraph": {"margin": 3.0, "learning_rate": 0.01},
    "torchbiggraph": {"loss": "softmax", "learning_rate": 0.1, "batch_negatives": 0},
}
"""What a peer has of its own."""

DIFFERENCES = {
    "kdcn": "1 GCN layer over 10 neighbours; 64 negatives of one side, shared by the 125 positives of a chunk; "
    "row-wise Adagrad",
    "pykeen": "no GCN; 64 negatives of its own for each positive, half of each side; dense Adam (fused)",
    "ampligraph": "no GCN; L1 norm (it has no other); 64 negatives of its own for each positive; dense Adam",
    "transe": "the same without GCN, in torchbiggraph's setting: 32 negatives of each side, shared in chunks of 40 "
    "positives",
    "torchbiggraph": "no GCN; 32 negatives of each side, shared in chunks of 32 positives; a relation vector for each "
    "side; row-wise Adagrad, two processes",
}

SETTINGS: dict[str, Any] = {
    "encoder.dim": COMMON["dim"], "encoder.layers": 1, "encoder.neighbors": 10, "encoder.activation": "identity",
    "encoder.residual": "true", "encoder.norm": 2, "encoder.squared": "false", "encoder.reciprocal": "false",
    "encoder.relation_scale": "false", "encoder.aggregation": "degree",
    "encoder.dropout": 0.0, "encoder.init_scale": 0.75, "pretrain.batch_size": COMMON["batch_size"],
    "pretrain.negatives": COMMON["negatives"], "pretrain.chunks": 8, "pretrain.both_sides": "false",
    "pretrain.type_constrained": 0.0, "pretrain.degree_weighted": 0.0, "pretrain.hide_targets": "true",
    "encoder.l1": 0.0, "encoder.l2": 0.0, "pretrain.decay": "constant", "pretrain.wire": "bfloat16",
    "pretrain.loss": "self_adversarial", "pretrain.margin": 9.0, "pretrain.temperature": 1.0,
    "pretrain.optimizer": "adagrad", "pretrain.learning_rate": 0.3, "pretrain.seed": COMMON["seed"],
    "pretrain.checkpoint_every": 1_000_000,
}  # fmt: skip
"""Ours. No program saves anything while it is timed."""

TRANSE: dict[str, Any] = {
    **SETTINGS, "encoder.layers": 0, "encoder.reciprocal": "true", "encoder.init_scale": 0.001,
    "pretrain.negatives": COMMON["negatives"] // 2, "pretrain.chunks": 25, "pretrain.both_sides": "true",
    "pretrain.loss": "softmax", "pretrain.margin": 0.0,
}  # fmt: skip
"""PyTorch-BigGraph's setting: no GCN, a relation vector and half of the negatives for each side, in chunks of 40; but
with the rate of ours."""

DGL_KE: dict[str, Any] = {
    **SETTINGS, "encoder.dim": 400, "encoder.layers": 0, "pretrain.negatives": 200, "pretrain.chunks": 5,
    "pretrain.learning_rate": 0.1, "pretrain.loss": "logistic",
}  # fmt: skip
"""Its setting for Freebase86m: TransE, dim 400, 200 negatives shared by a chunk of 200, batch 1000, Adagrad."""

NEVER = 1_000_000
"""Epochs that no run reaches: the budget ends it."""


def assignments(settings: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in settings.items()]


def ours(name: str, work: Path, ckg: Path, settings: Mapping[str, Any], triples: int, cluster: bool = False) -> Program:
    """`kdcn train-ckg` on a graph of `triples` training triples, alone or on 2 servers and 2 workers."""
    order = {
        "ckg": str(ckg), "output": str(work / name / "model"), "vectors": str(work / name / "vectors.npz"),
        "slice_s": SLICE_S, "triples_per_epoch": triples,
        "assignments": [*assignments(settings), f"pretrain.epochs={NEVER}", f"pretrain.checkpoint_every={NEVER}"],
    }  # fmt: skip
    command = [sys.executable, str(SCRIPTS / "run_kdcn.py"), write_order(work / name, order)]
    if cluster:
        command = [str(ROOT / "launch" / "local_cluster.sh"), "-w", "2", "-p", "2", "--", *command]
    return Program(name, command, work / name / "log", {"PYTHONPATH": str(ROOT)})


def peer(name: str, work: Path, folder: Path, triples: Path, entities: int, relations: int) -> Program:
    """A peer on training triples (npy, ids from 0)."""
    order = {
        **COMMON, **PEERS[name], "triples": str(triples), "entities": entities, "relations": relations,
        "slice_s": SLICE_S, "vectors": str(work / name / "vectors.npz"), "scratch": str(work / name / "scratch"),
    }  # fmt: skip
    command = [
        str(environments.python_of(folder, name)),
        str(SCRIPTS / f"run_{name}.py"),
        write_order(work / name, order),
    ]
    # Threads of OpenMP that wait by sleeping, not by spinning: on a machine that does anything else too, torch is
    # several times faster so.
    return Program(name, command, work / name / "log", {"OMP_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "PASSIVE"})


def write_order(folder: Path, order: dict) -> str:
    folder.mkdir(parents=True)
    path = folder / "order.json"
    path.write_text(json.dumps(order))
    return str(path)
