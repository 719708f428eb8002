"""Speed of click models: ours in one process and on a local cluster, beside DeepCTR's DCN, and as tables grow.

    python benchmarks/ctr.py [--json=FILE] [--only=NAME,...] [--work=DIR] [--budget=20] [--seeds=3]

Simulated logs are made once and kept in --work. Programs that are compared train in turns of some seconds each
(`benchmarks/lockstep.py`), so that a busy machine is as busy for all; the first turn is warm-up and not counted.
"_memory" programs have their rows in memory, "_records" ones read and decode the dataset's files in every pass. All
are pinned to the same two cores. Peers are installed beside --work, into environments of their own that are used
again; that time is printed apart. AUC is that of held-out rows after the same passes in the same order, over several
seeds. Ends with code 1 if a measurement failed, with 0 even where a bar is missed: it is a report.
"""

import dataclasses
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import ctr_inputs, ctr_programs, lockstep, reporting
from benchmarks.measured import Measured, measure, require_known
from kdcn_tf import command, manifest, records

INLINE = {"dcn_memory": "dcn", "dcn_records": "dcn", "kdcn_memory": "kdcn", "kdcn_paper_memory": "kdcn_paper"}
CLUSTER = {"dcn_cluster": "dcn", "kdcn_cluster": "kdcn"}
BESIDE = {"deepctr_memory": "deepctr", "deepctr_records": "deepctr", "deepctr_torch_memory": "deepctr_torch"}
NAMES = (*INLINE, *CLUSTER, *BESIDE, "auc", "sizes")
SIZES = {"15k": 15_000, "1m": 1_000_000, "10m": 10_000_000}
PEER_SIZES = ("15k", "1m")
"""Adam over 10 million dense rows needs seconds a step and more memory than its tables."""

PASSES = 2
BARS = {
    "dcn_over_deepctr": (">=", 1.5),
    "dcn_over_deepctr_records": (">=", 1.5),
    "deepctr_auc_in_seed_noise": ("<=", 1.0),
    "step_10m_over_15k": ("<=", 2.5),
}


@dataclasses.dataclass
class Run(Measured):
    """One run of the benchmark and what it has found."""

    seeds: int = 3

    @property
    def ctr(self) -> Path:
        return ctr_inputs.simulated(self.work / "data")

    def arrays(self, ctr: Path) -> Path:
        """Its splits as a peer takes them from memory."""
        from kdcn_tf.data.ctr import read_all

        folder, described = self.scratch / "arrays", manifest.read(str(ctr), manifest.CTR)
        if not folder.exists():
            folder.mkdir()
            for split in ("train", "test"):
                examples = read_all(str(ctr), described, split)
                ctr_inputs.write_arrays(folder / f"{split}.npz", examples, described)
                np.save(folder / f"{split}_labels.npy", examples[records.LABEL])
        return folder


def program(run: Run, name: str) -> lockstep.Program | None:
    """The program of that name; None for a peer that can't be installed."""
    source = name.rpartition("_")[2]
    if name in INLINE:
        return ctr_programs.inline(name, run.scratch, run.ctr, INLINE[name], source)
    if name in CLUSTER:
        part = ctr_inputs.timed_part(run.ctr, run.work / "data" / "timed")
        return ctr_programs.cluster(name, run.scratch, part, CLUSTER[name])
    library = BESIDE[name]
    if not run.installed(library, needed=library == "deepctr"):
        return None
    described = manifest.read(str(run.ctr), manifest.CTR)
    return ctr_programs.peer(name, run.scratch, run.peers, library, run.ctr, described, run.arrays(run.ctr), source)


def compare(run: Run) -> None:
    """Examples/s of all programs, from memory and from records."""
    compared = [made for name in (*INLINE, *CLUSTER, *BESIDE) if run.wants(name) and (made := program(run, name))]
    if not compared:
        return
    done = run.train(compared, run.budget_s)
    run.details["comparison"] = {
        "programs": {name: program.report() for name, program in done.items()}, "budget_s": run.budget_s,
        "common": ctr_programs.COMMON, "ours": ctr_programs.NETWORKS, "training": ctr_programs.TRAINING,
        "differences": ctr_programs.DIFFERENCES, "simulation": ctr_inputs.SIMULATION,
    }  # fmt: skip
    rates = {name: program.rate for name, program in done.items()}
    figures = {"dcn": "dcn_memory", "kdcn": "kdcn_memory", "cluster_dcn": "dcn_cluster", "cluster_kdcn": "kdcn_cluster"}
    for figure, name in figures.items():
        if run.wants(name):
            run.figures[f"{figure}_examples_per_s"] = rates.get(name)
    for figure, source in (("dcn_over_deepctr", "memory"), ("dcn_over_deepctr_records", "records")):
        if run.wants(f"dcn_{source}", f"deepctr_{source}"):
            run.ratio(figure, rates.get(f"dcn_{source}"), rates.get(f"deepctr_{source}"))
    per_cpu_s = {name: program.report()["examples_per_cpu_s"] for name, program in done.items()}
    if run.wants("dcn_memory", "deepctr_memory"):  # waits for a core that something else has don't count in it
        run.ratio("dcn_over_deepctr_per_cpu_s", per_cpu_s.get("dcn_memory"), per_cpu_s.get("deepctr_memory"))
    if run.wants("dcn_memory", "dcn_cluster"):
        run.ratio("cluster_dcn_over_inline", rates.get("dcn_cluster"), rates.get("dcn_memory"))
    if run.wants("kdcn_memory", "kdcn_cluster"):
        run.ratio("cluster_kdcn_over_inline", rates.get("kdcn_cluster"), rates.get("kdcn_memory"))


