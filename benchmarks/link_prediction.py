"""Quality of pretraining: filtered MRR and Hits@k on FB15k-237 and WN18RR, and what each choice is worth.

    python benchmarks/link_prediction.py --data=../shared/data [--json=FILE] [--seeds=3] [--only=NAME,...] [--work=DIR]

DIR/FB15k-237 and DIR/WN18RR of --data hold the benchmarks' triples. Every run is a `kdcn train-ckg` whose
output stays in --work: an interrupted benchmark goes on where it stopped, a finished run isn't repeated.
Test triples are ranked among all entities, both sides, ties at their mean rank; ablations are compared on
validation triples, those of the first two presets after few epochs.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import graphs, reporting
from kdcn_tf import command, manifest
from kdcn_tf.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
GRAPHS = {"fb15k237": "FB15k-237", "wn18rr": "WN18RR"}
PRESETS = ("paper", "gcn", "default")
"""The rows of each graph's table."""

ABLATIONS = "ablations"
NAMES = (*GRAPHS, ABLATIONS)
METRICS = ("mrr", "hits@1", "hits@3", "hits@10")
RANKED = {"pretrain.eval_triples": 1_000_000}

BARS = {
    f"{graph}_{metric}": (">=", bar)
    for graph, bars in {"fb15k237": (0.340, 0.53), "wn18rr": (0.235, 0.53)}.items()
    for metric, bar in zip(("mrr", "hits10"), bars, strict=True)
}
"""Of preset `default`, whose figures bear the graph's name alone."""

PUBLISHED = {
    "fb15k237": {
        "TransE, LibKGE (Ruffinelli et al., 2020)": {"mrr": 0.313, "hits@10": 0.497},
        "TransE, self-adversarial, dim 1000 (Sun et al., 2019)": {"mrr": 0.329, "hits@10": 0.527},
        "CompGCN with TransE (Vashishth et al., 2020)": {"mrr": 0.337},
        "MuRE, dim 200 (Balazevic et al., 2019)": {"mrr": 0.336, "hits@10": 0.521},
    },
    "wn18rr": {
        "MuRE, dim 200 (Balazevic et al., 2019)": {"mrr": 0.475, "hits@10": 0.554},
        "TransE, LibKGE (Ruffinelli et al., 2020)": {"mrr": 0.228, "hits@10": 0.520},
    },
}


@dataclass(frozen=True)
class Variant:
    """One row of the ablation table.

    Attributes:
        name: what it changes.
        preset: that it starts from.
        changes: `section.field` -> value.
        graph: name of the graph's folder.
        workers: 0 in one process, else on a local cluster of so many workers and 2 servers.
        epochs: that it trains; None for the preset's own number.
    """

    name: str
    preset: str = "gcn"
    changes: Mapping[str, Any] = field(default_factory=dict)
    graph: str = "fb15k237"
    workers: int = 0
    epochs: int | None = 10


def _ladder() -> list[Variant]:
    """From preset `paper` upwards, one change after the other: what cures its collapse."""
    steps: list[tuple[str, dict[str, Any]]] = [
        ("paper", {}),
        ("+ learning rate 0.01 instead of 1e-4", {"pretrain.learning_rate": 0.01}),
        ("+ identity instead of sigmoid", {"encoder.activation": "identity"}),
        ("+ residual", {"encoder.residual": True}),
        ("+ targets hidden", {"pretrain.hide_targets": True}),
        ("+ softmax loss, margin 3", {"pretrain.loss": "softmax", "pretrain.margin": 3.0}),
    ]
    changes: dict[str, Any] = {}
    rows = []
    for name, change in steps:
        changes = {**changes, **change}
        rows.append(Variant(name, "paper", changes))
    return rows


def _undone() -> list[Variant]:
    """Preset `default`, and each of its choices undone."""
    undone: dict[str, dict[str, Any]] = {
        "default": {},
        "no L2 penalty": {"encoder.l2": 0.0},
        "no scale per relation": {"encoder.relation_scale": False},
        "dimension 400": {"encoder.dim": 400},
        "dimension 128": {"encoder.dim": 128},
        "dimension 64": {"encoder.dim": 64},
        "1 GCN layer": {"encoder.layers": 1},
        "64 negatives": {"pretrain.negatives": 64},
        "initial values up to 0.75": {"encoder.init_scale": 0.75},
        "Adam at 0.01": {"pretrain.optimizer": "adam", "pretrain.learning_rate": 0.01},
        "self-adversarial loss, margin 6": {"pretrain.loss": "self_adversarial", "pretrain.margin": 6.0},
    }
    return [Variant(name, "default", changes, epochs=None) for name, changes in undone.items()]


