"""The programs that `benchmarks/ctr.py` compares, and the settings of each, none left to a default."""

import sys
from pathlib import Path
from typing import Any

from benchmarks import ctr_inputs, programs
from benchmarks.lockstep import Program
from benchmarks.peers import environments
from benchmarks.programs import ROOT, SCRIPTS, THREADS, assignments
from kdcn_tf import ckg, manifest, records

SLICE_S, UNIT = 3.0, "examples"

COMMON: dict[str, Any] = {
    "dim": 64, "category_dim": 16, "cross": "vector", "cross_layers": 4, "deep_units": [512, 512], "batch_size": 512,
    "learning_rate": 0.001, "threads": THREADS,
}  # fmt: skip
"""The same for every DCN: the paper's sizes."""

TRAINING: dict[str, Any] = {
    "kdcn.pretrained": "false", "kdcn.dim": COMMON["dim"], "kdcn.category_dim": COMMON["category_dim"],
    "finetune.batch_size": COMMON["batch_size"], "finetune.learning_rate": COMMON["learning_rate"],
    "finetune.entity_learning_rate": COMMON["learning_rate"],
    "finetune.epochs": programs.NEVER, "finetune.patience": programs.NEVER,
    "finetune.checkpoint_every": programs.NEVER,
}  # fmt: skip

OURS = {"PYTHONPATH": str(ROOT), "TF_USE_LEGACY_KERAS": "1"}
"""Environment of ours: TensorFlow may be imported before kdcn_tf."""

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "dcn": ("paper", {
        "kdcn.network": "dcn", "kdcn.cross": COMMON["cross"], "kdcn.cross_layers": COMMON["cross_layers"],
        "kdcn.deep_units": str(COMMON["deep_units"]), "kdcn.dropout": 0.0, "kdcn.unknown_share": 0.0,
        "kdcn.normalize_entities": "false", "finetune.average": 0.0,
    }),
    "kdcn": ("default", {"kdcn.network": "kdcn"}),
    "kdcn_paper": ("paper", {"kdcn.network": "kdcn"}),
}  # fmt: skip
"""Ours: preset and differences. K-DCN has its presets' own sizes."""

DIFFERENCES = {
    "dcn": "one table for users, items and keywords; lazy Adam: rows outside of a batch rest",
    "deepctr": "a table per kind of id; a table's gradient is dense, for Keras computes its L2 penalty even if it is "
    "0, and Adam walks all rows; padded category levels have a trained vector",
    "deepctr_torch": "as deepctr, from arrays in memory only, its own loop",
}


def inline(
    name: str, work: Path, ctr: Path, network: str, source: str = "memory", *, seed: int = 1, **more: Any
) -> Program:
    """Our training in one process; `more` are further fields of its order."""
    preset, settings = NETWORKS[network]
    order = {
        "ctr": str(ctr), "preset": preset, "source": source, "seed": seed, "threads": THREADS, "slice_s": SLICE_S,
        "assignments": assignments({**TRAINING, **settings, "finetune.seed": seed}), **more,
    }  # fmt: skip
    command = [sys.executable, str(SCRIPTS / "run_click_model.py"), programs.write_order(work / name, order)]
    return _quitting(Program(name, command, work / name / "log", OURS))


def cluster(name: str, work: Path, ctr: Path, network: str) -> Program:
    """`kdcn train-kdcn` on 2 servers and 2 workers."""
    preset, settings = NETWORKS[network]
    described = manifest.read(str(ctr), manifest.CTR)
    order = {
        "ctr": str(ctr), "output": str(work / name / "model"), "preset": preset, "slice_s": SLICE_S,
        "examples_per_epoch": sum(file.count for file in described.group("train")),
        "assignments": assignments({**TRAINING, **settings}),
    }  # fmt: skip
    script = [sys.executable, str(SCRIPTS / "run_train_kdcn.py"), programs.write_order(work / name, order)]
    command = [str(ROOT / "launch" / "local_cluster.sh"), "-w", "2", "-p", "2", "--", *script]
    return _quitting(Program(name, command, work / name / "log", OURS))


def peer(
    name: str, work: Path, folder: Path, library: str, ctr: Path, described: manifest.Manifest, arrays: Path,
    source: str = "memory", *, seed: int = 1, **more: Any,
) -> Program:  # fmt: skip
    """DeepCTR or DeepCTR-Torch on arrays of `ctr_inputs.write_arrays`, or on the files of a dataset."""
    from kdcn_tf.data.ctr import spec_of

    spec, spans = spec_of(described), ctr_inputs.spans_of(described.require_id_map())
    lists = {key: (ctr_inputs.table_of(key), n) for key, n in spec.list_sizes().items() if key != records.CATEGORIES}
    order = {
        **COMMON, "seed": seed, "slice_s": SLICE_S, "source": source, "train": str(arrays / "train.npz"),
        "test": str(arrays / "test.npz"), "files": [str(ctr / file.name) for file in described.group("train")],
        "shuffled": ctr_inputs.EXAMPLES_PER_FILE, "singles": {records.USER: ckg.USER, records.ITEM: ckg.ITEM},
        "lists": lists, "categories": spec.max_categories, "statistics": len(spec.dense_names), "spans": spans,
        "first_row": ctr_inputs.FIRST_ROW, "dense_mean": spec.dense_mean, "dense_std": spec.dense_std,
        "rows": {t: ctr_inputs.FIRST_ROW + sum(last - first for first, last in s) for t, s in spans.items()}, **more,
    }  # fmt: skip
    python = str(environments.python_of(folder, library))
    command = [python, str(SCRIPTS / f"run_{library}.py"), programs.write_order(work / name, order)]
    env = {"OMP_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "PASSIVE"}
    return _quitting(Program(name, command, work / name / "log", env))


def _quitting(program: Program) -> Program:
    program.last_order, program.unit = "quit", UNIT
    return program