def auc(run: Run) -> None:
    """AUC of held-out rows after the same passes, ours and DeepCTR's, over seeds."""
    if not run.wants("auc"):
        return
    from kdcn_tf.training.metrics import auc as auc_of

    run.figures["deepctr_auc_difference"] = run.figures["deepctr_auc_in_seed_noise"] = None
    if not run.installed("deepctr", needed=True):
        return
    arrays, described = run.arrays(run.ctr), manifest.read(str(run.ctr), manifest.CTR)
    labels = np.load(arrays / "test_labels.npy")
    found: dict[str, list[float]] = {"dcn": [], "deepctr": []}
    for seed in range(1, run.seeds + 1):
        for name in found:
            own = f"auc_{name}_{seed}"
            more = {"seed": seed, "passes": PASSES, "scores": str(run.scratch / own / "scores.npy")}
            if name == "dcn":
                program = ctr_programs.inline(own, run.scratch, run.ctr, "dcn", **more)
            else:
                program = ctr_programs.peer(own, run.scratch, run.peers, name, run.ctr, described, arrays, **more)
            if not finished(run, program):
                return
            found[name].append(float(auc_of(labels, np.load(more["scores"])) or 0.0))
            print(f"  {own}: {found[name][-1]:.4f}")
    run.details["auc"] = {"passes": PASSES, "seeds": run.seeds, **found}
    difference = statistics.mean(found["dcn"]) - statistics.mean(found["deepctr"])
    run.figures["deepctr_auc_difference"] = difference
    if run.seeds > 1:
        spread = sum(statistics.variance(values) / run.seeds for values in found.values()) ** 0.5
        run.details["auc"]["standard_error"] = spread
        # Ours may be better, of course: only what it falls short by counts, in units of two standard errors.
        run.figures["deepctr_auc_in_seed_noise"] = max(0.0, -difference) / (2 * spread)


def finished(run: Run, program: lockstep.Program) -> bool:
    """Runs a program to its end, untimed; a failure is noted."""
    with program.log.open("w") as log:
        env = {k: v for k, v in os.environ.items() if k not in lockstep.NOT_INHERITED} | program.env
        code = subprocess.run(program.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env).returncode
    if code:
        run.failures.append(f"{program.name}: exit code {code}; see {program.log}")
    return code == 0


def sizes(run: Run) -> None:
    """Seconds of a step as users and items grow, random examples in memory."""
    if not run.wants("sizes"):
        return
    run.figures["step_10m_over_15k"] = None
    described, compared = manifest.read(str(run.ctr), manifest.CTR), []
    for name, entities in SIZES.items():
        compared.append(ctr_programs.inline(f"dcn_{name}", run.scratch, run.ctr, "dcn", entities=entities))
    if run.installed("deepctr", needed=False):
        for name in PEER_SIZES:
            own, folder = ctr_inputs.sized(described, SIZES[name]), run.scratch / f"arrays_{name}"
            folder.mkdir()
            ctr_inputs.write_arrays(folder / "train.npz", ctr_inputs.sized_examples(own), own)
            compared.append(
                ctr_programs.peer(f"deepctr_{name}", run.scratch, run.peers, "deepctr", run.ctr, own, folder)
            )
    done = run.train(compared, run.budget_s / 2)
    steps = {name: ctr_programs.COMMON["batch_size"] / program.rate for name, program in done.items()}
    run.details["sizes"] = {name: {"step_s": steps[name], **done[name].report()} for name in done}
    run.ratio("step_1m_over_15k", steps.get("dcn_1m"), steps.get("dcn_15k"))
    run.ratio("step_10m_over_15k", steps.get("dcn_10m"), steps.get("dcn_15k"))
    run.ratio("deepctr_step_1m_over_15k", steps.get("deepctr_1m"), steps.get("deepctr_15k"))
    run.ratio("dcn_over_deepctr_1m", steps.get("deepctr_1m"), steps.get("dcn_1m"))


def show(run: Run) -> None:
    """Prints what was found: rates, figures beside their bars, other figures, failures."""
    for name, report in run.details.get("comparison", {}).get("programs", {}).items():
        peak = sum(report["peak_bytes"].values()) / (1 << 20)
        cpu = report["examples_per_cpu_s"] or 0.0
        print(f"{name:22} {report['examples_per_s']:>9,.0f} examples/s  {cpu:>9,.0f} per CPU s  {peak:>7,.0f} MiB")
    for name, report in run.details.get("sizes", {}).items():
        print(f"{name:22} {1e3 * report['step_s']:>9.1f} ms/step")
    print(reporting.table(run.figures, {name: bar for name, bar in BARS.items() if name in run.figures}))
    for name, value in run.figures.items():
        if name not in BARS:
            print(f"{name:30} {'FAILED' if value is None else f'{value:,.4g}'}")
    for failure in run.failures:
        print(f"FAILED {failure}")


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("json", None, "file to write all figures to", flag_values=values)
    flags.DEFINE_list("only", list(NAMES), f"what to measure: {', '.join(NAMES)}", flag_values=values)
    flags.DEFINE_string("work", "runs/ctr", "folder for data and models, used again", flag_values=values)
    flags.DEFINE_float("budget", 20.0, "seconds of training of each program that is compared", 1.0, flag_values=values)
    flags.DEFINE_integer("seeds", 3, "trainings of each program whose AUC is compared", 1, flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> int:
    require_known(values.only, NAMES)
    run = Run(Path(values.work).resolve(), tuple(dict.fromkeys(values.only)), values.budget, seeds=values.seeds)
    return measure(run, (compare, auc, sizes), show, BARS, values.json)


def main(argv: Sequence[str]) -> None:
    command.run("ctr", __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main(sys.argv[1:])