VARIANTS = [
    *_ladder(),
    Variant("gcn"),
    Variant("targets not hidden", changes={"pretrain.hide_targets": False}),
    Variant("random neighbours", graph="fb15k237-random"),
    Variant("no GCN", changes={"encoder.layers": 0}),
    Variant("2 layers", changes={"encoder.layers": 2}),
    Variant("reciprocal relations", changes={"encoder.reciprocal": True}),
    Variant("softmax loss", changes={"pretrain.loss": "softmax"}),
    Variant("self-adversarial loss", changes={"pretrain.loss": "self_adversarial"}),
    Variant("Adam", changes={"pretrain.optimizer": "adam"}),
    Variant("1 worker, 2 servers", workers=1),
    Variant("2 workers, 2 servers", workers=2),
    Variant("2 workers, 2 servers, float32 on the wire", changes={"pretrain.wire": "float32"}, workers=2),
    *_undone(),
]


@dataclass
class Run:
    """One run of the benchmark."""

    data: Path
    work: Path
    seeds: int
    only: Sequence[str]
    failures: list[str] = field(default_factory=list)

    def graph(self, name: str) -> Path:
        """The CKG dataset of a benchmark graph, written once."""
        folder = self.work / "graphs" / name
        if not (folder / manifest.MANIFEST).exists():
            base, _, kind = name.partition("-")
            graphs.write_ckg(
                str(self.data / GRAPHS[base]), str(folder), triples_per_file=20_000, random_neighbors=kind == "random"
            )
        return folder

    def train(self, name: str, variant: Variant, changes: Mapping[str, Any]) -> manifest.Manifest | None:
        """Trains a variant into the folder `name`, unless it is there; None if that failed."""
        output = self.work / name
        if not (output / manifest.MANIFEST).exists():
            began = time.monotonic()
            launch = [sys.executable, "-m", "kdcn_tf.cli.train_ckg"]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            if variant.workers:
                launch = [str(ROOT / "launch" / "train_ckg.sh")]
                environment |= {"WORKERS": str(variant.workers), "SERVERS": "2"}
            values = {**RANKED, **variant.changes, **changes}
            done = subprocess.run(
                [*launch, f"--ckg={self.graph(variant.graph)}", f"--output={output}", f"--preset={variant.preset}",
                 *(f"--set={field}={value}" for field, value in values.items())],
                env=environment, check=False,
            )  # fmt: skip
            if done.returncode:
                self.failures.append(f"{name}: exit code {done.returncode}")
                return None
            print(f"{name}: {time.monotonic() - began:.0f} s")
        return manifest.read(str(output), manifest.CKG_MODEL)


def seeds_of(run: Run, graph: str, preset: str) -> dict[str, Any]:
    """Test metrics of every seed of a preset, their mean and standard deviation."""
    found = []
    for seed in range(1, run.seeds + 1):
        variant = Variant(preset, preset, graph=graph)
        trained = run.train(f"{graph}-{preset}-{seed}", variant, {"pretrain.seed": seed})
        if trained:
            last = trained.info["history"][-1]
            found.append({
                **{name: trained.info["metrics"]["test"][name] for name in METRICS},
                "tie_gap": trained.info["metrics"]["test"]["tie_gap"],
                "spread": last["spread"], "violations": last["violations"],
                "epochs": len(trained.info["history"]),
                "triples_per_s": statistics.median(epoch["triples_per_s"] for epoch in trained.info["history"]),
            })  # fmt: skip
    if not found:
        return {"seeds": []}
    columns = {name: [seed[name] for seed in found] for name in METRICS}
    return {
        "seeds": found,
        "mean": {name: statistics.fmean(values) for name, values in columns.items()},
        "deviation": {name: statistics.stdev(values) if len(values) > 1 else 0.0 for name, values in columns.items()},
    }


