"""Speed of pretraining: alone, on a local cluster, at three sizes, and beside three peers.

    python benchmarks/pretrain.py --data=../shared/data [--json=FILE] [--only=NAME,...] [--work=DIR] [--budget=60]

DIR/FB15k-237 of --data holds the benchmark's triples. Programs that are compared train in turns of some seconds
each (`benchmarks/lockstep.py`), so that a busy machine is as busy for all; the first turn is warm-up and
not counted. All are pinned to the same two cores. Peers are installed beside --work, into environments of
their own that are used again; that time is printed apart. Ends with code 1 if a measurement failed, with 0
even where a bar is missed: it is a report.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import graphs, lockstep, programs, reporting, sized_graphs
from benchmarks.measured import Measured, measure, require_known
from kdcn_tf import command, manifest, records
from kdcn_tf.errors import ConfigError, KdcnError

GRAPH = "FB15k-237"
OURS = {"inline": programs.SETTINGS, "cluster": programs.SETTINGS, "transe": programs.TRANSE}
NAMES = (*OURS, *programs.PEERS, "sizes", "transe_d400", "plan")
SIZES = {"15k": 15_000, "1m": 1_000_000, "10m": 10_000_000}
SIZES_NEED_BYTES = 12 << 30
TRIPLES_PER_FILE = 35_000
"""Eight files, four for each of two workers. A file is a closure, which costs a cluster some 15 ms beside its steps."""
RANKED = 5_000
"""Test triples that are ranked, the same for all."""

BARS = {
    "inline_over_pykeen": (">=", 8.0),
    "transe_over_torchbiggraph": (">=", 1.0),
    "cluster_over_inline": (">=", 0.6),
    "cluster_triples_per_s": (">=", 43_400.0),
    "step_10m_over_15k": ("<=", 2.5),
    "transe_d400_per_core": (">=", 10_000.0),
    "plan_error": ("<=", 0.15),
}


@dataclasses.dataclass
class Run(Measured):
    """One run of the benchmark and what it has found."""

    data: Path = Path()

    def graph(self) -> tuple[Path, manifest.Manifest]:
        """The benchmark graph as a CKG dataset."""
        folder = self.work / "graphs" / f"{GRAPH}-{TRIPLES_PER_FILE}"
        if not (folder / manifest.MANIFEST).exists():
            graphs.write_ckg(str(self.data / GRAPH), str(folder), triples_per_file=TRIPLES_PER_FILE)
        return folder, manifest.read(str(folder), manifest.CKG)

    def sized(self, name: str) -> Path:
        folder = self.work / "graphs" / name
        if not (folder / manifest.MANIFEST).exists():
            sized_graphs.write(str(folder), entities=SIZES[name])
        return folder


def compare(run: Run) -> None:
    """FB15k-237: ours inline and on a cluster, and the peers."""
    wanted = [name for name in run.only if name in (*OURS, *programs.PEERS)]
    if not wanted:
        return
    folder, ckg = run.graph()
    splits = {split: read_triples(folder, ckg, split) for split in ("train", "valid", "test")}
    entities, relations = ckg.require_id_map().num_ids - 1, len(ckg.require_id_map().relations)
    train = splits["train"] - np.array([1, 0, 1])
    np.save(run.scratch / "train.npy", train)
    compared = []
    for name in wanted:
        if name in OURS:
            cluster = name == "cluster"
            compared.append(programs.ours(name, run.scratch, folder, OURS[name], len(train), cluster))
        elif run.installed(name, needed=name == "pykeen"):  # a figure needs it
            triples = run.scratch / "train.npy"
            compared.append(programs.peer(name, run.scratch, run.peers, triples, entities, relations))
    done = run.train(compared, run.budget_s)
    rates = {name: program.rate for name, program in done.items()}
    details = {name: program.report() for name, program in done.items()}
    for name, report in details.items():
        report["scored_pairs_per_s"] = report["triples_per_s"] * (1 + programs.COMMON["negatives"])
        report["test"] = ranked(run.scratch / name / "vectors.npz", splits)
    run.details["comparison"] = {
        "programs": details, "budget_s": run.budget_s, "ranked_test_triples": RANKED, "common": programs.COMMON,
        "ours": OURS, "peers": programs.PEERS, "differences": programs.DIFFERENCES,
    }  # fmt: skip
    if run.wants("inline", "pykeen"):
        run.ratio("inline_over_pykeen", rates.get("inline"), rates.get("pykeen"))
    if run.wants("transe", "torchbiggraph"):
        run.ratio("transe_over_torchbiggraph", rates.get("transe"), rates.get("torchbiggraph"))
    if run.wants("inline", "cluster"):
        run.ratio("cluster_over_inline", rates.get("cluster"), rates.get("inline"))
    if run.wants("cluster"):
        run.figures["cluster_triples_per_s"] = rates.get("cluster")


def read_triples(folder: Path, ckg: manifest.Manifest, split: str) -> np.ndarray:
    """Triples of a split, int64 [n, 3]."""
    import tensorflow as tf

    parts = []
    for file in ckg.group(split):
        for record in tf.data.TFRecordDataset(str(folder / file.name)):
            row = records.decode(record.numpy())
            parts.append(np.stack([row[records.HEAD], row[records.RELATION], row[records.TAIL]], axis=1))
    return np.concatenate(parts)


def ranked(path: Path, splits: dict[str, np.ndarray]) -> dict[str, float | None]:
    """Metrics of vectors on a fixed part of the test triples; one evaluator for every system."""
    from kdcn_tf.training import ranking

    test, known, vectors = splits["test"], np.concatenate(list(splits.values())), np.load(path)
    test = test[np.random.default_rng(0).permutation(len(test))[:RANKED]]
    entities = np.pad(vectors["entities"], ((1, 0), (0, 0)))
    ranks = ranking.rank_triples(entities, vectors["relations"], test, known, int(vectors["norm"]))
    if "head_relations" in vectors:  # a vector per side
        heads = ranking.rank_triples(entities, vectors["head_relations"], test, known, int(vectors["norm"]))
        half = len(test)
        ranks = ranking.Ranks(
            np.concatenate([ranks.optimistic[:half], heads.optimistic[half:]]),
            np.concatenate([ranks.pessimistic[:half], heads.pessimistic[half:]]),
        )
    return ranking.summarize(ranks)


def sizes(run: Run) -> None:
    """Seconds of a step at three numbers of entities."""
    if not run.wants("sizes"):
        return
    run.figures["step_10m_over_15k"] = None
    if reporting.free_bytes() < SIZES_NEED_BYTES:
        need, free = (number / (1 << 30) for number in (SIZES_NEED_BYTES, reporting.free_bytes()))
        run.failures.append(f"sizes: 10 million entities need {need:.0f} GiB of free memory, there are {free:.1f}")
        return
    compared = [timed(run, f"entities_{name}", run.sized(name), programs.SETTINGS) for name in SIZES]
    done = run.train(compared, run.budget_s / 3)
    batch = programs.COMMON["batch_size"]
    steps = {name: batch / program.rate for name, program in done.items()}
    run.details["sizes"] = {name: {"step_s": steps[name], **done[name].report()} for name in done}
    run.ratio("step_10m_over_15k", steps.get("entities_10m"), steps.get("entities_15k"))


def timed(run: Run, name: str, folder: Path, settings: dict) -> lockstep.Program:
    """A program of ours that is timed and no more."""
    triples = sum(file.count for file in manifest.read(str(folder), manifest.CKG).group("train"))
    program = programs.ours(name, run.scratch, folder, settings, triples)
    program.last_order = "quit"
    return program


def transe_d400(run: Run) -> None:
    """DGL-KE's setting, on FB15k-237 and on a million entities, whose tables fit no cache; the worse is the figure.

    On FB15k-237 with the L1 norm, too, which has no matrix product.
    """
    if not run.wants("transe_d400"):
        return
    graph, _ = run.graph()
    places = {"transe_d400_fb15k237": graph, "transe_d400_1m": run.sized("1m")}
    compared = [timed(run, *place, programs.DGL_KE) for place in places.items()]
    compared.append(timed(run, "transe_d400_l1", graph, {**programs.DGL_KE, "encoder.norm": 1}))
    done = run.train(compared, run.budget_s / 3)
    cores = len(os.sched_getaffinity(0))
    rates = {name: program.rate / cores for name, program in done.items()}
    run.ratio("transe_d400_l1_over_l2", rates.get("transe_d400_l1"), rates.get("transe_d400_fb15k237"))
    run.details["transe_d400"] = {
        "settings": programs.DGL_KE, "cores": cores,
        **{name: {"triples_per_s_per_core": rates[name], **done[name].report()} for name in done},
    }  # fmt: skip
    run.figures["transe_d400_per_core"] = min(map(rates.get, places)) if rates.keys() >= places.keys() else None


def plan(run: Run) -> None:
    """The planner's figures against real local clusters', with the bytes that they send; the worse is the figure.

    FB15k-237's tables are small beside the process itself, so a million entities show whether memory is predicted.
    """
    if not run.wants("plan"):
        return
    from benchmarks import cluster_probe

    settings = programs.assignments(programs.SETTINGS)
    found: dict[str, Any] = {}
    run.figures["plan_error"] = None
    try:
        for name, folder in ((GRAPH, run.graph()[0]), ("1m", run.sized("1m"))):
            found[name] = cluster_probe.plan_error(str(folder), assignments=settings, epochs=2)
    except KdcnError as error:
        run.failures.append(f"plan: {error}")
        return
    run.details["plan"] = found
    run.figures["plan_error"] = max(part["plan_error"] for part in found.values())


def show(run: Run) -> None:
    """Prints what was found: the comparison, the figures beside their bars, the failures."""
    for name, report in run.details.get("comparison", {}).get("programs", {}).items():
        peak = sum(report["peak_bytes"].values()) / (1 << 20)
        print(
            f"{name:14} {report['triples_per_s']:>9,.0f} triples/s  {report['scored_pairs_per_s']:>12,.0f} pairs/s"
            f"  {peak:>7,.0f} MiB  MRR {report['test']['mrr']:.3f} after {report['training_seconds']:.0f} s"
        )
    for name, report in run.details.get("sizes", {}).items():
        print(f"{name:14} {1e3 * report['step_s']:>9.1f} ms/step")
    print(reporting.table(run.figures, {name: bar for name, bar in BARS.items() if name in run.figures}))
    for failure in run.failures:
        print(f"FAILED {failure}")


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("data", None, f"folder that holds {GRAPH}", flag_values=values)
    flags.DEFINE_string("json", None, "file to write all figures to", flag_values=values)
    flags.DEFINE_list("only", list(NAMES), f"what to measure: {', '.join(NAMES)}", flag_values=values)
    flags.DEFINE_string("work", "runs/pretrain", "folder for graphs and models, used again", flag_values=values)
    flags.DEFINE_float("budget", 60.0, "seconds of training of each program that is compared", 1.0, flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> int:
    command.required(values, "data")
    require_known(values.only, NAMES)
    run = Run(Path(values.work).resolve(), tuple(dict.fromkeys(values.only)), values.budget, data=Path(values.data))
    if not (run.data / GRAPH).is_dir():
        raise ConfigError(f"--data: {run.data / GRAPH}: no such folder")
    return measure(run, (compare, sizes, transe_d400, plan), show, BARS, values.json)


def main(argv: Sequence[str]) -> None:
    command.run("pretrain", __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main(sys.argv[1:])