def ablations(run: Run) -> list[dict[str, Any]]:
    rows = []
    for number, variant in enumerate(VARIANTS):
        epochs = {} if variant.epochs is None else {"pretrain.epochs": variant.epochs}
        trained = run.train(f"ablation-{number:02}", variant, epochs)
        if trained:
            last = trained.info["history"][-1]
            valid = {name: trained.info["metrics"]["valid"][name] for name in METRICS}
            watched = {name: last[name] for name in ("spread", "violations", "triples_per_s")}
            epochs_done = len(trained.info["history"])
            rows.append({"name": variant.name, "preset": variant.preset, "epochs": epochs_done, **valid, **watched})
    return rows


def figures_of(results: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures that have bars, and the paper preset's own."""
    figures: dict[str, float | None] = {}
    for graph, by_preset in results.items():
        for preset, found in by_preset.items():
            name = graph if preset == "default" else f"{preset}_{graph}"
            mean = found.get("mean", {})
            figures[f"{name}_mrr"], figures[f"{name}_hits10"] = mean.get("mrr"), mean.get("hits@10")
    return figures


def show(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    for graph, by_preset in results.items():
        print(f"\n{GRAPHS[graph]}, test{'':28} MRR     Hits@1  Hits@3  Hits@10")
        for preset, found in by_preset.items():
            if mean := found.get("mean"):
                cells = "  ".join(f"{mean[name]:.4f}" for name in METRICS)
                print(f"  {preset:40} {cells}  ({len(found['seeds'])} seeds, +- {found['deviation']['mrr']:.4f})")
        for source, figures in PUBLISHED[graph].items():
            print(f"  {source:40} " + "  ".join(f"{figures[m]:.3f} " if m in figures else "  -   " for m in METRICS))
    if rows:
        print(f"\nAblations, validation{'':38} epochs MRR     Hits@10 spread  violations triples/s")
        for row in rows:
            print(
                f"  {row['preset']:15} {row['name']:42} {row['epochs']:<3} {row['mrr']:.4f}  {row['hits@10']:.4f}  "
                f"{row['spread']:.3f}   {row['violations']:.4f}  {row['triples_per_s']:>9,.0f}"
            )


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("data", None, "folder that holds FB15k-237 and WN18RR", flag_values=values)
    flags.DEFINE_string("json", None, "file to write all figures to", flag_values=values)
    flags.DEFINE_integer("seeds", 3, "runs of each preset", 1, flag_values=values)
    flags.DEFINE_list("only", list(NAMES), f"what to measure: {', '.join(NAMES)}", flag_values=values)
    flags.DEFINE_string("work", "runs/link_prediction", "folder for graphs and models; resumed", flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> int:
    command.required(values, "data")
    unknown = [name for name in values.only if name not in NAMES]
    if unknown or not values.only:
        raise ConfigError(f"--only: unknown {', '.join(unknown) or 'nothing'}; known: {', '.join(NAMES)}")
    run = Run(Path(values.data), Path(values.work).resolve(), values.seeds, values.only)
    if missing := [folder for folder in GRAPHS.values() if not (run.data / folder).is_dir()]:
        raise ConfigError(f"--data: {run.data / missing[0]}: no such folder")
    results = {
        graph: {preset: seeds_of(run, graph, preset) for preset in PRESETS} for graph in GRAPHS if graph in run.only
    }
    rows = ablations(run) if ABLATIONS in run.only else []
    figures = figures_of(results)
    show(results, rows)
    print()
    print(reporting.table(figures, {name: bar for name, bar in BARS.items() if name in figures}))
    for failure in run.failures:
        print(f"FAILED {failure}")
    if values.json:
        body = {
            "figures": figures, "bars": BARS, "results": results, "ablations": rows, "published": PUBLISHED,
            "failures": run.failures, "machine": reporting.machine(), "versions": reporting.versions(),
        }  # fmt: skip
        Path(values.json).write_text(json.dumps(body, indent=1) + "\n")
    return 1 if run.failures else 0


def main(argv: Sequence[str]) -> None:
    command.run("link_prediction", __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main(sys.argv[1:])
